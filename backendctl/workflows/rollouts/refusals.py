"""What a rollout command refuses, and what to type instead."""

from backendctl.clock import Clock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import WATCHDOG, Platform
from backendctl.rollout.history import Serving, serving, summary
from backendctl.rollout.lease import LEASE
from backendctl.rollout.planning import Baseline
from backendctl.rollout.states import HoldKind, State
from backendctl.rollout.verdict import Forecast
from backendctl.rollout.verdict.words import duration
from backendctl.rollout.wording import moment, whereabouts
from backendctl.spec.model import PlatformName, Spec

SUPERSEDE = "backendctl deploy --supersede --reason WHY"


def driver_lives(platform: Platform, clock: Clock) -> bool:
    """Whether some process holds the environment and may be alive."""
    holder = platform.store.holder()
    return holder is not None and holder.alive is not False and holder.expires > clock.now()


def no_rollout_in_flight(platform: Platform) -> Serving:
    """Who serves. Raises `rollout.locked` while a rollout is in flight."""
    now = serving(platform.store)
    if now.rollout_in_flight is not None:
        raise in_flight(platform, now.rollout_in_flight)
    return now


def refuse_a_second(platform: Platform, by: str, clock: Clock) -> None:
    """Raises `rollout.locked` naming the holder, while a rollout is in flight; changes nothing."""
    rollout = serving(platform.store).rollout_in_flight
    if rollout is None:
        return
    try:
        refuse_while_driven(platform, by, "deploy", clock)
    except BackendctlError as error:
        if error.code == "rollout.locked":
            error.next = (*error.next, SUPERSEDE)
        raise
    rollout = serving(platform.store).rollout_in_flight
    if rollout is not None:
        raise in_flight(platform, rollout)


def refuse_while_driven(platform: Platform, by: str, command: str, clock: Clock) -> None:
    """Raises `rollout.locked` as the store says it, while a living process holds the environment.

    Asked by trying, since the store knows best who holds it; one that nobody holds is left alone.
    """
    if driver_lives(platform, clock):
        platform.store.release(platform.store.acquire(by, command, LEASE))


def in_flight(
    platform: Platform, rollout: str, why: str = "it has to end first"
) -> BackendctlError:
    """A rollout that nobody drives just now, but that has not ended either."""
    found = summary(rollout, platform.store.records(rollout))
    stands = "is held" if found.held else f"was left by its driver while {found.stands}"
    ways = "backendctl rollout resume" if found.held else "backendctl rollout recover"
    return BackendctlError(
        "rollout.locked",
        f"rollout {rollout} of release {found.candidate}, begun by {found.begun_by}, holds this "
        f"environment: {why}",
        cause=f"it {stands}; begun {moment(found.began)}" + (f": {found.why}" if found.why else ""),
        state="nothing was changed",
        next=("backendctl rollout status", ways, "backendctl rollout abort", SUPERSEDE),
        data={"rollout": rollout, "begun_by": found.begun_by, "began": found.began},
    )


def present_rollout(platform: Platform) -> str:
    """The rollout in flight. Raises `rollout.state` when there is none."""
    rollout = serving(platform.store).rollout_in_flight
    if rollout is None:
        raise BackendctlError(
            "rollout.state",
            "no rollout is in flight",
            state="nothing was changed",
            next=("backendctl rollout history",),
        )
    return rollout


WATCHED = "the environment's watchdog ends it within seconds, unless somebody does"


def watched(platform: Platform) -> bool:
    """Whether a watchdog runs that will end a rollout which nobody drives."""
    return any(each.name == WATCHDOG and each.running for each in platform.foundation.status())


def abandoned(rollout: str, state: State, waited: float) -> BackendctlError:
    """For whoever watches a rollout that has neither a driver nor anybody who ends it."""
    error = driver_dead(rollout, state)
    after = f" after {duration(waited)}" if waited else ""
    return BackendctlError(
        "rollout.abandoned",
        f"nobody drives rollout {rollout}, and nobody has ended it{after}",
        cause=error.cause,
        state=error.state,
        next=error.next,
    )


def _doing(state: State) -> str:
    plan = state.plan
    if state.hold is not None:
        return "held"
    return whereabouts(state.phase, state.stage, plan.steps, plan.candidate, plan.stable)


def driver_dead(rollout: str, state: State | None) -> BackendctlError:
    stuck = state is not None and state.hold is not None and state.hold.kind is HoldKind.STUCK
    cause = state.hold.why.message if stuck and state and state.hold else "its driver is gone"
    return BackendctlError(
        "rollout.state",
        f"nobody drives rollout {rollout}" + (f", left {_doing(state)}" if state else ""),
        cause=cause,
        state="the gateway keeps its present weights",
        next=("backendctl rollout recover",),
    )


ENOUGH = 50.0
"""Requests per second from which more of them is not what a verdict lacks."""


def unjudgeable(
    platform: Platform, spec: Spec, ahead: Forecast, baseline: Baseline
) -> BackendctlError:
    """Traffic is too low for a verdict; said before anything was changed."""
    cause = "; ".join(ahead.advice)
    if baseline.problem:
        cause = f"the present traffic could not be measured ({baseline.problem}); {cause}"
    traffic = baseline.rps > 0
    # More of it helps unless a release as good as stable can never pass.
    helps = baseline.rps < ENOUGH and (
        not traffic or all(step.p95 is not None for step in ahead.steps)
    )
    environment = spec.environments.get(platform.name)
    local = environment is not None and environment.platform is PlatformName.LOCAL
    ours = ("backendctl deploy --traffic 100/s",) if helps and local else ()
    stepwise = any(step.percent < 100 for step in ahead.steps)
    other = ("backendctl deploy --strategy blue-green",) if traffic and stepwise else ()
    by_word = "backendctl deploy --unjudged WHY  # you answer for it; it must still be ready"
    return BackendctlError(
        "rollout.unjudgeable",
        f"at {baseline.rps:.3g} requests per second no verdict is possible before the deadline",
        cause=cause,
        state="no release was made; what served goes on serving",
        next=(*ours, *other, by_word, "backendctl status"),
    )
