"""Speaking to a rollout in flight, and taking over from a dead driver."""

from dataclasses import dataclass
from typing import Literal

from backendctl.clock import Clock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import PersonCommand, Platform
from backendctl.rollout import machine
from backendctl.rollout.history import Follower, serving
from backendctl.rollout.lease import held
from backendctl.rollout.observations import TakenOver
from backendctl.rollout.outcome import Outcome, outcome_of
from backendctl.rollout.records import fold
from backendctl.rollout.recover import Cleared, clear_leftovers, waits_for_person
from backendctl.rollout.states import State
from backendctl.workflows.rollouts.refusals import driver_dead, present_rollout
from backendctl.workflows.rollouts.running import Means, OnEvent, make_driver

FOLLOW = 0.25
"""Seconds between two looks at another process's journal."""

Verb = Literal["pause", "resume", "promote", "abort"]


def post_command(
    platform: Platform,
    verb: Verb,
    on_event: OnEvent,
    *,
    by: str,
    reason: str,
    means: Means | None = None,
) -> Outcome:
    """Tell the rollout in flight what a person wants, and follow it until that is so.

    A living driver is left to do it; a held rollout that nobody drives is driven from here.
    Raises `rollout.state` when there is no rollout, or it is not in a state for that.
    """
    means = means or Means()
    store = platform.store
    rollout = present_rollout(platform)
    state = fold(store.records(rollout), means.judge)
    _check_verb(rollout, state, verb)
    word = PersonCommand(verb, by, reason, means.clock.now())
    if driver_lives(platform, means.clock):
        store.post(rollout, word)
        return _follow(platform, rollout, verb, on_event, means)
    if not waits_for_person(state) and verb in ("pause", "resume", "promote"):
        raise driver_dead(rollout, state)
    with held(store, by, f"rollout {verb}", clock=means.clock) as lease:
        store.post(rollout, word)
        driver = make_driver(platform, lease, rollout, on_event, means)
        driver.take_over(TakenOver(by, "undo" if verb == "abort" else "go-on", reason))
        return outcome_of(rollout, driver.run(), asked=verb == "abort")


def _check_verb(rollout: str, state: State, verb: str) -> None:
    paused = state.hold is not None or state.pause is not None
    if state.phase in machine.NO_RETURN:
        why = f"it is in phase {state.phase} and will be through in a moment"
    elif verb == "resume" and not paused:
        why = "it is not paused or held"
    elif verb == "pause" and paused:
        why = "it is paused or held already"
    else:
        return
    raise BackendctlError(
        "rollout.state",
        f"rollout {rollout} cannot {verb}: {why}",
        state="nothing was changed",
        next=("backendctl rollout status",),
    )


def _follow(
    platform: Platform, rollout: str, verb: Verb, on_event: OnEvent, means: Means
) -> Outcome:
    """Watch another process heed a command just posted; a migration may keep it for a while."""
    wanted = len(platform.store.posted(rollout))
    follower = Follower(platform.store, rollout, means.judge)
    follower.advance()  # what came before is known to whoever asked
    while True:
        lives = driver_lives(platform, means.clock)  # asked first: its last records are then there
        for event in follower.advance():
            on_event(event)
        state = follower.state
        heard = state is not None and state.commands >= wanted and _heeded(state, verb)
        if state is not None and (heard or state.ended):
            return outcome_of(rollout, state, asked=verb == "abort")
        if not lives:
            raise driver_dead(rollout, state)
        means.clock.wait(FOLLOW)


def _heeded(state: State, verb: str) -> bool:
    match verb:
        case "abort":
            return state.ended or state.hold is not None
        case "pause":
            return state.ended or state.hold is not None or state.pause is not None
        case _:
            return True


@dataclass(frozen=True, slots=True)
class Recovered:
    """What recovery found and did."""

    outcome: Outcome | None
    """None when no rollout was in flight."""
    cleared: tuple[Cleared, ...]


def recover(
    platform: Platform,
    on_event: OnEvent,
    *,
    by: str,
    wish: Literal["abort", "promote"] | None = None,
    reason: str = "",
    take_over: bool = False,
    means: Means | None = None,
) -> Recovered:
    """Finish or undo what a dead driver left, then stop what belongs to nothing.

    `wish`: what a person wants instead of what `rollout/recover.py` says. `take_over`: also from a
    holder that is not known to be dead. Raises `rollout.locked` while a driver lives.
    """
    means = means or Means()
    store = platform.store
    with held(store, by, "rollout recover", take_over=take_over, clock=means.clock) as lease:
        rollout = serving(store).rollout_in_flight
        outcome = None
        if rollout is not None:
            state = fold(store.records(rollout), means.judge)
            if waits_for_person(state) and wish is None:
                return Recovered(outcome_of(rollout, state), ())
            said = reason or f"its driver was gone; {by} took over"
            choice: Literal["undo", "go-on"] = "go-on" if wish == "promote" else "undo"
            if wish == "promote":
                store.post(rollout, PersonCommand("promote", by, said, means.clock.now()))
            driver = make_driver(platform, lease, rollout, on_event, means)
            driver.take_over(TakenOver(by, choice, said))
            outcome = outcome_of(rollout, driver.run(), asked=True)
        now = serving(store)
        cleared = () if now.rollout_in_flight else tuple(clear_leftovers(platform, now))
        return Recovered(outcome, cleared)


def driver_lives(platform: Platform, clock: Clock) -> bool:
    """Whether some process holds the environment and may be alive."""
    holder = platform.store.holder()
    return holder is not None and holder.alive is not False and holder.expires > clock.now()
