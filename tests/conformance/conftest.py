"""An environment on each platform, and a service whose behaviour the scenario chooses.

The scenarios know a platform only through `backendctl/platforms/base/`. A new platform joins by
one more entry in `PLATFORMS`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backendctl.platforms.base import Platform

from .platforms import PLATFORMS, Target
from .world import World


@pytest.fixture(
    scope="session",
    params=["local", pytest.param("kubernetes", marks=pytest.mark.cluster)],
)
def target(request: pytest.FixtureRequest) -> Target:
    """The platform of this run of the scenarios."""
    return PLATFORMS[request.param]


@pytest.fixture(scope="session")
def platform(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One environment that is up, for all scenarios."""
    with target.open(tmp_path_factory.mktemp("project")) as found:
        yield found


@pytest.fixture
def world(platform: Platform, target: Target, tmp_path: Path) -> Iterator[World]:
    with World.of(platform, target, tmp_path) as found:
        yield found
