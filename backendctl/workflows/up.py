"""`backendctl up`: the servers of an environment and, on them, a release that serves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backendctl.clock import SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import Release
from backendctl.rollout.events import Event
from backendctl.rollout.history import serving as who_serves
from backendctl.rollout.lease import Lease, held
from backendctl.rollout.recover import restart_arms, restore_serving
from backendctl.workflows import rollouts
from backendctl.workflows.environment import Opened
from backendctl.workflows.identity import person
from backendctl.workflows.notifications import notifying
from backendctl.workflows.progress import Progress
from backendctl.workflows.release import make_release

OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Up:
    """What `up` left running."""

    environment: str
    url: str
    release: int
    first: bool
    """Whether this run made the environment's first release."""
    already: bool
    """Whether all of it was running before."""

    def data(self) -> Mapping[str, Any]:
        return {
            "environment": self.environment,
            "url": self.url,
            "release": self.release,
            "first": self.first,
            "already_running": self.already,
        }


def up(opened: Opened, progress: Progress, on_event: OnEvent) -> Up:
    """Bring the environment to the state it was last in; make the first release if it has none.

    Idempotent, and the way back after a reboot. Raises `rollout.locked`, `rollout.held` when an
    unfinished rollout must be recovered first, and what starting a release may raise.
    """
    store = opened.platform.store
    with held(store, person(), "up") as lease:
        with progress.step("Starting the servers") as say:
            opened.platform.foundation.ensure(say)
        serving = who_serves(store)
        if serving.rollout_in_flight is not None:
            if serving.stable is not None:
                _answer_meanwhile(opened, serving.stable, progress)
            raise BackendctlError(
                "rollout.held",
                f"rollout {serving.rollout_in_flight} was left unfinished",
                state="the servers run, and so do the releases that get requests; "
                "the gateway keeps its weights",
                next=("backendctl rollout recover", "backendctl rollout status"),
            )
        if serving.stable is None:
            return _first(opened, lease, progress, on_event)
        already = _serve_again(opened, serving.stable, progress)
        return _result(opened, serving.stable, first=False, already=already)


def _first(opened: Opened, lease: Lease, progress: Progress, on_event: OnEvent) -> Up:
    release = make_release(opened, progress, note="first release")
    with notifying(opened, progress) as notify:
        outcome = rollouts.run_rollout(
            opened.platform,
            opened.spec,
            release,
            opened.spec.rollout.strategy,
            on_event,
            lease=lease,
            by=person(),
            means=rollouts.Means(on_line=progress.detail, notify=notify),
        )
    error = outcome.error()
    if error is not None:
        raise error
    return _result(opened, release.number, first=True, already=False)


def _serve_again(opened: Opened, number: int, progress: Progress) -> bool:
    """Make the release that last served serve again; False if something had to be done."""
    release = find_release(opened, number)
    with progress.step(f"Release {number}") as say:
        return restore_serving(
            opened.platform, release, opened.spec.rollout.ready_deadline, SystemClock(), say
        )


def _answer_meanwhile(opened: Opened, stable: int, progress: Progress) -> None:
    """Users get answers while somebody decides what becomes of the rollout."""
    others = [each for each in opened.platform.store.releases() if each.number != stable]
    with progress.step("The releases that get requests") as say:
        restart_arms(
            opened.platform,
            find_release(opened, stable),
            others,
            opened.spec.rollout.ready_deadline,
            SystemClock(),
            say,
        )


def find_release(opened: Opened, number: int) -> Release:
    """The release of that number. Raises `missing.release` naming those there are."""
    releases = opened.platform.store.releases()
    for release in releases:
        if release.number == number:
            return release
    there = f"there are 1 to {len(releases)}" if releases else "there is none yet"
    raise BackendctlError(
        "missing.release",
        f"environment {opened.environment.name!r} has no release {number}",
        cause=there,
        state="nothing was changed",
        next=("backendctl status",),
    )


def _result(opened: Opened, number: int, *, first: bool, already: bool) -> Up:
    url = opened.platform.router.url
    return Up(opened.environment.name, url, number, first=first, already=already)
