"""The platforms that every scenario is run on, and how an environment is had on each.

`kubernetes` needs the variables that `make test-cluster` sets (`tests/cluster/`).
"""

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from backendctl.platforms.base import Platform
from backendctl.platforms.open import open_platform
from backendctl.spec.model import Environment, Load, PlatformName, Service, Spec


@dataclass(frozen=True, slots=True)
class Target:
    """One platform."""

    command: tuple[str, ...]
    """Starts the service."""
    open: Callable[[Path], AbstractContextManager[Platform]]
    """An environment that is up, for a project in that folder; gone in the end."""
    files: Callable[[], dict[str, str]] = dict
    """What a working tree has beside the service, by name."""
    host: str = ""
    """The name that users know the service by, if any."""


def _spec(command: tuple[str, ...], environment: Environment) -> Spec:
    return Spec(
        service=Service(name="conformance", start=command),
        # Little, so that many fit on the node of a test cluster.
        load=Load(peak_rps=1, peak_users=10, sustained_users=5, think_time=1),
        environments={environment.name: environment},
    )


# --- this machine -------------------------------------------------------------------------------

_LOCAL = (sys.executable, "app.py", "--port=$PORT")


@contextmanager
def _local(project: Path) -> Iterator[Platform]:
    platform = open_platform(project, _spec(_LOCAL, Environment(name="local")), "local")
    try:
        platform.foundation.ensure(lambda _line: None)
        yield platform
    finally:
        platform.foundation.stop(purge=True)


# --- a cluster ----------------------------------------------------------------------------------

_IN_POD = ("python3", "app.py", "--port=$PORT")
_NAMESPACE = f"conformance-{uuid.uuid4().hex[:8]}"


def _host(namespace: str) -> str:
    return f"{namespace}.example.test"


@contextmanager
def _kubernetes(
    project: Path, namespace: str = _NAMESPACE, prometheus: str = ""
) -> Iterator[Platform]:
    from tests.conformance.cluster import prepared

    environment = Environment(
        name="cluster",
        platform=PlatformName.KUBERNETES,
        namespace=namespace,
        registry=os.environ["BACKENDCTL_TEST_REGISTRY"],
        gateway=os.environ["BACKENDCTL_TEST_GATEWAY"],
        host=_host(namespace),
        url=os.environ["BACKENDCTL_TEST_GATEWAY_URL"],
        prometheus=prometheus,
    )
    spec = _spec(_IN_POD, environment)
    with prepared(project, spec, environment):
        platform = open_platform(project, spec, environment.name)
        platform.foundation.ensure(lambda _line: None)
        yield platform


def _image() -> dict[str, str]:
    from tests.cluster.trial import dockerfile

    return {"Dockerfile": dockerfile()}


def counted_by_prometheus(prometheus: str) -> Target:
    """A cluster whose gateway a Prometheus server scrapes; beside the one in `PLATFORMS`."""
    namespace = f"{_NAMESPACE}-p"

    def opened(project: Path) -> AbstractContextManager[Platform]:
        return _kubernetes(project, namespace, prometheus)

    return Target(_IN_POD, opened, _image, _host(namespace))


PLATFORMS = {
    "local": Target(_LOCAL, _local),
    "kubernetes": Target(_IN_POD, _kubernetes, _image, _host(_NAMESPACE)),
}
