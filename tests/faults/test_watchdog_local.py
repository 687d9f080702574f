"""The environment's own watchdog on real servers: drivers and watchdogs are killed under load."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from backendctl.platforms.base import WATCHDOG, Platform, ServiceStatus
from backendctl.rollout.deadman import CONFIRM
from backendctl.rollout.history import serving
from backendctl.rollout.judge import shipped
from backendctl.rollout.lease import LEASE
from backendctl.rollout.records import check, fold
from backendctl.rollout.states import HoldKind, Phase, State
from backendctl.workflows.rollouts import explain_rollout, history, post_command
from backendctl.workflows.watching import NAME
from tests.faults.rollout_driver import deploy, environment
from tests.open_loop import OpenLoop
from tests.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("watchdog-local")]
ROOT = Path(__file__).parents[2]
RPS = 60.0
FEW = 15.0
"""Seconds that restoring takes at most on a busy machine: a start of Python, and a drain of 5 s."""
HOLD = LEASE + CONFIRM + 8.0


class Shop:
    """An environment in which a release serves users at a constant rate."""

    def __init__(self, platform: Platform, project: Path) -> None:
        self.platform = platform
        self.project = project

    def users(self) -> OpenLoop:
        return OpenLoop(self.platform.router.url, RPS, (("GET", "/keep"), ("GET", "/new")))

    def driver(self) -> "subprocess.Popen[bytes]":
        """A deploy in a process of its own."""
        argv = [sys.executable, "-m", "tests.faults.rollout_driver", str(self.project)]
        return subprocess.Popen(
            argv,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "TEST_HOLD": str(HOLD)},
        )

    def state(self) -> State | None:
        """Of the rollout in flight."""
        rollout = serving(self.platform.store).rollout_in_flight
        return fold(self.platform.store.records(rollout), shipped()) if rollout else None

    def await_state(self, condition: Callable[[State], bool]) -> None:
        def seen() -> bool:
            state = self.state()
            return state is not None and condition(state)

        assert eventually(seen, 30.0), self.state()

    def kill(self, driver: "subprocess.Popen[bytes]") -> None:
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait(10)

    def undone(self) -> bool:
        return serving(self.platform.store).rollout_in_flight is None

    def watchdog(self) -> ServiceStatus:
        return next(each for each in self.platform.foundation.status() if each.name == WATCHDOG)

    def watchdog_process(self) -> psutil.Process:
        home = str(self.project / ".backendctl" / "local")
        (found,) = [
            process
            for process in psutil.process_iter(["cmdline"])
            if {"backendctl.workflows.watchdog", home} <= set(process.info["cmdline"] or ())
        ]
        return found

    def assert_whole(self, stable: int) -> None:
        assert serving(self.platform.store).stable == stable
        routes = self.platform.router.read()
        assert routes is not None
        assert dict(routes.weights) == {stable: 100}
        assert eventually(lambda: list(self.platform.runtime.running()) == [stable])
        newest = self.platform.store.rollouts()[-1]
        assert check(self.platform.store.records(newest), shipped()) == []


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    project = tmp_path_factory.mktemp("watched")
    platform = environment(project)
    try:
        platform.foundation.ensure(lambda _: None)
        assert deploy(platform, project, {}).result == "promoted"
        yield Shop(platform, project)
    finally:
        platform.foundation.stop(purge=True)


@pytest.fixture
def stable(shop: Shop) -> int:
    number = serving(shop.platform.store).stable
    assert number is not None
    return number


def at_its_step(state: State) -> bool:
    return state.phase is Phase.STEP and state.observing


def test_stable_serves_everybody_again_soon_after_a_dead_drivers_lease(
    shop: Shop, stable: int
) -> None:
    with shop.users() as users:
        users.run(0.5)
        driver = shop.driver()
        shop.await_state(at_its_step)
        shop.kill(driver)
        killed = time.monotonic()
        assert eventually(shop.undone, LEASE + CONFIRM + FEW)
        seconds = time.monotonic() - killed
        users.run(0.5)
    assert seconds > LEASE / 3  # not before the lease ran out
    assert users.failed == []
    assert len(users.outcomes) > 500
    shop.assert_whole(stable)
    newest = next(iter(history(shop.platform)))
    assert f"nobody recovered it before its lease had run out; {NAME} took over" in newest.why
    said = f"rollout {newest.rollout} is restored"
    assert eventually(lambda: said in "\n".join(shop.platform.foundation.logs(WATCHDOG, 5)))


def test_a_watchdog_killed_while_it_restores_is_followed_by_one_that_finishes(
    shop: Shop, stable: int
) -> None:
    def restoring() -> bool:
        holder = shop.platform.store.holder()
        return holder is not None and holder.owner == NAME

    with shop.users() as users:
        users.run(0.5)
        driver = shop.driver()
        shop.await_state(at_its_step)
        shop.kill(driver)
        assert eventually(restoring, LEASE + CONFIRM + FEW)
        first = shop.watchdog_process()
        first.kill()
        assert not shop.undone()
        assert eventually(shop.undone, 2 * (LEASE + CONFIRM) + FEW)
        users.run(0.5)
    assert shop.watchdog_process().pid != first.pid
    assert shop.watchdog().restarts >= 1
    assert users.failed == []
    shop.assert_whole(stable)


def test_a_hold_whose_driver_is_dead_stays_until_its_own_deadline(shop: Shop, stable: int) -> None:
    with shop.users() as users:
        users.run(0.5)
        driver = shop.driver()
        shop.await_state(at_its_step)
        post_command(shop.platform, "pause", lambda _: None, by="on-call", reason="looking")
        shop.await_state(lambda s: s.hold is not None and s.hold.kind is HoldKind.PAUSED)
        shop.kill(driver)
        state = shop.state()
        assert state is not None
        assert state.hold is not None
        until = state.hold.until
        while time.time() < until - 1.0:  # well beyond the lease of the driver
            held = shop.state()
            assert held is not None
            assert held.hold is not None
            assert held.weights == state.weights
            users.run(0.5)
        assert eventually(shop.undone, FEW)
        users.run(0.5)
    assert users.failed == []
    shop.assert_whole(stable)
    assert "nobody decided before the hold's deadline" in next(iter(history(shop.platform))).why
    timeline = explain_rollout(shop.platform).timeline
    assert f"recover: go-on by {NAME}" in [line.what for line in timeline]


def test_it_goes_with_the_environment_and_comes_back_with_it(shop: Shop) -> None:
    before = shop.watchdog_process()
    shop.platform.foundation.stop()
    assert not before.is_running()
    shop.platform.foundation.ensure(lambda _: None)
    assert eventually(lambda: shop.watchdog().running)
    assert shop.watchdog_process().pid != before.pid
