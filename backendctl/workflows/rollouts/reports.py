"""Telling about rollouts: needs no lock and changes nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Holder, OnLine, Platform, ReleaseStatus, Routes, unheard
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
from backendctl.rollout.lease import LEASE
from backendctl.rollout.outcome import Outcome, outcome_of
from backendctl.rollout.records import check, fold
from backendctl.rollout.recover import waits_for_person
from backendctl.rollout.samples import from_record
from backendctl.rollout.states import HoldKind, State
from backendctl.workflows.rollouts.commands import FOLLOW
from backendctl.workflows.rollouts.refusals import WATCHED, abandoned, driver_lives, watched
from backendctl.workflows.rollouts.rollback import can_go_back
from backendctl.workflows.rollouts.running import Means

PATIENCE = LEASE + 30.0
"""Seconds for the watchdog to take a rollout whose driver is dead: it waits for its lease."""


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
    watched: bool
    """It is stranded, and a watchdog will end it."""
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
        watched=dead and watched(platform),
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
    platform: Platform,
    rollout: str | None = None,
    means: Means | None = None,
    on_line: OnLine = unheard,
) -> Iterator[Event]:
    """Everything that happened in a rollout and then what happens, until it ends or is held.

    When its driver is gone, `on_line` is told that the watchdog is waited for. Raises
    `missing.rollout`, and `rollout.abandoned` when nobody ends it.
    """
    means = means or Means()
    name = resolve(platform.store, rollout)
    follower = Follower(platform.store, name, means.judge)
    alone: float | None = None
    while True:
        lives = driver_lives(platform, means.clock)  # asked first: its last records are then there
        yield from follower.advance()
        state = follower.state
        if state is None or state.ended or (not lives and waits_for_person(state)):
            return
        now = means.clock.monotonic()
        if lives:
            alone = None
        elif alone is None:
            if _stuck(state) or not watched(platform):
                raise abandoned(name, state, 0.0)
            alone = now
            on_line(f"nobody drives rollout {name}: its process is gone; {WATCHED}")
        elif now - alone >= PATIENCE:
            raise abandoned(name, state, now - alone)
        means.clock.wait(FOLLOW)


def _stuck(state: State) -> bool:
    return state.hold is not None and state.hold.kind is HoldKind.STUCK


def watching_stopped(
    platform: Platform, rollout: str, means: Means | None = None
) -> BackendctlError:
    """What whoever stopped watching a rollout is told: that the rollout did not stop."""
    means = means or Means()
    found = summary(rollout, platform.store.records(rollout))
    holder = platform.store.holder()
    if found.ended is not None:
        stands = "has ended"
    elif holder is not None and driver_lives(platform, means.clock):
        stands = f"goes on (driven by {holder.owner}: {holder.command})"
    elif found.held:
        stands = "is held, and waits for a person"
    else:
        alone = f"; {WATCHED}" if watched(platform) else ""
        stands = f"has not ended, and nobody drives it: its process is gone{alone}"
    return BackendctlError(
        "interrupted",
        "the watching was stopped",
        state=f"rollout {rollout} {stands}",
        next=(f"backendctl rollout watch {rollout}", "backendctl rollout status"),
    )


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
    records, now = store.records(name), serving(store)
    found = explain(name, records, means.judge, from_record(store.samples(name)))
    if now.rollout_in_flight != name:
        return replace(found, next=_still_possible(platform, now, found.next))
    left = not driver_lives(platform, means.clock)
    if not left or waits_for_person(fold(records, means.judge)):
        return found
    alone = f"nobody drives it: its process is gone{f'; {WATCHED}' if watched(platform) else ''}"
    return replace(
        found, notes=(*found.notes, alone), next=("backendctl rollout recover", *found.next[:1])
    )


def _still_possible(platform: Platform, now: Serving, ways: tuple[str, ...]) -> tuple[str, ...]:
    """Of what could be typed when a rollout had just ended, what can be typed now."""
    if platform.away is not None:  # there logs go with the pods that wrote them
        ways = tuple(way for way in ways if not way.startswith("backendctl logs "))
    if now.rollout_in_flight is not None:
        ways = tuple(way for way in ways if way not in ("backendctl rollback", "backendctl deploy"))
        return (*ways, "backendctl rollout status")
    if "backendctl rollback" in ways and not can_go_back(platform, now):
        return ("backendctl status",)
    return ways


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
