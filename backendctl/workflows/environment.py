"""From a folder and an environment's name to everything a command works with."""

import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Platform
from backendctl.platforms.open import NAMESPACE_VARIABLE, find_recorded, open_platform
from backendctl.spec.load import find_project, load_spec
from backendctl.spec.model import Environment, Spec

DEFAULT = "local"


@dataclass(frozen=True, slots=True)
class Opened:
    """One environment of one project."""

    project: Path
    spec: Spec
    environment: Environment
    platform: Platform


@dataclass(frozen=True, slots=True)
class Chosen:
    """One environment of one project, by what backend.toml says of it."""

    project: Path
    spec: Spec
    environment: Environment


def choose(directory: Path, name: str | None, *, changes: bool) -> Chosen:
    """Find the project, load its promises and choose one environment.

    Where a project has other environments than `local`, a command that changes something must
    name the one it means. Raises `spec.*` errors.
    """
    project = find_project(directory)
    spec = load_spec(project)
    names = sorted(spec.environments)
    if name is None and changes and len(names) > 1:
        raise BackendctlError(
            "spec.environment",
            f"this project has {len(names)} environments; name the one to change with --env",
            cause=f"backend.toml has: {', '.join(names)}",
            state="nothing was changed",
            next=tuple(f"--env {each}" for each in names),
        )
    chosen = name or DEFAULT
    if chosen not in spec.environments:
        near = get_close_matches(chosen, names, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise BackendctlError(
            "spec.environment",
            f"backend.toml has no environment {chosen!r}",
            cause=f"accepted: {', '.join(names)}{meant}",
            state="nothing was changed",
            next=tuple(f"--env {each}" for each in near),
        )
    return Chosen(project, spec, spec.environments[chosen])


def open_environment(directory: Path, name: str | None, *, changes: bool) -> Opened:
    """`choose`, and open its platform; touches nothing.

    In a folder without a backend.toml, what the last `up` wrote down in the cluster stands in for
    it, if NAMESPACE_VARIABLE says where: for somebody on call who has only the kubeconfig. Raises
    as `choose`, `missing.extra`, and then what `find_recorded` raises.
    """
    try:
        chosen = choose(directory, name, changes=changes)
    except BackendctlError as error:
        namespace = os.environ.get(NAMESPACE_VARIABLE, "")
        if error.code != "spec.missing" or not namespace:
            raise
        chosen = Chosen(directory, *find_recorded(namespace, name))
    platform = open_platform(chosen.project, chosen.spec, chosen.environment.name)
    return Opened(chosen.project, chosen.spec, chosen.environment, platform)
