"""The environment that rollouts are tried on, in memory."""

import pytest

from tests.fakes.platform import Fake, fake_platform
from tests.fakes.rollouts import Desk


@pytest.fixture
def fake() -> Fake:
    return fake_platform()


@pytest.fixture
def desk(fake: Fake) -> Desk:
    """A desk in front of an environment in which release 1 serves."""
    desk = Desk(fake)
    assert desk.deploy().result == "promoted"
    desk.events.clear()
    return desk
