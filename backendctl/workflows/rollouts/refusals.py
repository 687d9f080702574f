"""What a rollout command refuses, and what to type instead."""

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Platform
from backendctl.rollout.history import Serving, serving
from backendctl.rollout.planning import Baseline
from backendctl.rollout.states import HoldKind, Phase, State
from backendctl.rollout.verdict import Forecast


def no_rollout_in_flight(platform: Platform) -> Serving:
    now = serving(platform.store)
    if now.rollout_in_flight is not None:
        raise in_flight(now.rollout_in_flight, "it has to end first")
    return now


def in_flight(rollout: str, why: str) -> BackendctlError:
    return BackendctlError(
        "rollout.state",
        f"rollout {rollout} is in flight: {why}",
        state="nothing was changed",
        next=(
            "backendctl rollout status",
            "backendctl rollout abort",
            "backendctl rollout recover",
        ),
    )


def present_rollout(platform: Platform) -> str:
    rollout = serving(platform.store).rollout_in_flight
    if rollout is None:
        raise BackendctlError(
            "rollout.state",
            "no rollout is in flight",
            state="nothing was changed",
            next=("backendctl rollout history",),
        )
    return rollout


def driver_dead(rollout: str, state: State | None) -> BackendctlError:
    phase = state.phase if state is not None else Phase.PREPARE
    stuck = state is not None and state.hold is not None and state.hold.kind is HoldKind.STUCK
    cause = state.hold.why.message if stuck and state and state.hold else "its driver is gone"
    return BackendctlError(
        "rollout.state",
        f"nobody drives rollout {rollout}, which is in phase {phase}",
        cause=cause,
        state="the gateway keeps its present weights",
        next=("backendctl rollout recover",),
    )


def unjudgeable(platform: Platform, ahead: Forecast, baseline: Baseline) -> BackendctlError:
    """Traffic is too low for a verdict; said before anything was changed."""
    cause = "; ".join(ahead.advice)
    if baseline.problem:
        cause = f"the present traffic could not be measured ({baseline.problem}); {cause}"
    traffic = baseline.rps > 0
    # More of it helps unless a release as good as stable can never pass.
    helps = not traffic or all(step.p95 is not None for step in ahead.steps)
    local = ("backendctl deploy --traffic 100/s",) if helps and platform.name == "local" else ()
    stepwise = any(step.percent < 100 for step in ahead.steps)
    other = ("backendctl deploy --strategy blue-green",) if traffic and stepwise else ()
    by_word = "backendctl deploy --unjudged WHY  # you answer for it; it must still be ready"
    return BackendctlError(
        "rollout.unjudgeable",
        f"at {baseline.rps:.2g} requests per second no verdict is possible before the deadline",
        cause=cause,
        state="the release is recorded but was not started; what served goes on serving",
        next=(*local, *other, by_word, "backendctl status"),
    )
