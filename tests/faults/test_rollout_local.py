"""Rollouts on the local platform, under load, while their processes are killed or spoken to."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backendctl.platforms.base import Platform
from backendctl.rollout.history import serving
from backendctl.rollout.judge import shipped
from backendctl.rollout.records import check, fold
from backendctl.rollout.states import Phase, State
from backendctl.workflows.rollouts import post_command, recover, run_rollback
from tests.faults.rollout_driver import deploy, environment, mirroring, spec
from tests.open_loop import OpenLoop
from tests.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("rollout-local")]
ROOT = Path(__file__).parents[2]
RPS = 100.0
PLAIN = (("GET", "/keep"), ("GET", "/keep"), ("GET", "/new"))


class Shop:
    """An environment in which a release serves users at a constant rate."""

    def __init__(self, platform: Platform, project: Path) -> None:
        self.platform = platform
        self.project = project

    def users(self) -> OpenLoop:
        return OpenLoop(self.platform.router.url, RPS, PLAIN)

    def driver(self, *values: str) -> "subprocess.Popen[str]":
        """A deploy in a process of its own."""
        argv = [sys.executable, "-m", "tests.faults.rollout_driver", str(self.project), *values]
        return subprocess.Popen(
            argv,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
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

    def assert_whole(self, stable: int) -> None:
        now = serving(self.platform.store)
        assert (now.stable, now.rollout_in_flight) == (stable, None)
        assert list(self.platform.runtime.running()) == [stable]
        routes = self.platform.router.read()
        assert routes is not None
        assert dict(routes.weights) == {stable: 100}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    project = tmp_path_factory.mktemp("shop")
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


def test_promotion_and_rollback_lose_no_request(shop: Shop, stable: int) -> None:
    with shop.users() as users:
        users.run(0.5)
        outcome = deploy(shop.platform, shop.project, {})
        assert outcome.result == "promoted", outcome.reason
        back = run_rollback(shop.platform, spec(), lambda _: None, by="tester")
        assert back.result == "promoted", back.reason
        users.run(0.5)
    assert len(users.outcomes) > 500
    assert users.failed == []
    shop.assert_whole(stable)
    assert check(shop.platform.store.records(outcome.rollout), shipped()) == []


def test_a_bad_release_is_convicted_and_only_its_own_errors_reach_users(
    shop: Shop, stable: int
) -> None:
    with shop.users() as users:
        users.run(0.5)
        outcome = deploy(shop.platform, shop.project, {"BAD": "yes"})
        users.run(0.5)
    assert outcome.result == "restored"
    assert "evidence" in outcome.reason
    assert all(each.status == 500 for each in users.failed)
    shop.assert_whole(stable)


def test_a_release_that_fails_all_its_reads_is_undone_before_any_user_sees_it(
    shop: Shop, stable: int
) -> None:
    with shop.users() as users:
        users.run(0.5)
        outcome = deploy(shop.platform, shop.project, {"BROKEN": "/keep /new"}, mirroring())
        users.run(0.5)
    assert outcome.result == "restored", outcome.reason
    assert "with copies of users' reads: candidate failed" in outcome.reason
    assert len(users.outcomes) > 300
    assert users.failed == []
    shop.assert_whole(stable)
    assert check(shop.platform.store.records(outcome.rollout), shipped()) == []


def test_a_driver_killed_at_a_step_is_recovered_without_a_failed_request(
    shop: Shop, stable: int
) -> None:
    with shop.users() as users:
        users.run(0.5)
        driver = shop.driver()
        shop.await_state(at_its_step)
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait(10)
        done = recover(shop.platform, lambda _: None, by="on-call")
        users.run(0.5)
    assert done.outcome is not None
    assert done.outcome.result == "restored"
    assert "driver was gone" in done.outcome.reason
    assert users.failed == []
    shop.assert_whole(stable)


def test_sigterm_restores_stable_before_the_driver_leaves(shop: Shop, stable: int) -> None:
    with shop.users() as users:
        users.run(0.5)
        driver = shop.driver()
        shop.await_state(at_its_step)
        driver.terminate()
        out, _ = driver.communicate(timeout=30)
    assert driver.returncode == 130
    assert json.loads(out)["code"] == "interrupted"
    assert users.failed == []
    shop.assert_whole(stable)


def test_a_person_pauses_resumes_and_aborts_a_rollout_that_another_process_drives(
    shop: Shop, stable: int
) -> None:
    def speak(verb: str) -> str:
        return post_command(
            shop.platform,
            verb,  # type: ignore[arg-type]
            lambda _: None,
            by="on-call",
            reason="looking",
        ).result

    with shop.users() as users:
        users.run(0.5)
        driver = shop.driver()
        shop.await_state(at_its_step)
        assert speak("pause") == "held"
        assert speak("resume") == "running"
        assert speak("abort") == "restored"
        out, _ = driver.communicate(timeout=30)
    assert driver.returncode == 1
    assert "aborted by on-call: looking" in json.loads(out)["reason"]
    assert users.failed == []
    shop.assert_whole(stable)


def test_a_candidate_that_dies_is_undone_with_its_last_words(shop: Shop, stable: int) -> None:
    with shop.users() as users:
        users.run(0.5)
        outcome = deploy(shop.platform, shop.project, {"DIES": "2.5"})
        users.run(0.5)
    assert outcome.result == "restored"
    assert "out of luck" in outcome.tail
    assert len(users.failed) <= 10  # in flight when it died; Envoy's fallback answers the others
    shop.assert_whole(stable)


def test_a_gateway_killed_at_a_step_comes_back_and_the_rollout_ends(
    shop: Shop, stable: int
) -> None:
    import psutil

    with shop.users() as users:
        users.run(0.5)
        driver = shop.driver()
        shop.await_state(at_its_step)
        envoys = [
            process
            for process in psutil.process_iter(["name", "cmdline"])
            if "envoy" in (process.info["name"] or "")
            and str(shop.project) in " ".join(process.info["cmdline"] or [])
        ]
        assert envoys
        envoys[0].kill()
        out, _ = driver.communicate(timeout=90)
    result = json.loads(out)["result"]
    assert result in ("promoted", "restored"), out
    shop.assert_whole(stable if result == "restored" else stable_after(shop))


def stable_after(shop: Shop) -> int:
    return max(release.number for release in shop.platform.store.releases())
