"""A first release that does not come to serve leaves nothing to deploy over."""

from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.rollout.states import Kind
from backendctl.workflows import rollouts
from backendctl.workflows.environment import Opened
from backendctl.workflows.up import up
from tests.fakes.platform import Fake, fake_platform
from tests.fakes.progress import Listener
from tests.fakes.rollouts import spec_with


@pytest.fixture
def fake() -> Fake:
    return fake_platform()


def opened(fake: Fake) -> Opened:
    spec = spec_with()
    return Opened(Path(), spec, spec.environments["local"], fake.platform)


def test_a_first_release_that_was_stopped_is_brought_up_again_not_deployed(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = rollouts.Outcome(
        rollout="0001",
        kind=Kind.FIRST,
        candidate=1,
        stable=None,
        result="restored",
        reason="the driving process was told to stop",
        next=("backendctl logs --release 1", "backendctl deploy"),
        signalled=True,
    )
    monkeypatch.setattr(rollouts, "run_rollout", lambda *_, **__: stopped)
    with pytest.raises(BackendctlError) as caught:
        up(opened(fake), Listener(), lambda _: None)
    assert caught.value.code == "interrupted"
    assert caught.value.next == ("backendctl logs --release 1", "backendctl up")
