"""A rollout's events as lines for a person and as JSON lines for a program."""

import math
import re
import textwrap
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from backendctl.cli.contract import Output, Session
from backendctl.cli.rollout_standing import ArmCount, Standing

if TYPE_CHECKING:
    from backendctl.rollout.events import Ended, Event
    from backendctl.rollout.states import RolloutPlan

EVERY = 10.0
"""Seconds between two lines that only say how the numbers stand."""
WIDTH = 99
"""Longest line: logs of CI are read in narrow windows."""


def teller(session: Session, past: "Iterable[Event]" = ()) -> "Callable[[Event], None]":
    """Tells a session each event in the form that was asked for; those of `past` are known."""
    lines = Lines()
    for event in past:
        lines.of(event)

    def tell(event: "Event") -> None:
        if session.output is Output.JSONL:
            session.emit(event_name(event), event_data(event))
            return
        for text in lines.of(event):
            session.line(text)
        waited = awaited(event)
        if waited is not None:
            session.waiting(waited)

    return tell


def awaited(event: "Event") -> str | None:
    """What is waited for from now on, empty for nothing; None if the event does not change that."""
    from backendctl.rollout.events import IntentBegun, IntentEnded
    from backendctl.rollout.intents import in_words

    match event:
        case IntentBegun():
            return f"    {in_words(event.intent)} ..."
        case IntentEnded():
            return ""
        case _:
            return None


class Lines:
    """Events as short lines: each change at once, the numbers now and then."""

    def __init__(self) -> None:
        self._words = Words()
        self._standing = Standing()
        self._told = 0.0
        """When the last line was."""

    def of(self, event: "Event") -> list[str]:
        """Lines to tell just now."""
        from backendctl.rollout.events import BlockObserved, CopiesCounted

        self._standing.take(event)
        if not isinstance(event, BlockObserved | CopiesCounted):
            said = self._words.lines_of(event)
            self._told = event.at if said else self._told
            return [line for text in said for line in wrapped(text)]
        if event.at - self._told < EVERY:
            return []
        self._told = event.at
        if isinstance(event, CopiesCounted):
            return wrapped(f"    0 %: {self._standing.copies}")
        return [standing_in_words(self._standing, event.candidate_share, event.at)]


def wrapped(text: str) -> list[str]:
    """The text in lines that are not too long, those after the first indented further."""
    indent = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(
        text,
        WIDTH,
        subsequent_indent=f"{indent}    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def event_name(event: "Event") -> str:
    """`rollout.phase-changed` for PhaseChanged."""
    return "rollout." + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(event).__name__).lower()


def event_data(event: "Event") -> dict[str, Any]:
    """The event's fields as plain JSON."""
    from backendctl.rollout.verdict import to_json

    data: dict[str, Any] = to_json(event)
    return data


PHASES = {
    "migrate": "running the migration",
    "start": "starting the candidate",
    "verify": "trying it on the preview route, at 0 % of users' requests",
    "mirror": "trying it on copies of users' reads, at 0 % of users' requests",
    "promote": "giving it all requests",
    "bake": "watching it at 100 %; stable is kept warm",
    "drain": "draining and stopping the former release",
    "abort": "restoring stable",
}
WAYS_OUT = {
    "approval": "rollout approve, or rollout abort",
    "inconclusive": "rollout resume, rollout promote --skip-judgement, or rollout abort",
    "stuck": "rollout recover",
}
"""What a person may say to a rollout that is held, by the hold's kind."""
PHASES_OF_A_FIRST = {
    **PHASES,
    "bake": "watching whether it stays healthy",
    "drain": "closing the preview route",
    "abort": "withdrawing it; there is nothing to go back to",
}


