"""What a deploy can refuse before anything is packaged it refuses before."""

from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from backendctl.cli.contract import Session
from backendctl.errors import BackendctlError
from backendctl.platforms.base import Away, Platform, Release
from backendctl.rollout import planning
from backendctl.rollout.events import Event, Forecasted
from backendctl.workflows import deploy as module
from backendctl.workflows import rollouts
from backendctl.workflows.deploy import Changes, check_deploy, deploy
from backendctl.workflows.detach_away import depart
from backendctl.workflows.environment import Opened
from backendctl.workflows.rollouts import running
from tests.fakes.platform import Fake, fake_platform
from tests.fakes.rollouts import Desk, means, spec_with


class PackagedError(Exception):
    """Something was packaged."""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """A release serves, and whoever looks at the traffic sees it at once."""
    found = fake_platform()
    assert Desk(found).deploy().result == "promoted"
    ours = partial(running.Means, clock=found.clock, probe=found.probe)
    monkeypatch.setattr(rollouts, "Means", ours)
    monkeypatch.setattr(running, "Means", ours)
    monkeypatch.setattr(module, "SystemClock", lambda: found.clock)
    monkeypatch.setattr(module, "must_serve", lambda _: None)
    monkeypatch.setattr(module, "make_release", _package)
    monkeypatch.setattr(found.platform.runtime, "package", _package, raising=False)
    return found


def _package(*_: object) -> Release:
    raise PackagedError


def opened(fake: Fake, folder: Path, platform: Platform | None = None) -> Opened:
    spec = spec_with()
    return Opened(folder, spec, spec.environments["local"], platform or fake.platform)


def test_traffic_that_could_never_be_judged_is_refused_with_its_forecast(
    fake: Fake, tmp_path: Path
) -> None:
    fake.env.rps = 0.0
    told: list[Event] = []
    with pytest.raises(BackendctlError) as caught:
        deploy(opened(fake, tmp_path), Changes(), Session("deploy"), told.append)
    assert caught.value.code == "rollout.unjudgeable"
    assert [type(each) for each in told] == [Forecasted]
    assert fake.store.holder() is None


def test_what_can_be_judged_or_is_on_somebodys_word_is_packaged(fake: Fake, tmp_path: Path) -> None:
    with pytest.raises(PackagedError):
        deploy(opened(fake, tmp_path), Changes(), Session("deploy"), lambda _: None)
    fake.env.rps = 0.0
    word = Changes(unjudged="nobody uses it")
    with pytest.raises(PackagedError):
        deploy(opened(fake, tmp_path), word, Session("deploy"), lambda _: None)


def test_an_environment_that_somebody_holds_is_refused_though_no_rollout_is_in_flight(
    fake: Fake, tmp_path: Path
) -> None:
    fake.store.acquire("bob", "up", 15.0)
    with pytest.raises(BackendctlError) as caught:
        check_deploy(opened(fake, tmp_path))
    assert caught.value.code == "rollout.locked"
    assert "bob" in caught.value.message


def test_a_driver_elsewhere_is_not_even_started_for_what_could_never_be_judged(
    fake: Fake, tmp_path: Path
) -> None:
    fake.env.rps = 0.0
    parts: dict[str, Any] = {
        name: getattr(fake.platform, name) for name in Platform.__dataclass_fields__
    }
    away = Platform(**{**parts, "away": cast("Away", object())})
    with pytest.raises(BackendctlError) as caught:
        depart(opened(fake, tmp_path, away), Changes(), Session("deploy"))
    assert caught.value.code == "rollout.unjudgeable"


def test_a_look_at_the_traffic_is_taken_again_once_it_is_old(fake: Fake) -> None:
    desk = Desk(fake)
    outlook = running.look_ahead(
        fake.platform,
        desk.spec,
        desk.spec.rollout.strategy,
        lambda _: None,
        means=means(fake),
    )
    fake.clock.wait(running.FRESH + 1.0)
    fake.env.rps = 0.0
    fake.clock.wait(planning.TRAFFIC_WINDOW)
    with pytest.raises(BackendctlError) as caught:
        desk.deploy(outlook=outlook)
    assert caught.value.code == "rollout.unjudgeable"
