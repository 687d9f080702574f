"""`down` says whom it waits for, and a purge leaves nothing, not even its own lock."""

import threading
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import OnLine, unheard
from backendctl.workflows.down import down
from backendctl.workflows.environment import Opened
from tests.fakes.platform import Fake, fake_platform
from tests.fakes.progress import Listener
from tests.fakes.rollouts import spec_with


@pytest.fixture
def fake() -> Fake:
    return fake_platform()


def opened(fake: Fake) -> Opened:
    spec = spec_with()
    return Opened(Path(), spec, spec.environments["local"], fake.platform)


@pytest.mark.parametrize("purge", [False, True])
def test_the_environment_is_given_back_unless_it_is_gone(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, purge: bool
) -> None:
    given_back = []
    monkeypatch.setattr(fake.store, "release", given_back.append)
    down(opened(fake), Listener(), purge=purge)
    assert len(given_back) == (0 if purge else 1)


def test_a_purge_that_fails_gives_the_environment_back(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(purge: bool = False, on_line: OnLine = unheard) -> None:
        raise BackendctlError("platform.permission", "may not be deleted")

    monkeypatch.setattr(fake.platform.foundation, "stop", refuse)
    with pytest.raises(BackendctlError):
        down(opened(fake), Listener(), purge=True)
    assert fake.store.holder() is None


def test_releases_that_are_waited_for_are_named(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, first_is_gone = Listener(), threading.Event()

    def stop(number: int) -> None:
        if number == 2:
            assert first_is_gone.wait(30)

    def hear(line: str) -> None:
        listener.lines.append(line)
        if line.startswith("waiting for release 2 to"):
            first_is_gone.set()

    monkeypatch.setattr(fake.platform.runtime, "running", lambda: [1, 2])
    monkeypatch.setattr(fake.platform.runtime, "stop", stop)
    monkeypatch.setattr(listener, "hear", hear)
    down(opened(fake), listener)
    waits = [line for line in listener.lines if line.startswith("waiting")]
    assert waits == [
        "waiting for release 1, release 2 to finish what is in flight and end",
        "waiting for release 2 to finish what is in flight and end",
    ]
