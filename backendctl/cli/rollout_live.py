"""A rollout drawn in place on a terminal; plain lines everywhere else."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backendctl.cli.contract import Output, Session
from backendctl.cli.rollout_events import Words, plan_in_words, teller

if TYPE_CHECKING:
    from rich.console import RenderableType

    from backendctl.rollout.events import Event
    from backendctl.rollout.verdict import ArmBlock, Judgement

RECENT = 8
"""Lines of what happened that stay on screen."""


@contextmanager
def live_view(session: Session) -> "Iterator[Callable[[Event], None]]":
    """Receives events and shows them, as long as the block lasts."""
    if session.output is not Output.TEXT or not session.console.is_terminal:
        yield teller(session)
        return
    from rich.live import Live

    picture = Picture()
    with Live(console=session.console, get_renderable=picture.render, refresh_per_second=4):
        yield picture.take


class Picture:
    """What is known of a rollout, folded from its events."""

    def __init__(self) -> None:
        self._title = ""
        self._phase = ""
        self._weights = ""
        self._judgement: Judgement | None = None
        self._arms = {"candidate": [0, 0], "stable": [0, 0]}
        self._words = Words()
        self._recent: deque[str] = deque(maxlen=RECENT)

    def take(self, event: "Event") -> None:
        """One more event."""
        from backendctl.rollout import events as e
        from backendctl.rollout.intents import weights_in_words

        match event:
            case e.Began():
                self._words.lines_of(event)
                self._title = f"Rollout {event.rollout}: {plan_in_words(event.plan)}"
            case e.PhaseChanged():
                self._phase = self._words.phase(event.phase) or event.phase
            case e.Shifted():
                self._weights = weights_in_words(event.weights)
                self._arms = {"candidate": [0, 0], "stable": [0, 0]}
                self._recent.extend(self._words.lines_of(event))
            case e.BlockObserved():
                self._add("candidate", event.block.candidate)
                self._add("stable", event.block.stable)
                self._judgement = event.judgement
            case _:
                self._recent.extend(self._words.lines_of(event))

    def _add(self, name: str, arm: "ArmBlock | None") -> None:
        if arm is not None:
            self._arms[name][0] += arm.requests
            self._arms[name][1] += arm.errors

    def render(self) -> "RenderableType":
        """The present picture."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="dim")
        for title in ("at this weight", "requests", "errors", "rate"):
            table.add_column(title, justify="left" if title == "at this weight" else "right")
        for name, (requests, errors) in self._arms.items():
            rate = f"{100 * errors / requests:.2f} %" if requests else ""
            table.add_row(name, f"{requests:,}", f"{errors:,}", rate)
        parts: list[RenderableType] = [Text(self._title), Text(f"{self._phase}   {self._weights}")]
        parts.append(table)
        numbers = self._judgement.numbers if self._judgement else {}
        if self._judgement is not None and "evidence" in numbers:
            text = f"evidence {numbers['evidence']:.3g} of {numbers['evidence_limit']:g}; "
            parts.append(Text(text + self._judgement.reason))
        parts += [Text(line) for line in self._recent]
        return Group(*parts)
