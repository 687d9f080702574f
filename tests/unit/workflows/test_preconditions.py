"""What a command says that comes while a rollout has the environment, or nothing is up."""

from dataclasses import replace
from pathlib import Path

import pytest

from backendctl.cli.contract import Output, Session
from backendctl.cli.lifecycle import first_told
from backendctl.cli.loadtest_telling import limits_of_errors
from backendctl.errors import BackendctlError
from backendctl.platforms.base import ServiceStatus
from backendctl.rollout.events import BlockObserved, Event
from backendctl.rollout.history import serving
from backendctl.spec.model import Slo
from backendctl.workflows import loadtest
from backendctl.workflows.deploy import check_deploy, rollback
from backendctl.workflows.down import down
from backendctl.workflows.environment import Opened
from backendctl.workflows.preconditions import must_serve
from tests.fakes.platform import Fake, Killed, fake_platform
from tests.fakes.progress import Listener
from tests.fakes.rollouts import Desk, spec_with


@pytest.fixture
def fake() -> Fake:
    return fake_platform()


def opened(fake: Fake) -> Opened:
    spec = spec_with()
    return Opened(Path(), spec, spec.environments["local"], fake.platform)


def in_flight(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rollout 0002 has given its release the first step's share; its driver lives."""
    desk = Desk(fake)
    desk.deploy()

    def stop(event: Event) -> None:
        if isinstance(event, BlockObserved):
            raise Killed

    desk.on_event = stop
    with pytest.raises(Killed):
        desk.deploy()
    monkeypatch.setattr("backendctl.workflows.deploy.SystemClock", lambda: fake.clock)


def test_a_deploy_names_the_rollout_before_who_drives_it(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_flight(fake, monkeypatch)
    with pytest.raises(BackendctlError) as caught:
        check_deploy(opened(fake))
    said = caught.value
    assert said.code == "rollout.locked"
    assert said.message.startswith("rollout 0002 is in flight: watched at ")
    assert said.cause.startswith("ann holds this environment, since ")


def test_a_down_names_the_rollout_too(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    in_flight(fake, monkeypatch)
    with pytest.raises(BackendctlError, match="rollout 0002 is in flight"):
        down(opened(fake), Listener())


def test_without_a_rollout_a_down_says_who_holds_the_environment(fake: Fake) -> None:
    fake.store.acquire("ann", "up", 15.0)
    with pytest.raises(BackendctlError, match=r"^ann holds this environment"):
        down(opened(fake), Listener())


def test_a_load_test_of_an_environment_that_is_down_says_so(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object, **__: object) -> None:
        raise BackendctlError("loadtest.target", "the target does not answer")

    monkeypatch.setattr(loadtest, "scenario_of", silent)
    with pytest.raises(BackendctlError) as caught:
        loadtest.plan(opened(fake), loadtest.Wishes())
    assert caught.value.code == "missing.environment"
    assert caught.value.next == ("backendctl up --env local",)
    with pytest.raises(BackendctlError) as caught:
        loadtest.plan(opened(fake), loadtest.Wishes(target="http://127.0.0.1:1"))
    assert caught.value.code == "loadtest.target"


def test_a_load_test_tells_the_limit_of_errors_from_the_promise() -> None:
    assert limits_of_errors(Slo()) == (
        "Errors: release limit 1% (rollout and load test; slo.error_rate), promise 99.9%."
    )


@pytest.mark.parametrize("output", [Output.TEXT, Output.JSONL])
def test_numbers_of_a_first_release_are_for_programs(
    fake: Fake, output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(fake, spec_with(bake=60.0))
    tell = first_told(Session("up", output=output))
    desk.on_event = lambda event: tell(event)
    assert desk.deploy().result == "promoted"
    said = capsys.readouterr()
    if output is Output.TEXT:
        assert "against it" not in said.err
        assert "traffic:" in said.err
    else:
        assert "rollout.block-observed" in said.out


def test_what_a_down_has_stopped_is_neither_deployed_to_nor_rolled_back(fake: Fake) -> None:
    """In a cluster the gateway and the database go on after a `down`."""
    desk = Desk(fake)
    desk.deploy()
    desk.deploy()
    must_serve(opened(fake))
    fake.platform.runtime.stop(2)
    with pytest.raises(BackendctlError) as caught:
        rollback(opened(fake), None, "", Listener(), lambda _event: None)
    assert caught.value.code == "missing.environment"
    assert caught.value.cause == "release 2 should serve and is stopped"
    assert caught.value.next == ("backendctl up --env local",)
    assert serving(fake.store).rollout_in_flight is None


def test_a_rollout_in_flight_can_be_undone_though_stable_was_stopped(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_flight(fake, monkeypatch)
    fake.platform.runtime.stop(1)
    must_serve(opened(fake))


def test_a_server_that_was_never_asked_for_keeps_nobody_waiting(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    Desk(fake).deploy()
    absent = ServiceStatus("watchdog", False, "", "not stated", needed=False)
    monkeypatch.setattr(fake.platform.foundation, "status", lambda: [absent])
    must_serve(opened(fake))
    monkeypatch.setattr(fake.platform.foundation, "status", lambda: [replace(absent, needed=True)])
    with pytest.raises(BackendctlError, match="is not up"):
        must_serve(opened(fake))
