"""Telling about rollouts: needs no lock and changes nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Holder, Platform, ReleaseStatus, Routes
from backendctl.rollout.events import Event
from backendctl.rollout.explain import Explanation, explain, next_commands
from backendctl.rollout.history import (
    Follower,
    Serving,
    Summary,
    resolve,
    serving,
    summaries,
    summary,
)
from backendctl.rollout.outcome import Outcome, outcome_of
from backendctl.rollout.records import check, fold
from backendctl.rollout.recover import waits_for_person
from backendctl.rollout.samples import from_record
from backendctl.rollout.states import State
from backendctl.workflows.rollouts.commands import FOLLOW
from backendctl.workflows.rollouts.refusals import driver_dead, driver_lives
from backendctl.workflows.rollouts.running import Means


@dataclass(frozen=True, slots=True)
class Status:
    """One look at who serves and what a rollout does."""

    serving: Serving
    routes: Routes | None
    """What the gateway really serves; None if it serves nothing or cannot be asked."""
    rollout: Summary | None
    """In flight, or the last one."""
    state: State | None
    """Of the rollout in flight."""
    driver: Holder | None
    driver_lives: bool
    stranded: bool
    """The rollout in flight is left by a process that is gone, and waits for no person."""
    releases: Mapping[int, ReleaseStatus]
    next: tuple[str, ...]


def status(platform: Platform, means: Means | None = None) -> Status:
    """Look once; changes nothing and needs no lock."""
    means = means or Means()
    store = platform.store
    now = serving(store)
    known = store.rollouts()
    state, found = None, None
    if known:
        records = store.records(known[-1])
        found = summary(known[-1], records)
        if now.rollout_in_flight is not None:
            state = fold(records, means.judge)
    lives = driver_lives(platform, means.clock)
    numbers = {n for n in (now.stable, state.plan.candidate if state else None) if n is not None}
    dead = state is not None and not lives and not waits_for_person(state)
    return Status(
        serving=now,
        routes=_routes(platform),
        rollout=found,
        state=state,
        driver=store.holder(),
        driver_lives=lives,
        stranded=dead,
        releases={n: platform.runtime.status(n) for n in sorted(numbers)},
        next=("backendctl rollout recover",) if dead else next_commands(state) if state else (),
    )


def _routes(platform: Platform) -> Routes | None:
    try:
        return platform.router.read()
    except BackendctlError:
        return None


def past_events(platform: Platform, means: Means | None = None) -> list[Event]:
    """What has happened so far in the rollout in flight; nothing when there is none."""
    rollout = serving(platform.store).rollout_in_flight
    if rollout is None:
        return []
    return Follower(platform.store, rollout, (means or Means()).judge).advance()


def find(platform: Platform, rollout: str | None = None) -> Summary:
    """One rollout in a line; the newest if none is named. Raises `missing.rollout`."""
    name = resolve(platform.store, rollout)
    return summary(name, platform.store.records(name))


def watch(
    platform: Platform, rollout: str | None = None, means: Means | None = None
) -> Iterator[Event]:
    """Everything that happened in a rollout and then what happens, until it ends or is held.

    Raises `missing.rollout`, and `rollout.state` when its driver is gone.
    """
    means = means or Means()
    name = resolve(platform.store, rollout)
    follower = Follower(platform.store, name, means.judge)
    while True:
        yield from follower.advance()
        state = follower.state
        if state is None or state.ended:
            return
        if not driver_lives(platform, means.clock):
            yield from follower.advance()
            state = follower.state
            if state is not None and not state.ended and not waits_for_person(state):
                raise driver_dead(name, state)
            return
        means.clock.wait(FOLLOW)


def history(platform: Platform) -> Iterator[Summary]:
    """Every rollout of the environment, newest first."""
    return summaries(platform.store)


def explain_rollout(
    platform: Platform, rollout: str | None = None, means: Means | None = None
) -> Explanation:
    """Why a rollout ended as it did, decision by decision; the newest if none is named."""
    means = means or Means()
    name = resolve(platform.store, rollout)
    store = platform.store
    samples = from_record(store.samples(name))
    return explain(name, store.records(name), means.judge, samples)


@dataclass(frozen=True, slots=True)
class Replayed:
    """A rollout's decisions, worked out again from what was observed."""

    rollout: str
    records: int
    differences: tuple[str, ...]
    """Records whose decision comes out otherwise than it was written; empty when none does."""


def replay_rollout(
    platform: Platform, rollout: str | None = None, means: Means | None = None
) -> Replayed:
    """Decide everything anew from the journal alone; the newest rollout if none is named."""
    means = means or Means()
    name = resolve(platform.store, rollout)
    records = platform.store.records(name)
    return Replayed(name, len(records), tuple(check(records, means.judge)))


def outcome(platform: Platform, rollout: str | None = None, means: Means | None = None) -> Outcome:
    """How a rollout ended, or where it stands; the newest if none is named."""
    means = means or Means()
    name = resolve(platform.store, rollout)
    records = platform.store.records(name)
    return outcome_of(name, fold(records, means.judge), ended=summary(name, records).ended)
