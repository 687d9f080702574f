"""A rollout drawn in place on a terminal; plain lines everywhere else."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backendctl.cli.contract import Output, Session
from backendctl.cli.rollout_events import Words, plan_in_words, teller, time_left
from backendctl.cli.rollout_standing import ArmCount, Standing

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.table import Table

    from backendctl.rollout.events import Event

BAR = 24
"""Characters between no evidence and the bound."""


@contextmanager
def live_view(
    session: Session, past: "Iterable[Event]" = ()
) -> "Iterator[Callable[[Event], None]]":
    """Receives events and shows them, as long as the block lasts.

    `past`: what had happened before in the rollout; it is known, and not told again.
    """
    if session.output is not Output.TEXT or not session.console.is_terminal:
        yield teller(session, past)
        return
    screen = _Screen(session, past)
    try:
        yield screen.take
    finally:
        screen.close()


class _Screen:
    """What happened as lines that stay, and below them where the rollout stands."""

    def __init__(self, session: Session, past: "Iterable[Event]") -> None:
        self._session = session
        self._words = Words()
        self._picture = Picture()
        self._live: Live | None = None
        for event in past:
            self._words.lines_of(event)
            self._picture.take(event)

    def take(self, event: "Event") -> None:
        from backendctl.rollout.events import BlockObserved, CopiesCounted, Ended, Held

        self._picture.take(event)
        if not isinstance(event, BlockObserved | CopiesCounted):
            for text in self._words.lines_of(event):
                self._session.line(text)
        if isinstance(event, Ended | Held):
            self.close()
        elif self._live is None:
            self._open()

    def _open(self) -> None:
        """Only with the first event: before it, other parts of a command have the terminal."""
        from rich.live import Live

        self._live = Live(
            console=self._session.console,
            get_renderable=self._picture.render,
            refresh_per_second=4,
            transient=True,
        )
        self._live.start()

    def close(self) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()


class Picture:
    """Where a rollout stands, as a table."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._words = Words()
        self.standing = Standing()

    def take(self, event: "Event") -> None:
        """One more event."""
        self._words.lines_of(event)
        self.standing.take(event)

    def render(self) -> "RenderableType":
        """The present picture."""
        from rich.console import Group
        from rich.text import Text

        parts: list[RenderableType] = [Text(line) for line in self._heading()]
        if self.standing.weights:
            parts.append(self._arms())
        parts += [Text(line) for line in self._evidence()]
        return Group(*parts)

    def _heading(self) -> Iterable[str]:
        standing = self.standing
        if standing.plan is not None:
            yield plan_in_words(standing.plan)
        doing = self._words.phase(standing.phase) or standing.phase
        if standing.phase == "step" and standing.plan is not None:
            steps = standing.plan.steps
            share = steps[standing.stage] if standing.stage < len(steps) else 100
            doing = f"step {standing.stage + 1} of {len(steps)}: {share} % to the candidate"
        at = self._now()
        for_now = f"{max(0.0, at - standing.since):.0f} s" if standing.since else ""
        left = time_left(standing, at)
        requests = standing.requests.told
        if left and requests:
            left += f" or {_rounded(requests)} candidate requests"
        said = (doing, for_now and f"for {for_now}", left and f"about {left} left")
        yield "; ".join(part for part in said if part)

    def _arms(self) -> "Table":
        from rich.table import Table

        standing, plan = self.standing, self.standing.plan
        table = Table(box=None, pad_edge=False, header_style="dim")
        for title in ("since the last shift", "weight", "req/s", "requests", "errors", "", "slow"):
            table.add_column(title, justify="right" if title != "since the last shift" else "left")
        arms = [("candidate", standing.candidate, plan.candidate if plan else None)]
        if plan is None or plan.stable is not None:
            arms.append(("stable", standing.stable, plan.stable if plan else None))
        for name, arm, number in arms:
            named = name if number is None else f"{name} (release {number})"
            weight = "" if number is None else f"{standing.weights.get(number, 0)} %"
            table.add_row(named, weight, *_cells(arm))
        return table

    def _evidence(self) -> Iterable[str]:
        standing = self.standing
        if standing.phase == "mirror":
            yield standing.copies or "no copy was counted yet"
        if standing.problem:
            yield f"not whole: {standing.problem}"
        if standing.against is not None:
            value, limit = standing.against
            yield f"evidence against it {bar(value, limit)} {value:.3g}, undone at {limit:g}"
        if standing.weakest is not None:
            name, value, limit = standing.weakest
            certified = bar(value, limit)
            yield f"evidence for it     {certified} {value:.3g}, good at {limit:g} ({name})"


def _cells(arm: ArmCount) -> tuple[str, ...]:
    if not arm.measured:
        return "?", f"{arm.requests:,}", f"{arm.errors:,}", "", f"{arm.slow:,}"
    rate = f"{100 * arm.errors / arm.requests:.2f} %" if arm.requests else ""
    rps = "" if arm.rps is None else f"{arm.rps:.1f}"
    return rps, f"{arm.requests:,}", f"{arm.errors:,}", rate, f"{arm.slow:,}"


def _rounded(n: float) -> str:
    """Two digits say all that an estimate knows."""
    digits = 1 - math.floor(math.log10(n)) if n >= 1.0 else 0
    return f"{round(n, min(0, digits)):,.0f}"


def bar(value: float, limit: float) -> str:
    """How far evidence has come from 1 (none) to its bound; it multiplies, so by its logarithm."""
    share = math.log(value) / math.log(limit) if value > 1.0 else 0.0
    full = min(BAR, round(BAR * share))
    return f"[{'#' * full}{'-' * (BAR - full)}]"
