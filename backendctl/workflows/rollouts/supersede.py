"""Undoing the rollout in flight, on a person's word, so that another can begin."""

from backendctl.clock import Clock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import Platform
from backendctl.rollout.history import serving
from backendctl.rollout.machine import NO_RETURN
from backendctl.rollout.outcome import Outcome
from backendctl.rollout.records import fold
from backendctl.workflows.rollouts import reports
from backendctl.workflows.rollouts.commands import FOLLOW, post_command, recover
from backendctl.workflows.rollouts.refusals import driver_lives
from backendctl.workflows.rollouts.running import Means, OnEvent

LEAVE = 30.0
"""Seconds that the process which drove the undone rollout has to give the environment back."""


def check_supersede(platform: Platform) -> str | None:
    """The rollout that `supersede` would undo; None if there is none.

    Raises `missing.environment` for that of a first release: without it nothing would serve.
    """
    now = serving(platform.store)
    if now.rollout_in_flight is not None and now.stable is None:
        raise BackendctlError(
            "missing.environment",
            f"rollout {now.rollout_in_flight} is that of the first release",
            cause="undone, it leaves no release that serves",
            state="nothing was changed",
            next=("backendctl rollout watch", "backendctl rollout abort", "backendctl up"),
        )
    return now.rollout_in_flight


def supersede(
    platform: Platform, on_event: OnEvent, *, by: str, reason: str, means: Means | None = None
) -> Outcome | None:
    """Undo the rollout in flight and wait until its driver has left; None if there is none.

    A living driver is told to; what a dead one left is undone from here. A rollout that is already
    past undoing is waited for. Raises what `post_command` and `recover` raise, and `rollout.held`
    when it could not be undone.
    """
    means = means or Means()
    rollout = check_supersede(platform)
    if rollout is None:
        return None
    reason = f"superseded by a new deploy: {reason}"
    state = fold(platform.store.records(rollout), means.judge)
    if state.phase not in NO_RETURN:
        outcome = post_command(platform, "abort", on_event, by=by, reason=reason, means=means)
    elif driver_lives(platform, means.clock):
        for event in reports.watch(platform, rollout, means):
            on_event(event)
        outcome = reports.outcome(platform, rollout, means)
    else:
        recover(platform, on_event, by=by, wish="abort", reason=reason, means=means)
        outcome = reports.outcome(platform, rollout, means)
    if outcome.result in ("held", "running"):
        error = outcome.error()
        if error is not None:
            raise error
    _await_leave(platform, means.clock)
    return outcome


def _await_leave(platform: Platform, clock: Clock) -> None:
    until = clock.monotonic() + LEAVE
    while driver_lives(platform, clock) and clock.monotonic() < until:
        clock.wait(FOLLOW)
