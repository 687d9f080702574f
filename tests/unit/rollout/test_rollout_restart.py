"""After a reboot in the middle of a rollout users get answers, and the weights stay."""

from dataclasses import replace

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Condition, Release, ReleaseStatus, Routes
from backendctl.rollout.recover import restart_arms
from tests.fakes.platform import Fake, fake_platform

DEADLINE = 30.0


def rebooted() -> tuple[Fake, Release, Release, Release]:
    """1 and 3 share the requests, 2 is long gone; no process runs."""
    fake = fake_platform()
    grant = fake.store.acquire("test", "test", 60.0)
    one, two, three = (fake.add_release(grant) for _ in range(3))
    fake.env.routes = Routes({1: 90, 3: 10})
    return fake, one, two, three


def test_the_releases_with_requests_run_again_with_the_weights_they_had() -> None:
    fake, one, two, three = rebooted()
    restart_arms(fake.platform, one, (two, three), DEADLINE, fake.clock)
    conditions = [fake.env.condition(number) for number in (1, 2, 3)]
    assert conditions == [Condition.READY, Condition.STOPPED, Condition.READY]
    assert fake.env.connected == {1, 3}
    assert fake.env.routes == Routes({1: 90, 3: 10})
    assert fake.env.applied == []


def test_stable_runs_also_when_the_candidate_does_not_start() -> None:
    fake, one, two, three = rebooted()
    fake.env.behaviour(3).dies_after = 0.0
    with pytest.raises(BackendctlError) as raised:
        restart_arms(fake.platform, one, (two, three), DEADLINE, fake.clock)
    assert raised.value.code == "release.start"
    assert fake.env.condition(1) is Condition.READY
    assert 1 in fake.env.connected


def test_what_a_release_wrote_before_it_died_is_told_without_secrets_and_not_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake, one, two, three = rebooted()
    fake.env.behaviour(1).dies_after = 0.0
    runtime = fake.platform.runtime
    wait, wrote = runtime.await_ready, "no answer from postgresql://app:hunter2secret@127.0.0.1/app"

    def await_ready(release: Release, deadline: float) -> ReleaseStatus:
        return replace(wait(release, deadline), detail=f"it died\n{'x' * 5000}{wrote}")

    monkeypatch.setattr(runtime, "await_ready", await_ready)
    with pytest.raises(BackendctlError) as raised:
        restart_arms(fake.platform, one, (two, three), DEADLINE, fake.clock)
    assert "hunter2secret" not in raised.value.cause
    assert raised.value.cause.startswith("it died\nxxx")
    assert len(raised.value.cause) < 500