class Words:
    """Events as lines for a person; remembers what kind of rollout they are of."""

    def __init__(self) -> None:
        self._phases = PHASES
        self._plan: RolloutPlan | None = None

    def phase(self, phase: str) -> str:
        """What a phase does; empty for one that says nothing new."""
        return self._phases.get(phase, "")

    def lines_of(self, event: "Event") -> list[str]:
        """What a person should read about an event; nothing for those that say nothing new."""
        from backendctl.rollout import events as e
        from backendctl.rollout.copying import copies_in_words
        from backendctl.rollout.intents import in_words, weights_in_words

        match event:
            case e.Began():
                self._plan = event.plan
                self._phases = PHASES if event.plan.stable is not None else PHASES_OF_A_FIRST
                return [f"Rollout {event.rollout}: {plan_in_words(event.plan)}"]
            case e.Forecasted():
                return [f"  {line}" for line in event.forecast.advice]
            case e.PhaseChanged():
                said = self.phase(event.phase)
                return [f"  {said}"] if said else []
            case e.StepsLeftOut():
                return [f"  {event.words}"]
            case e.MirroringEnded():
                return [f"  {copies_in_words(event.copies)}"]
            case e.Shifted():
                return [f"  traffic: {weights_in_words(event.weights)}"]
            case e.Judged() if event.judgement.decision != "continue":
                return [f"  verdict: {event.judgement.decision}: {event.judgement.reason}"]
            case e.IntentEnded(ok=False):
                return [f"  could not {in_words(event.intent)}: {event.message}"]
            case e.Commanded():
                return [f"  {event.verb} by {event.by}: {event.reason}"]
            case e.Held() if event.hold.kind == "paused":
                return [f"  {event.hold.why.message}"]
            case e.Held():
                held = f"  held ({event.hold.kind}): {event.hold.why.message}"
                return [held, f"    it waits for: backendctl {WAYS_OUT[event.hold.kind]}"]
            case e.Aborting():
                # A verdict's reason stands in the line before.
                why = "" if event.why.code == "verdict" else f": {event.why.message}"
                return [f"  undoing{why}"]
            case e.Ended():
                notes = [f"  note: {note}" for note in event.notes]
                return [*notes, f"Rollout {event.rollout}: {self._end(event)}"]
            case _:
                return []

    def _end(self, event: "Ended") -> str:
        from backendctl.rollout.wording import end_in_words

        plan = self._plan
        if plan is None:
            return str(event.result)
        return end_in_words(plan.kind, plan.candidate, plan.stable, event.result)


def plan_in_words(plan: "RolloutPlan") -> str:
    """`canary of release 4 over 3, 5/25/50 %, then 300 s of bake`."""
    text = f"{plan.kind} of release {plan.candidate} over {plan.stable}"
    if plan.stable is None:
        text = f"release {plan.candidate}, the first"
    if plan.steps:
        text += f", {'/'.join(str(s) for s in plan.steps)} %"
    if plan.mirror is not None:
        text += f", after {plan.mirror.seconds:g} s of copies of {plan.mirror.percent} % of reads"
    if plan.bake and plan.stable is not None:
        text += f", then {plan.bake:g} s of bake"
    return text


def standing_in_words(standing: Standing, share: int, at: float) -> str:
    """Both arms' numbers since the last shift and the evidence, in one short line."""
    parts = [f"    {share} %: candidate {_arm(standing.candidate)}"]
    if share < 100:
        parts.append(f"stable {_arm(standing.stable)}")
    if standing.problem:
        parts.append(f"not whole: {standing.problem}")
    elif standing.against is not None:
        evidence, limit = standing.against
        parts.append(f"against it {evidence:.2g}/{limit:g}")
        if standing.weakest is not None:
            parts.append("for it {1:.2g}/{2:g}".format(*standing.weakest))
    left = time_left(standing, at)
    endings = ([f"~{left} left"], [f"~{left}"]) if left else ()
    for more in (*endings, []):
        line = ", ".join([*parts, *more])
        if len(line) <= WIDTH:
            return line
    return f"{line[: WIDTH - 3]}..."


def _arm(arm: ArmCount) -> str:
    if not arm.measured or arm.rps is None:
        return "unmeasured"
    return f"{arm.rps:.0f}/s {arm.errors} err"


def time_left(standing: Standing, at: float) -> str:
    """About how long the present stage still takes, rounded so that it can be read."""
    from backendctl.rollout.verdict.words import duration

    seconds = standing.seconds_left(at)
    if seconds is None:
        return ""
    unit = 60.0 if seconds >= 300.0 else 5.0 if seconds >= 20.0 else 1.0
    return duration(max(1.0, math.ceil(seconds / unit)) * unit)
