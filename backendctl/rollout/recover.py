"""Taking over after a dead driver, and clearing away what belongs to nothing.

What `recover` does with a rollout that it finds, by the invariants:
- ended or none: nothing;
- draining after a bake that was passed: finished, stable may already be stopped;
- an abort under way: finished;
- held and waiting for a person: left alone, unless a person says what to do;
- anything before: undone. Nobody watched the candidate while no driver lived, and silence is no
  success.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from backendctl.clock import Clock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import Condition, OnLine, Platform, Release, Routes, unheard
from backendctl.rollout.history import Serving
from backendctl.rollout.redact import without_secrets
from backendctl.rollout.states import HoldKind, Phase, State

CLEAR_DEADLINE = 30.0
"""Seconds to wait for requests in flight to a release that belongs to nothing."""


def waits_for_person(state: State) -> bool:
    """Whether a rollout is held for a person, rather than left by a dead driver."""
    return state.hold is not None and state.hold.kind is not HoldKind.STUCK


@dataclass(frozen=True, slots=True)
class Cleared:
    """A release that ran and belonged to nothing."""

    number: int
    stopped: bool
    message: str = ""


def clear_leftovers(platform: Platform, serving: Serving) -> Iterator[Cleared]:
    """Stop releases that run but neither serve nor take part in a rollout.

    The gateway is asked first: a release that it sends requests to is never stopped here, it is
    reported. The caller holds the environment, and no rollout is in flight.
    """
    if serving.rollout_in_flight is not None:
        raise ValueError("a rollout is in flight; its releases are not leftovers")
    for number in platform.runtime.running():
        if number == serving.stable:
            continue
        try:
            yield _clear(platform, serving, number)
        except BackendctlError as error:
            yield Cleared(number, False, error.message)


def _clear(platform: Platform, serving: Serving, number: int) -> Cleared:
    router = platform.router
    routes = router.read()
    if routes is not None and routes.weights.get(number, 0) > 0:
        return Cleared(number, False, "the gateway sends users' requests to it")
    if routes is not None and number in {*routes.weights, routes.preview, routes.fallback}:
        router.apply(Routes({} if serving.stable is None else {serving.stable: 100}))
    idle = router.drain(number, CLEAR_DEADLINE)
    platform.runtime.stop(number)
    router.disconnect(number)
    return Cleared(number, True, "" if idle else "requests were still in flight")


def restore_serving(
    platform: Platform,
    release: Release,
    deadline: float,
    clock: Clock,
    on_line: OnLine = unheard,
) -> bool:
    """See to it that `release` runs, is connected and gets all requests; True if it already did.

    For `up` after a stop or a reboot, and for a gateway that lost its routes. Idempotent;
    `on_line` is told what is waited for. Raises `release.start`, `release.not-ready` or
    `platform.gateway`.
    """
    ready = platform.runtime.status(release.number).condition is Condition.READY
    routes = platform.router.read()
    if ready and routes is not None and routes.weights.get(release.number) == 100:
        return True
    _run_and_connect(platform, release, deadline, clock, on_line)
    platform.router.apply(Routes({release.number: 100}))
    return False


def restart_arms(
    platform: Platform,
    stable: Release,
    others: Iterable[Release],
    deadline: float,
    clock: Clock,
    on_line: OnLine = unheard,
) -> None:
    """See to it that the releases the gateway sends requests to run; its weights stay.

    After a reboot in the middle of a rollout, which is a person's or `recover`'s to end: until
    then users must get answers. Idempotent; raises as `restore_serving`.
    """
    routes = platform.router.read()
    weights = routes.weights if routes is not None else {}
    with_requests = [each for each in others if weights.get(each.number)]
    restart(platform, [stable, *with_requests], deadline, clock, on_line)


def arms_needed(state: State, *, undo: bool) -> tuple[int, ...]:
    """The releases of an unfinished rollout that must run before it is recovered.

    `undo`: whether it will be undone; then nothing more is asked of the candidate.
    """
    candidate, stable = state.plan.candidate, state.plan.stable
    if state.phase is Phase.DRAIN:
        return (candidate,)
    kept = () if stable is None else (stable,)
    if undo or state.phase is Phase.ABORT or not state.started:
        return kept
    return (*kept, candidate)


def restart(
    platform: Platform,
    releases: Iterable[Release],
    deadline: float,
    clock: Clock,
    on_line: OnLine = unheard,
) -> None:
    """See to it that the releases run and the gateway finds them healthy; its weights stay.

    Idempotent; raises as `restore_serving`.
    """
    for release in releases:
        if platform.runtime.status(release.number).condition is not Condition.READY:
            _run_and_connect(platform, release, deadline, clock, on_line)


def _run_and_connect(
    platform: Platform, release: Release, deadline: float, clock: Clock, on_line: OnLine
) -> None:
    runtime = platform.runtime
    began = clock.monotonic()
    status = runtime.status(release.number)
    if status.condition is not Condition.READY:
        on_line(f"waiting for release {release.number} to be ready, at most {deadline:g} s")
        runtime.start(release)
        status = runtime.await_ready(release, deadline)
    if status.condition is not Condition.READY:
        died = status.condition in (Condition.FAILED, Condition.CRASHING)
        raise BackendctlError(
            "release.start" if died else "release.not-ready",
            f"release {release.number} is {status.condition}",
            cause="\n".join(without_secrets(platform, status.detail.splitlines())),
            next=(f"backendctl logs --release {release.number}",),
        )
    left = max(1.0, deadline - (clock.monotonic() - began))
    on_line(f"waiting for the gateway to find release {release.number} healthy")
    platform.router.connect(release.number, left)
