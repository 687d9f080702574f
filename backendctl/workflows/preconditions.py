"""What must be so before a command begins, and what is said where it is not."""

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Condition, Platform
from backendctl.rollout.history import serving
from backendctl.rollout.judge import shipped
from backendctl.rollout.records import fold
from backendctl.rollout.states import HoldKind, Phase, State
from backendctl.rollout.wording import moment
from backendctl.workflows.environment import Opened


def must_serve(opened: Opened) -> None:
    """Raises `missing.environment` unless every server runs and a release serves.

    In a cluster the servers outlive a `down`, and only the release tells. A rollout in flight has
    started stable, or knows how to go on without it.
    """
    platform = opened.platform
    servers = platform.foundation.status()
    down = [each for each in servers if not each.running and each.needed]
    name, now, why = opened.environment.name, serving(platform.store), ""
    if down:
        why = f"not running: {', '.join(each.name for each in down)}"
    elif now.stable is None:
        why = "no release serves yet"
    elif now.rollout_in_flight is None and _stopped(platform, now.stable):
        why = f"release {now.stable} should serve and is stopped"
    if why:
        raise BackendctlError(
            "missing.environment",
            f"environment {name!r} is not up",
            cause=why,
            state="nothing was changed",
            next=tuple(
                dict.fromkeys(
                    (*(line for each in down for line in each.next), f"backendctl up --env {name}")
                )
            ),
        )


def _stopped(platform: Platform, number: int) -> bool:
    return platform.runtime.status(number).condition is Condition.STOPPED


def rollout_first(platform: Platform, refused: BackendctlError) -> BackendctlError:
    """A refusal because somebody holds the environment, told from the rollout that they drive.

    As it was where there is no such rollout, or where its driver may be gone: then how long the
    lease still runs is what a person has to know.
    """
    rollout, holder = serving(platform.store).rollout_in_flight, platform.store.holder()
    if refused.code != "rollout.locked" or rollout is None or not (holder and holder.alive):
        return refused
    state = fold(platform.store.records(rollout), shipped())
    return BackendctlError(
        refused.code,
        f"rollout {rollout} is in flight: {stands(state)}",
        cause=f"{refused.message}, since {moment(holder.since)}",
        state=refused.state,
        next=refused.next,
        data=refused.data,
    )


def stands(state: State) -> str:
    """Where a rollout is, in a few words: `paused at 5 %`."""
    share = state.weights.get(state.plan.candidate, 0)
    if state.hold is not None:
        kinds = {HoldKind.PAUSED: "paused", HoldKind.APPROVAL: "waiting for an approval"}
        return f"{kinds.get(state.hold.kind, 'held')} at {share} %"
    if state.phase is Phase.MIRROR:
        return "trying its release on copies of users' reads, at 0 %"
    if state.phase in (Phase.STEP, Phase.BAKE):
        return f"watched at {share} %"
    return f"in phase {state.phase}"
