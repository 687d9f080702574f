"""A rollout's events as lines for a person and as JSON lines for a program."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backendctl.cli.contract import Output, Session

if TYPE_CHECKING:
    from backendctl.rollout.events import BlockObserved, Event
    from backendctl.rollout.states import RolloutPlan
    from backendctl.rollout.verdict import ArmBlock


def teller(session: Session) -> "Callable[[Event], None]":
    """Tells a session each event in the form that was asked for."""
    words = Words()

    def tell(event: "Event") -> None:
        if session.output is Output.JSONL:
            session.emit(event_name(event), event_data(event))
            return
        for text in words.lines_of(event):
            session.line(text)

    return tell


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
    "promote": "giving it all requests",
    "bake": "watching it at 100 %; stable is kept warm",
    "drain": "draining and stopping the former release",
    "abort": "restoring stable",
}
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

    def phase(self, phase: str) -> str:
        """What a phase does; empty for one that says nothing new."""
        return self._phases.get(phase, "")

    def lines_of(self, event: "Event") -> list[str]:
        """What a person should read about an event; nothing for those that say nothing new."""
        from backendctl.rollout import events as e
        from backendctl.rollout.intents import in_words, weights_in_words

        match event:
            case e.Began():
                self._phases = PHASES if event.plan.stable is not None else PHASES_OF_A_FIRST
                return [f"Rollout {event.rollout}: {plan_in_words(event.plan)}"]
            case e.Forecasted():
                return [f"  {line}" for line in event.forecast.advice]
            case e.PhaseChanged():
                said = self.phase(event.phase)
                return [f"  {said}"] if said else []
            case e.StepsLeftOut():
                return [f"  {event.words}"]
            case e.Shifted():
                return [f"  traffic: {weights_in_words(event.weights)}"]
            case e.BlockObserved():
                return [f"    {block_in_words(event)}"]
            case e.Judged() if event.judgement.decision != "continue":
                return [f"  verdict: {event.judgement.decision}: {event.judgement.reason}"]
            case e.IntentEnded(ok=False):
                return [f"  could not {in_words(event.intent)}: {event.message}"]
            case e.Commanded():
                return [f"  {event.verb} by {event.by}: {event.reason}"]
            case e.Held():
                return [f"  held ({event.hold.kind}): {event.hold.why.message}"]
            case e.Aborting():
                return [f"  undoing: {event.why.message}"]
            case e.Ended():
                notes = [f"  note: {note}" for note in event.notes]
                return [*notes, f"Rollout {event.rollout}: {event.result}"]
            case _:
                return []


def plan_in_words(plan: "RolloutPlan") -> str:
    """`canary of release 4 over 3, 5/25/50 %, then 300 s of bake`."""
    text = f"{plan.kind} of release {plan.candidate} over {plan.stable}"
    if plan.stable is None:
        text = f"release {plan.candidate}, the first"
    if plan.steps:
        text += f", {'/'.join(str(s) for s in plan.steps)} %"
    if plan.bake and plan.stable is not None:
        text += f", then {plan.bake:g} s of bake"
    return text


def block_in_words(event: "BlockObserved") -> str:
    """Both arms' numbers of one block and the evidence since."""
    block = event.block
    parts = [f"{event.candidate_share:3d} %", f"candidate {_arm(block.candidate)}"]
    if event.candidate_share < 100:
        parts.append(f"stable {_arm(block.stable)}")
    if event.problem:
        parts.append(f"not whole: {event.problem}")
    elif event.judgement is not None and "evidence" in event.judgement.numbers:
        numbers = event.judgement.numbers
        parts.append(f"evidence {numbers['evidence']:.3g} of {numbers['evidence_limit']:g}")
        needed = numbers.get("requests_needed")
        if needed:
            parts.append(f"about {needed:,} more requests to a pass")
    return " | ".join(parts)


def _arm(arm: "ArmBlock | None") -> str:
    if arm is None:
        return "unmeasured"
    slow = max(arm.slow.values(), default=0)
    return f"{arm.requests} requests, {arm.errors} errors, {slow} slow"
