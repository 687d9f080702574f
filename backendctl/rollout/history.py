"""What the journals say: who serves, which rollouts there were, and how one goes on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Store
from backendctl.rollout.copying import copies_in_words
from backendctl.rollout.events import Event, events_of
from backendctl.rollout.judge import Judge
from backendctl.rollout.machine import NO_RETURN
from backendctl.rollout.records import Record, Transition, replay
from backendctl.rollout.states import Copies, Kind, Result, State
from backendctl.rollout.verdict import from_json
from backendctl.rollout.wording import end_in_words, whereabouts


@dataclass(frozen=True, slots=True)
class Serving:
    """Who serves users, as the journals have it."""

    stable: int | None
    previous: int | None
    """Where `rollback` without a number leads to."""
    rollout_in_flight: str | None
    served: tuple[int, ...] = ()
    """Releases that served, oldest first, the present one last. A rollback takes off those it
    went back over, so that a second rollback goes back further, not forth again."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One rollout in a line."""

    rollout: str
    kind: Kind
    candidate: int
    stable: int | None
    began: float
    begun_by: str
    ended: float | None
    result: Result | None
    """None while it has not ended."""
    phase: str
    stands: str
    """Where it stands, in words, or how it ended."""
    held: bool
    why: str
    override: str
    """Who promoted it without a verdict; empty when nobody did."""
    override_reason: str
    mirrored: str = ""
    """What copies of requests came to, before its first weight; empty where none were made."""


def serving(store: Store) -> Serving:
    """Who serves now and whether a rollout is under way.

    Only the newest journal is read: each begins with what had served before it. While a rollout is
    in flight, `stable` is the release that it is restored to.
    """
    for rollout in reversed(store.rollouts()):
        records = store.records(rollout)
        if not records:
            continue  # killed before its first record was durable: it changed nothing
        plan, ended = records[0]["plan"], records[-1].get("ended")
        served = tuple(plan["served"])
        if ended == Result.PROMOTED:
            served = served_after(served, plan["candidate"])
        stable = served[-1] if served else None
        previous = served[-2] if len(served) > 1 else None
        return Serving(stable, previous, None if ended else rollout, served)
    return Serving(None, None, None)


def served_after(served: tuple[int, ...], candidate: int) -> tuple[int, ...]:
    """The releases that have served once `candidate` does: back to it if it served before."""
    if candidate in served:
        return served[: served.index(candidate) + 1]
    return (*served, candidate)


def summaries(store: Store) -> Iterator[Summary]:
    """Every rollout, newest first; reads no more than the records as written."""
    for rollout in reversed(store.rollouts()):
        records = store.records(rollout)
        if records:
            yield summary(rollout, records)


def summary(rollout: str, records: Sequence[Record]) -> Summary:
    """One rollout's summary from its records."""
    plan, last = records[0]["plan"], records[-1]
    ended = last.get("ended")
    phases = [record["phase"] for record in records if "phase" in record]
    why = _last(records, "hold", "why") if phases[-1] == "hold" else _last(records, "why")
    by, reason = _override(records)
    return Summary(
        rollout=rollout,
        kind=Kind(plan["kind"]),
        candidate=plan["candidate"],
        stable=plan["stable"],
        began=records[0]["at"],
        begun_by=plan["begun_by"],
        ended=last["at"] if ended else None,
        result=Result(ended) if ended else None,
        phase=phases[-1],
        stands=_stands(records, why),
        held=phases[-1] == "hold",
        why=why,
        override=by,
        override_reason=reason,
        mirrored=_mirrored(records),
    )


def takeovers(records: Sequence[Record]) -> Sequence[Record]:
    """The records of those who drove it after whoever had begun it."""
    return [record for record in records if record["kind"] == "taken-over"]


def _mirrored(records: Sequence[Record]) -> str:
    found = next((record["copies"] for record in records if "copies" in record), None)
    return "" if found is None else copies_in_words(from_json(Copies, found))


def _stands(records: Sequence[Record], why: str) -> str:
    plan, ended = records[0]["plan"], records[-1].get("ended")
    candidate, stable = plan["candidate"], plan["stable"]
    if ended:
        return end_in_words(Kind(plan["kind"]), candidate, stable, Result(ended))
    last = next(record for record in reversed(records) if "phase" in record)
    if last["phase"] == "hold":
        hold = next(record["hold"] for record in reversed(records) if "hold" in record)
        lacked = hold["why"]["code"] == "deadline"  # what it lacked is for `explain`
        return "no verdict by the deadline" if lacked else why
    return whereabouts(last["phase"], last["stage"], plan["steps"], candidate, stable)


def _override(records: Sequence[Record]) -> tuple[str, str]:
    """Who promoted a rollout without a verdict, and why; a word that came too late is none."""
    phase, found = "", ("", "")
    for record in records:
        in_time = phase not in NO_RETURN
        if record["kind"] == "command" and record["saw"]["verb"] == "promote" and in_time:
            found = record["saw"]["by"], record["saw"]["reason"]
        phase = record.get("phase", phase)
    return found


def _last(records: Sequence[Record], *keys: str) -> str:
    for record in reversed(records):
        found: Any = record
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        if found:
            return str(found["message"])
    return ""


def resolve(store: Store, rollout: str | None) -> str:
    """The full identifier of a rollout: as given, or by its number; the newest for None.

    Raises `missing.rollout`.
    """
    known = list(store.rollouts())
    if rollout is None and known:
        return known[-1]
    for name in known:
        if rollout is not None and (name == rollout or name.lstrip("0") == rollout.lstrip("0")):
            return name
    said = "there has been no rollout yet" if rollout is None else f"there is no rollout {rollout}"
    raise BackendctlError("missing.rollout", said, next=("backendctl rollout history",))


def next_identifier(store: Store) -> str:
    """For a new rollout: the next number, with leading zeros so that names sort."""
    known = store.rollouts()
    return f"{int(known[-1]) + 1 if known else 1:04d}"


class Follower:
    """Reads a rollout's journal as it grows, whoever writes it."""

    def __init__(self, store: Store, rollout: str, judge: Judge) -> None:
        self._store = store
        self._rollout = rollout
        self._judge = judge
        self._read = 0
        self.state: State | None = None

    def advance(self) -> list[Event]:
        """Events of the records that were added since the last call."""
        records = self._store.records(self._rollout)
        fresh: list[Event] = []
        for transition in self._transitions(records):
            self.state = transition.after
            fresh.extend(events_of(self._rollout, transition))
        return fresh

    def _transitions(self, records: Sequence[Record]) -> Iterator[Transition]:
        new = records[self._read :]
        self._read = len(records)
        yield from replay(new, self._judge, self.state)
