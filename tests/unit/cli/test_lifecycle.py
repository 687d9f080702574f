"""What has to be typed before an environment is stopped."""

import inspect
from pathlib import Path

import pytest

from backendctl.cli import lifecycle
from backendctl.cli.contract import Output, Session
from backendctl.errors import BackendctlError
from backendctl.spec.model import Environment, PlatformName
from backendctl.workflows import down
from backendctl.workflows.environment import Opened
from tests.fakes.platform import fake_platform
from tests.fakes.rollouts import spec_with

STAGING = Environment(name="staging", platform=PlatformName.KUBERNETES)
LOCAL = Environment(name="local")
asked = inspect.unwrap(lifecycle.down)


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the environments that were stopped."""
    found: list[str] = []

    def stop(opened: Opened, _progress: object, *, purge: bool) -> dict[str, object]:
        found.append(opened.environment.name)
        return {"purged": purge}

    monkeypatch.setattr(down, "down", stop)
    return found


def session_in(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Of a script that says yes to everything."""
    session = Session("down", output=Output.JSON, yes=True)
    opened = Opened(Path(), spec_with(), environment, fake_platform().platform)
    monkeypatch.setattr(session, "open", lambda changes: opened)
    return session


@pytest.mark.parametrize(("purge", "confirm"), [(False, None), (False, "prod"), (True, None)])
def test_an_environment_that_others_may_use_is_stopped_only_by_its_name(
    stopped: list[str], monkeypatch: pytest.MonkeyPatch, purge: bool, confirm: str | None
) -> None:
    session = session_in(STAGING, monkeypatch)
    with pytest.raises(BackendctlError) as raised:
        asked(session, purge=purge, confirm=confirm)
    assert raised.value.code == "usage.confirmation"
    assert raised.value.next == ("--confirm staging",)
    assert stopped == []
    asked(session, purge=purge, confirm="staging")
    assert stopped == ["staging"]


def test_one_on_this_machine_is_stopped_unasked_but_purged_only_by_its_name(
    stopped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_in(LOCAL, monkeypatch)
    with pytest.raises(BackendctlError, match="must be confirmed"):
        asked(session, purge=True, confirm=None)
    asked(session, purge=False, confirm=None)
    assert stopped == ["local"]
