"""Watching a rollout whose driver dies, and stopping to watch one that goes on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backendctl.cli.rollout import app
from backendctl.errors import BackendctlError
from backendctl.platforms.base import WATCHDOG, ServiceStatus
from backendctl.rollout.events import BlockObserved, Event
from backendctl.workflows import environment, rollouts
from backendctl.workflows.environment import Opened
from backendctl.workflows.rollouts.reports import PATIENCE
from tests.fakes.platform import Fake, FakeFoundation, Killed, fake_platform
from tests.fakes.rollouts import Desk, means


class Watched(FakeFoundation):
    def status(self) -> Sequence[ServiceStatus]:
        return (ServiceStatus(WATCHDOG, True, ""),)


@pytest.fixture
def fake() -> Fake:
    """Release 1 serves; the driver of release 2 died at a step. There is a watchdog."""
    plain = fake_platform()
    fake = replace(plain, platform=replace(plain.platform, foundation=Watched()))
    desk = Desk(fake)
    desk.deploy()

    def die(event: Event) -> None:
        if isinstance(event, BlockObserved):
            raise Killed

    desk.on_event = die
    with pytest.raises(Killed):
        desk.deploy()
    fake.store.dead.add(desk.owner)
    return fake


def command(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    desk = Desk(fake)
    opened = Opened(Path(), desk.spec, desk.spec.environments["local"], fake.platform)
    monkeypatch.setattr(environment, "open_environment", lambda *_, **__: opened)
    return CliRunner()


def test_the_watchdogs_undoing_is_waited_for_and_shown(fake: Fake) -> None:
    began = fake.clock.now()

    def watchdog(_: float) -> None:
        if fake.clock.now() > began + 17.0 and rollouts.status(fake.platform, means(fake)).stranded:
            rollouts.recover(fake.platform, lambda _: None, by="watchdog", means=means(fake))

    fake.clock.on_pass.append(watchdog)
    said: list[str] = []
    events = list(rollouts.watch(fake.platform, None, means(fake), said.append))
    assert type(events[-1]).__name__ == "Ended"
    assert len(said) == 1
    assert "the environment's watchdog ends it within seconds" in said[0]
    assert rollouts.outcome(fake.platform, None, means(fake)).result == "restored"


def test_a_rollout_that_nobody_ends_is_given_up_after_a_while_and_needs_a_person(
    fake: Fake,
) -> None:
    began = fake.clock.monotonic()
    with pytest.raises(BackendctlError) as found:
        list(rollouts.watch(fake.platform, None, means(fake)))
    assert (found.value.code, found.value.exit) == ("rollout.abandoned", 3)
    assert found.value.next == ("backendctl rollout recover",)
    assert PATIENCE <= fake.clock.monotonic() - began < PATIENCE + 5.0


def test_without_a_watchdog_nothing_is_waited_for(fake: Fake) -> None:
    bare = replace(fake.platform, foundation=FakeFoundation())
    began = fake.clock.monotonic()
    with pytest.raises(BackendctlError) as found:
        list(rollouts.watch(bare, None, means(fake)))
    assert (found.value.code, fake.clock.monotonic()) == ("rollout.abandoned", began)


@pytest.mark.parametrize("words", ["status", "explain"])
def test_status_and_explain_name_the_watchdog(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    text = command(fake, monkeypatch).invoke(app, [words]).stdout
    assert "nobody drives it: its process is gone; the environment's watchdog ends it" in text
    assert "next: backendctl rollout recover" in text


def test_ctrl_c_says_that_only_the_watching_stopped(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.store.dead.clear()

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rollouts, "watch", stop)
    monkeypatch.setattr("backendctl.workflows.rollouts.reports.driver_lives", lambda *_: True)
    error = command(fake, monkeypatch).invoke(app, ["watch"]).exception
    assert isinstance(error, BackendctlError)
    assert (error.exit, error.message) == (130, "the watching was stopped")
    assert error.state == "rollout 0002 goes on (driven by ann: deploy)"
    assert error.next[0] == "backendctl rollout watch 0002"
