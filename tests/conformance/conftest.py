"""An environment on each platform, and a service whose behaviour the scenario chooses.

The scenarios know a platform only through `backendctl/platforms/base.py`. A new platform joins by
one more entry in `PLATFORMS`.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendctl.platforms.base import Platform

from .platforms import PLATFORMS, Target
from .world import World

_SERVICE = Path(__file__).parent / "service"


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
def tree(target: Target, tmp_path: Path) -> Path:
    """A working tree of the service."""
    found = Path(shutil.copytree(_SERVICE, tmp_path / "tree"))
    for name, text in target.files().items():
        (found / name).write_text(text)
    return found


@pytest.fixture
def world(platform: Platform, target: Target, tree: Path) -> Iterator[World]:
    grant = platform.store.acquire("conformance", "test", lease=300, take_over=True)
    found = World(platform, tree, grant, target.command, target.host)
    try:
        yield found
    finally:
        found.clear()
        platform.store.release(grant)
