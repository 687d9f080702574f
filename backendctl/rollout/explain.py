"""Why a rollout ended as it did, or waits, in plain words with the numbers that decided."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backendctl.rollout.copying import copies_in_words
from backendctl.rollout.events import (
    Aborting,
    Began,
    BlockObserved,
    Commanded,
    CopiesCounted,
    Event,
    Held,
    IntentEnded,
    Judged,
    MirroringEnded,
    PhaseChanged,
    Shifted,
    StepsLeftOut,
    events_of,
)
from backendctl.rollout.history import served_after
from backendctl.rollout.intents import in_words, weights_in_words
from backendctl.rollout.judge import Judge
from backendctl.rollout.observations import Command
from backendctl.rollout.records import Record, Transition, replay
from backendctl.rollout.samples import Samples
from backendctl.rollout.states import (
    MIRROR_STAGE,
    HoldKind,
    Kind,
    Phase,
    Result,
    RolloutPlan,
    State,
)
from backendctl.rollout.undecided import no_verdict, so_far
from backendctl.rollout.verdict import Decision, to_json
from backendctl.rollout.verdict.words import duration
from backendctl.rollout.wording import end_in_words, moment, whereabouts

HELD = {
    HoldKind.PAUSED: "is paused",
    HoldKind.APPROVAL: "waits for an approval",
    HoldKind.INCONCLUSIVE: "is held, for there is no verdict,",
    HoldKind.STUCK: "is stuck",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One decision of a rollout's history."""

    at: float
    what: str
    detail: str = ""
    numbers: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer to "what happened, why, and what now?"."""

    rollout: str
    headline: str
    because: str
    numbers: Mapping[str, Any]
    """Those of the judgement that decided; empty when nothing was judged."""
    tail: tuple[str, ...]
    """The candidate's last log lines when it failed."""
    samples: Samples
    """Requests that the candidate failed, and what it logged then; none once they are too old."""
    decided: bool
    """Whether the numbers led to something, or are those so far."""
    timeline: tuple[Line, ...]
    notes: tuple[str, ...]
    next: tuple[str, ...]
    by_copies: bool = False
    """It was undone for what it did with copies of requests, of which no examples are kept."""


def explain(
    rollout: str, records: Iterable[Record], judge: Judge, samples: Samples | None = None
) -> Explanation:
    """Explain a rollout from its journal. Raises what `replay` raises."""
    transitions = list(replay(records, judge))
    state = transitions[-1].after
    why = state.hold.why if state.hold is not None else state.why
    return Explanation(
        rollout=rollout,
        headline=headline(rollout, state, transitions[-1].at - transitions[0].at),
        because=because(state),
        numbers=_decisive(state),
        tail=why.tail if why is not None else (),
        samples=samples or Samples(),
        decided=state.ended or state.hold is not None or state.phase is Phase.ABORT,
        timeline=tuple(timeline(rollout, transitions)),
        notes=(*_skipped(transitions), *_mirrored(state), *state.notes),
        next=next_commands(state),
        by_copies=state.judged_stage == MIRROR_STAGE and state.judgement is not None,
    )


def _skipped(transitions: Iterable[Transition]) -> Iterable[str]:
    """What was known each time a person promoted without waiting for the verdict."""
    for each in transitions:
        seen, before = each.observation, each.before
        if not isinstance(seen, Command) or seen.verb != "promote" or before is None:
            continue
        if each.after.override is before.override:
            continue  # it came too late
        judged = before.judgement
        stood = f"it stood at {judged.decision}: {judged.reason}" if judged else "none had begun"
        yield f"{seen.by} skipped the judgement ({seen.reason}); {stood}"


def _mirrored(state: State) -> Iterable[str]:
    """What copies of requests came to; that they convicted it stands in the reason."""
    if state.copies is not None and state.phase is not Phase.MIRROR:
        yield f"before its first weight: {copies_in_words(state.copies)}"


def _decisive(state: State) -> Mapping[str, Any]:
    if state.result is Result.PROMOTED:
        judgement = state.passed
    else:
        why = state.hold.why if state.hold is not None else state.why
        by_numbers = why is None or why.code in ("verdict", "deadline")
        judgement = state.judgement if by_numbers else None
    return judgement.numbers if judgement is not None else {}


def headline(rollout: str, state: State, seconds: float) -> str:
    """What became of it, in one sentence."""
    plan = state.plan
    name = f"Rollout {rollout} ({plan.kind}, release {plan.candidate} over {plan.stable})"
    if plan.stable is None:
        name = f"Rollout {rollout} (release {plan.candidate}, the first)"
    if state.result is Result.PROMOTED:
        if plan.kind is Kind.ROLLBACK:
            return f"{name} is done after {duration(seconds)}: release {plan.candidate} serves."
        how = " without a verdict, on a person's word" if state.override is not None else ""
        return f"{name} was promoted{how} after {duration(seconds)}."
    if state.result is Result.RESTORED:
        if plan.stable is None:
            return f"{name} was withdrawn after {duration(seconds)}: no release serves."
        return f"{name} was undone after {duration(seconds)}: back to release {plan.stable}."
    if state.hold is not None:
        return (
            f"{name} {HELD[state.hold.kind]} at {weights_in_words(state.weights)}; "
            f"undone if nobody decides until {moment(state.hold.until)}."
        )
    doing = whereabouts(state.phase, state.stage, plan.steps, plan.candidate, plan.stable)
    text = f"{name} is {doing}: {weights_in_words(state.weights)}."
    if state.pause is None:
        return text
    return f"{text} It will pause {pausing(state)}, as {state.pause.by} asked: {state.pause.reason}"


