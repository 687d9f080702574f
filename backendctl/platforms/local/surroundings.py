"""A command in the surroundings of a release, or of the working tree: what it is run with."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.platforms import variables
from backendctl.platforms.base import Configuration, Invocation, OnLine, Release
from backendctl.platforms.local.environments import Environment
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.packages import Packager
from backendctl.platforms.local.recipes import Language, Recipe
from backendctl.platforms.local.secrets import LocalSecrets


class Surroundings:
    """Puts code, dependencies, bindings, configuration and secrets together."""

    def __init__(
        self,
        layout: Layout,
        packager: Packager,
        secrets: LocalSecrets,
        bindings: Callable[[], Mapping[str, str]],
    ) -> None:
        self._layout = layout
        self._packager = packager
        self._secrets = secrets
        self._bindings = bindings

    def in_release(
        self,
        release: Release,
        argv: Sequence[str],
        extra: Mapping[str, str],
        *,
        literal: bool = False,
    ) -> Invocation:
        """A command in a release's code, dependencies and configuration; with its variables put
        in the place of `$NAME`, unless it is to be taken literally.

        Raises BackendctlError `missing.release` when its code is no longer kept, `release.start`
        for a command that cannot be run, `missing.data` for a secret that is gone.
        """
        directory = self._packager.directory(release)
        environment = self._packager.environment(release)
        found = self._variables(environment, directory, release.configuration)
        found |= {"BACKENDCTL_RELEASE": str(release.number), **extra}
        if not literal:
            argv = _expanded(argv, found, release.configuration)
        return _invocation(argv, directory, found)

    def in_tree(
        self,
        tree: Path,
        argv: Sequence[str],
        configuration: Configuration,
        extra: Mapping[str, str],
        on_line: OnLine,
    ) -> Invocation:
        """A command in the working tree itself, with the dependencies its files ask for now.

        Nothing is written into the tree, so a Node project needs its own node_modules there.
        Raises BackendctlError `release.package`, and as `in_release`.
        """
        recipe, environment = self._packager.for_tree(tree, on_line)
        if recipe and recipe.language is Language.NODE:
            _need_modules(tree, recipe)
        found = self._variables(environment, tree, configuration)
        found |= extra
        return _invocation(_expanded(argv, found, configuration), tree, found)

    def _variables(
        self, environment: Environment | None, code: Path, configuration: Configuration
    ) -> dict[str, str]:
        """The whole environment of a process; what comes later wins."""
        path = os.environ.get("PATH", os.defpath)
        return {
            **variables.inherited(os.environ),
            **variables.DEFAULTS,
            **(environment.variables(code, path) if environment else {"PATH": path}),
            **self._bindings(),
            **configuration.values,
            **self._secrets.values(configuration.secrets),
            "BACKENDCTL_ENVIRONMENT": self._layout.environment,
        }


def _expanded(
    argv: Sequence[str], found: Mapping[str, str], configuration: Configuration
) -> tuple[str, ...]:
    secret = set(configuration.secrets) | variables.sensitive(found)
    return variables.expand(argv, found, secret)


def _invocation(argv: Sequence[str], directory: Path, found: Mapping[str, str]) -> Invocation:
    program = argv[0]
    there = directory / program if "/" in program else shutil.which(program, path=found["PATH"])
    if there is None or not Path(there).exists():
        raise BackendctlError(
            "release.start",
            f"the program {program!r} is not found",
            cause="it is neither among the release's dependencies nor on PATH",
            state="it was not started",
            next=("check `service.start` in backend.toml and the service's dependencies",),
        )
    return Invocation(tuple(argv), directory, found)


def _need_modules(tree: Path, recipe: Recipe) -> None:
    if not (tree / "node_modules").is_dir():
        raise BackendctlError(
            "release.package",
            "the working tree has no node_modules, and Node looks for modules there only",
            state="nothing was started",
            next=(" ".join(recipe.steps[0]),),
        )
