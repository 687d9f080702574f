"""Speaking to a rollout in flight, and taking over from a dead driver."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from backendctl.clock import SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import PersonCommand, Platform
from backendctl.rollout import machine
from backendctl.rollout.history import Follower, serving
from backendctl.rollout.lease import held
from backendctl.rollout.observations import TakenOver
from backendctl.rollout.outcome import Outcome, outcome_of
from backendctl.rollout.records import fold
from backendctl.rollout.recover import (
    Cleared,
    arms_needed,
    clear_leftovers,
    restart,
    waits_for_person,
)
from backendctl.rollout.states import HoldKind, Kind, Phase, State
from backendctl.workflows.progress import Progress
from backendctl.workflows.rollouts.refusals import (
    driver_dead,
    driver_lives,
    present_rollout,
    refuse_while_driven,
)
from backendctl.workflows.rollouts.running import Means, OnEvent, make_driver

FOLLOW = 0.25
"""Seconds between two looks at another process's journal."""

Verb = Literal["pause", "resume", "approve", "promote", "abort"]


def check_command(
    platform: Platform,
    verb: Verb,
    *,
    skip_judgement: bool = False,
    means: Means | None = None,
) -> str:
    """The rollout in flight, if it can be told that; for whoever asks a person before telling it.

    Raises `rollout.state` when there is no rollout, it is not in a state for that, its driver is
    gone, or it has not passed its judgement and `skip_judgement` does not say to promote it anyway.
    """
    means = means or Means()
    rollout = present_rollout(platform)
    state = fold(platform.store.records(rollout), means.judge)
    alone = not driver_lives(platform, means.clock) and not waits_for_person(state)
    if alone and (verb != "abort" or state.phase in machine.NO_RETURN):
        raise driver_dead(rollout, state)
    _check_verb(rollout, state, verb)
    if verb == "promote" and not skip_judgement:
        _check_passed(rollout, state)
    return rollout


def post_command(
    platform: Platform,
    verb: Verb,
    on_event: OnEvent,
    *,
    by: str,
    reason: str,
    skip_judgement: bool = False,
    means: Means | None = None,
) -> Outcome:
    """Tell the rollout in flight what a person wants, and follow it until that is so.

    A living driver is left to do it; a held rollout that nobody drives is driven from here.
    `promote` goes on with a rollout that was paused after it had passed; with `skip_judgement` it
    promotes without a verdict. Raises as `check_command`.
    """
    means = means or Means()
    store = platform.store
    rollout = check_command(platform, verb, skip_judgement=skip_judgement, means=means)
    if verb == "promote" and not skip_judgement:
        verb = "resume"  # its judgement stands, and so does that of the bake
    word = PersonCommand(verb, by, reason, means.clock.now())
    if driver_lives(platform, means.clock):
        store.post(rollout, word)
        return _follow(platform, rollout, verb, on_event, means)
    with held(store, by, f"rollout {verb}", clock=means.clock) as lease:
        store.post(rollout, word)
        driver = make_driver(platform, lease, rollout, on_event, means)
        driver.take_over(TakenOver(by, "go-on", reason))  # which takes in the word, too
        return outcome_of(rollout, driver.run(), asked=verb == "abort")


def _check_verb(rollout: str, state: State, verb: str) -> None:
    paused = state.hold is not None or state.pause is not None
    asks = state.hold is not None and state.hold.kind is HoldKind.APPROVAL
    ways: tuple[str, ...] = ("backendctl rollout status",)
    if state.phase in machine.NO_RETURN:
        said = f"cannot be told to {verb}: it will be through in a moment"
    elif verb == "approve" and not asks:
        said = "does not wait for an approval"
    elif verb == "resume" and asks:
        said, ways = "waits for an approval", ("backendctl rollout approve", *ways)
    elif verb == "resume" and not paused:
        said = "is not paused or held"
    elif verb == "pause" and paused:
        said = "is paused or held already"
    else:
        return
    raise BackendctlError(
        "rollout.state",
        f"rollout {rollout} {said}",
        state="nothing was changed",
        next=ways,
    )