def pausing(state: State) -> str:
    """When a rollout that was asked to pause will; empty if it was not asked, or has."""
    if state.pause is None or state.ended:
        return ""
    if state.phase is Phase.PROMOTE:
        return "after the shift to 100 % that is under way"
    return "before the next shift of traffic"


def because(state: State) -> str:
    """The reason, in one sentence or two."""
    judgement, hold = state.judgement, state.hold
    if hold is not None:
        at_step = state.judged_stage != state.plan.bake_stage and not state.blind
        if judgement is None or hold.kind is not HoldKind.INCONCLUSIVE or not at_step:
            return hold.why.message
        inconclusive = judgement.decision is Decision.INCONCLUSIVE
        return no_verdict(state, judgement) if inconclusive else hold.why.message
    if state.result is Result.RESTORED or state.phase is Phase.ABORT:
        return state.why.message if state.why is not None else ""
    if state.override is not None:
        return f"{state.override.by} promoted it: {state.override.reason}"
    kind = state.plan.kind
    if state.phase is Phase.MIRROR:
        return copies_in_words(state.copies) if state.copies is not None else ""
    if state.result is not Result.PROMOTED:
        if judgement is None:
            return ""
        undecided = judgement.decision is Decision.CONTINUE
        return so_far(state, judgement) if undecided else judgement.reason
    if kind is Kind.ROLLBACK:
        return f"{state.plan.begun_by} asked for the rollback, and the release was ready."
    if kind is Kind.FIRST:
        return (
            "It started, answered the test requests and stayed healthy. "
            "There is nothing to compare a first release with, and nothing to go back to."
        )
    return state.passed.reason if state.passed is not None else ""


def logs_of(number: int) -> str:
    """The command that shows what a release has logged."""
    return f"backendctl logs --release {number}"


def next_commands(state: State) -> tuple[str, ...]:
    """What to type next."""
    if state.hold is not None and state.hold.kind is HoldKind.STUCK:
        return ("backendctl status", "backendctl rollout recover")
    if state.hold is not None and state.hold.kind is HoldKind.APPROVAL:
        return ("backendctl rollout approve", "backendctl rollout abort")
    if state.hold is not None:
        return (
            "backendctl rollout resume",
            "backendctl rollout promote --skip-judgement --reason WHY",
            "backendctl rollout abort",
        )
    if state.result is Result.RESTORED:
        # Where no release serves there is nothing to deploy over.
        again = "backendctl up" if state.plan.stable is None else "backendctl deploy"
        return (logs_of(state.plan.candidate), again)
    if state.result is Result.PROMOTED:
        back = served_after(state.plan.served, state.plan.candidate)[:-1]
        # After a contract migration no earlier release works with the schema.
        return (
            ("backendctl rollback",) if back and not state.plan.contract else ("backendctl status",)
        )
    if state.phase is Phase.ABORT:
        return ("backendctl rollout watch",)
    if state.pause is not None:
        return ("backendctl rollout watch", "backendctl rollout resume", "backendctl rollout abort")
    return ("backendctl rollout watch", "backendctl rollout abort")


def timeline(rollout: str, transitions: Iterable[Transition]) -> Iterable[Line]:
    """Every decision in order: phases, shifts, judgements, people, the end."""
    for transition in transitions:
        for event in events_of(rollout, transition):
            line = _line(event, transition.after.plan)
            if line is not None:
                yield line


def _doing(event: PhaseChanged, plan: RolloutPlan) -> str:
    match event.phase:
        case Phase.HOLD:
            return ""  # the next line says why
        case Phase.DONE:
            return end_in_words(plan.kind, plan.candidate, plan.stable, Result.PROMOTED)
        case Phase.RESTORED:
            return end_in_words(plan.kind, plan.candidate, plan.stable, Result.RESTORED)
        case _:
            return whereabouts(event.phase, event.stage, plan.steps, plan.candidate, plan.stable)


def _line(event: Event, plan: RolloutPlan) -> Line | None:
    match event:
        case Began(at=at):
            said = plan.exempt
            why = f"outside the windows for deploys: {said.reason}" if said is not None else ""
            return Line(at, f"begun by {plan.begun_by}", why)
        case PhaseChanged(at=at, phase=phase):
            return Line(at, f"phase {phase}", _doing(event, plan))
        case Shifted(at=at, weights=weights):
            return Line(at, "shifted", weights_in_words(weights))
        case StepsLeftOut(at=at):
            return Line(at, "no steps", event.words)
        case MirroringEnded(at=at, copies=copies):
            return Line(at, "mirrored", copies_in_words(copies), to_json(copies))
        case CopiesCounted(at=at, problem=problem) if problem:
            return Line(at, "could not count copies", problem)
        case Judged(at=at, judgement=judgement):
            return Line(at, f"judged {judgement.decision}", judgement.reason, judgement.numbers)
        case IntentEnded(at=at, ok=False) as failed:
            return Line(at, f"could not {in_words(failed.intent)}", failed.message)
        case Commanded(at=at, verb=verb, by=by, reason=reason):
            return Line(at, f"{verb} by {by}", reason)
        case Held(at=at, hold=hold):
            return Line(at, f"held ({hold.kind})", hold.why.message)
        case Aborting(at=at, why=why):
            return Line(at, "undoing", why.message)
        case BlockObserved(at=at, problem=problem) if problem:
            return Line(at, "could not measure", problem)
        case _:
            return None
