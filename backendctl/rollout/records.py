"""A rollout's journal: one record for each transition, and the fold that gives the state back.

A record holds the observation, which is all that a decision depends on, and beside it what was
decided: the phase entered, the judgement, the intent to be done next, the end. It is written
before the intent is done. The decisions are there for people and for `check`; the fold works them
out anew from the observations.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from backendctl.errors import BackendctlError
from backendctl.rollout import machine
from backendctl.rollout.intents import Intent
from backendctl.rollout.judge import Judge
from backendctl.rollout.observations import Observation
from backendctl.rollout.states import Phase, RolloutPlan, State
from backendctl.rollout.verdict import to_json

FORMAT = 2
"""Raised when a change of machine or verdict would fold an older journal to another state."""

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of the machine: what was seen, and what came of it."""

    at: float
    observation: Observation | None
    """None for the beginning."""
    before: State | None
    after: State
    intents: tuple[Intent, ...]


def begun(rollout: str, plan: RolloutPlan, at: float) -> tuple[Transition, Record]:
    """The first transition of a rollout and its record."""
    state, intents = machine.begin(plan, at)
    transition = Transition(at, None, None, state, intents)
    body = {"kind": "begun", "format": FORMAT, "rollout": rollout, "plan": to_json(plan)}
    return transition, {**body, "at": at, **_decided(transition)}


def record_of(transition: Transition) -> Record:
    """The journal's form of a transition."""
    observation = transition.observation
    if observation is None:
        raise ValueError("the beginning is recorded by `begun`")
    body = to_json(observation)
    return {"kind": body.pop("kind"), "at": transition.at, "saw": body, **_decided(transition)}


def _decided(transition: Transition) -> dict[str, Any]:
    before, after = transition.before, transition.after
    decided: dict[str, Any] = {}
    if before is None or after.phase is not before.phase or after.stage != before.stage:
        decided["phase"] = after.phase.value
        decided["stage"] = after.stage
    if before is not None and after.weights != before.weights:
        decided["weights"] = to_json(after.weights)
    if after.judgement is not None and (before is None or after.judgement != before.judgement):
        decided["judgement"] = to_json(after.judgement)
    if after.hold is not None and (before is None or after.hold != before.hold):
        decided["hold"] = to_json(after.hold)
    if after.why is not None and (before is None or after.why != before.why):
        decided["why"] = to_json(after.why)
    if before is not None and before.phase is Phase.MIRROR is not after.phase and after.copies:
        decided["copies"] = to_json(after.copies)
    if transition.intents:
        decided["intent"] = {"serial": after.serial, **to_json(transition.intents[0])}
    if after.result is not None:
        decided["ended"] = after.result.value
    return decided


def replay(
    records: Iterable[Record], judge: Judge, state: State | None = None
) -> Iterator[Transition]:
    """Every transition of a rollout, worked out anew from its observations alone.

    `state` is that of the records before these; None if these are the first.

    Raises BackendctlError `journal.version` for a format this version does not read and
    `journal.corrupt` for a record that cannot be one of ours.
    """
    for place, record in enumerate(records):
        try:
            at = float(record["at"])
            if state is None:
                _check_format(record)
                state, intents = machine.begin(_plan().validate_python(record["plan"]), at)
                yield Transition(at, None, None, state, intents)
                continue
            seen = _observation().validate_python({**record["saw"], "kind": record["kind"]})
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise BackendctlError(
                "journal.corrupt",
                f"record {place + 1} of the rollout's journal cannot be read",
                cause=str(error).splitlines()[0],
            ) from error
        before = state
        state, intents = machine.step(before, seen, at, judge)
        yield Transition(at, seen, before, state, intents)


def fold(records: Iterable[Record], judge: Judge) -> State:
    """The state a journal leads to. Raises as `replay`; ValueError for no record at all."""
    *_, last = replay(records, judge)
    return last.after


def check(records: Iterable[Record], judge: Judge) -> list[str]:
    """Replay a journal offline; says where a decision comes out differently than recorded."""
    kept = list(records)
    differences = []
    for place, (record, again) in enumerate(zip(kept, replay(kept, judge), strict=True)):
        known = {"kind", "at", "saw", "format", "rollout", "plan"}
        written = {key: value for key, value in record.items() if key not in known}
        if written != _decided(again):
            differences.append(f"record {place + 1} ({record['kind']}): {written}")
    return differences


def _check_format(record: Record) -> None:
    if record.get("kind") != "begun" or record.get("format") != FORMAT:
        raise BackendctlError(
            "journal.version",
            f"the rollout's journal has format {record.get('format')!r}; "
            f"this version reads format {FORMAT}",
            next=("use the version of backendctl that began the rollout",),
        )


@cache
def _plan() -> TypeAdapter[RolloutPlan]:
    return TypeAdapter(RolloutPlan)


@cache
def _observation() -> TypeAdapter[Any]:
    return TypeAdapter(_tagged())


def _tagged() -> Any:
    from typing import Annotated

    return Annotated[Observation, Field(discriminator="kind")]