def _check_passed(rollout: str, state: State) -> None:
    if state.hold is not None and state.hold.kind is HoldKind.APPROVAL:
        raise BackendctlError(
            "rollout.state",
            f"rollout {rollout} waits for an approval: {state.hold.why.message}",
            state="nothing was changed",
            next=("backendctl rollout approve", "backendctl rollout abort"),
        )
    if not has_passed(state):
        known = state.judgement.reason if state.judgement is not None else "nothing was judged yet"
        raise BackendctlError(
            "rollout.state",
            f"rollout {rollout} has not passed its judgement",
            cause=known,
            state="nothing was changed",
            next=(
                "backendctl rollout watch",
                "backendctl rollout promote --skip-judgement --reason WHY",
            ),
        )
    if state.hold is None and state.pause is None:
        raise BackendctlError(
            "rollout.state",
            f"rollout {rollout} needs no word: it goes on by itself",
            state="nothing was changed",
            next=("backendctl rollout watch",),
        )


def has_passed(state: State) -> bool:
    """Whether nothing but a person keeps a rollout from giving the candidate all requests.

    What is never judged (a first release, a rollback) has nothing to pass.
    """
    if state.plan.kind in (Kind.FIRST, Kind.ROLLBACK) or state.override is not None:
        return True
    where = state.phase
    if state.hold is not None:
        if state.hold.kind is not HoldKind.PAUSED:
            return False
        where = state.hold.back
    certified = state.plan.kind is Kind.CANARY and state.passed is not None
    return certified and where in (Phase.PROMOTE, Phase.BAKE)


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


def _bring_back(
    platform: Platform,
    state: State,
    numbers: Sequence[int],
    progress: Progress,
    means: Means,
) -> None:
    with progress.step("Starting the servers") as say:
        platform.foundation.ensure(say)
    wanted = [each for each in platform.store.releases() if each.number in numbers]
    with progress.step("The releases that get requests") as say:
        try:
            restart(platform, wanted, state.plan.ready_deadline, means.clock, say)
        except BackendctlError as error:
            error.state = error.state or "the rollout is as it was; its weights stay"
            if state.plan.candidate in numbers and state.phase is not Phase.DRAIN:
                error.next = (*error.next, "backendctl rollout recover --abort")
            raise


@dataclass(frozen=True, slots=True)
class Recovered:
    """What recovery found and did."""

    outcome: Outcome | None
    """None when no rollout was in flight."""
    cleared: tuple[Cleared, ...]


def check_recover(platform: Platform, by: str, *, promote: bool, take_over: bool) -> None:
    """For whoever asks a person before recovering; changes nothing.

    Raises `rollout.locked` while a driver lives that is not to be shut out, and `rollout.state`
    when there is no rollout to promote.
    """
    if not take_over:
        refuse_while_driven(platform, by, "rollout recover", SystemClock())
    if promote:
        present_rollout(platform)


def recover(
    platform: Platform,
    on_event: OnEvent,
    *,
    by: str,
    wish: Literal["abort", "promote"] | None = None,
    reason: str = "",
    take_over: bool = False,
    end_hold: bool = False,
    after: int | None = None,
    progress: Progress | None = None,
    means: Means | None = None,
) -> Recovered:
    """Finish or undo what a dead driver left, then stop what belongs to nothing.

    `wish`: what a person wants instead of what `rollout/recover.py` says. `take_over`: also from a
    holder that is not known to be dead. `end_hold`: drive a held rollout to its own deadline and
    do what its policy says then. `after`: do nothing if anybody was given the environment since
    that epoch. `progress`: first see to it that the servers and the releases that go on serving
    run, also after a reboot, and tell it. Raises `rollout.locked` while a driver lives, and what
    starting servers and releases raises.
    """
    means = means or Means()
    store = platform.store
    with held(store, by, "rollout recover", take_over=take_over, clock=means.clock) as lease:
        if after is not None and lease.grant.epoch != after + 1:
            return Recovered(None, ())
        rollout = serving(store).rollout_in_flight
        outcome = None
        if rollout is not None:
            state = fold(store.records(rollout), means.judge)
            waits = waits_for_person(state) and wish is None
            if progress is not None:
                needed = arms_needed(state, undo=not waits and wish != "promote")
                _bring_back(platform, state, needed, progress, means)
            if waits and not end_hold:
                return Recovered(outcome_of(rollout, state), ())
            said = reason or f"its driver was gone; {by} took over"
            go_on = wish == "promote" or waits
            choice: Literal["undo", "go-on"] = "go-on" if go_on else "undo"
            if wish == "promote":
                store.post(rollout, PersonCommand("promote", by, said, means.clock.now()))
            driver = make_driver(platform, lease, rollout, on_event, means, stay=waits)
            driver.take_over(TakenOver(by, choice, said))
            outcome = outcome_of(rollout, driver.run(), asked=True)
        now = serving(store)
        cleared = () if now.rollout_in_flight else tuple(clear_leftovers(platform, now))
        return Recovered(outcome, cleared)
