"""Environments to run every scenario on, and a service whose behaviour the scenario chooses.

The scenarios know a platform only through `backendctl/platforms/base.py`. A new platform joins by
one more entry in `PLATFORMS`.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from backendctl.platforms.base import Platform
from backendctl.platforms.open import open_platform
from backendctl.spec.model import Environment, Load, Service, Spec

from .world import START, World

_SERVICE = Path(__file__).parent / "service"


@contextmanager
def local(project: Path) -> Iterator[Platform]:
    spec = Spec(
        service=Service(name="conformance", start=START),
        load=Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1),
        environments={"local": Environment(name="local")},
    )
    platform = open_platform(project, spec, "local")
    try:
        platform.foundation.ensure(lambda _line: None)
        yield platform
    finally:
        platform.foundation.stop(purge=True)


PLATFORMS: dict[str, Callable[[Path], AbstractContextManager[Platform]]] = {"local": local}


@pytest.fixture(scope="session", params=sorted(PLATFORMS))
def platform(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """One environment that is up, for all scenarios."""
    project = tmp_path_factory.mktemp("project")
    with PLATFORMS[request.param](project) as found:
        yield found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A working tree of the service."""
    return Path(shutil.copytree(_SERVICE, tmp_path / "tree"))


@pytest.fixture
def world(platform: Platform, tree: Path) -> Iterator[World]:
    grant = platform.store.acquire("conformance", "test", lease=300, take_over=True)
    found = World(platform, tree, grant)
    try:
        yield found
    finally:
        found.clear()
        platform.store.release(grant)
