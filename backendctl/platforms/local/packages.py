"""From a working tree to a package that a release can start from, and what is kept of old ones."""

import json
import os
import re
import subprocess
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.migrations import history
from backendctl.migrations.revisions import heads
from backendctl.platforms.base import OnLine, Package, Release, SchemaRange, Store
from backendctl.platforms.local import packaging
from backendctl.platforms.local.environments import Environment, Environments
from backendctl.platforms.local.envoy_routes import routes_served
from backendctl.platforms.local.gateway import GatewayFiles
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.live import LiveReleases
from backendctl.platforms.local.recipes import Recipe, recognise
from backendctl.spec.model import Service

KEPT_RELEASES = 5
"""The last so many releases can be started again; code, dependencies and logs of older ones go,
unless they run."""


class Packager:
    """Makes packages and deletes what no kept release runs from."""

    def __init__(self, layout: Layout, store: Store, service: Service) -> None:
        self._layout = layout
        self._store = store
        self._service = service
        self._live = LiveReleases(layout)
        self._environments = Environments(layout)

    def package(self, tree: Path, on_line: OnLine) -> Package:
        """See base.Runtime. Uncommitted work is packaged too; what git ignores is not."""
        self._layout.create()
        with packaging.copied(tree, self._layout.releases) as copy:
            if not copy.files:
                raise BackendctlError(
                    "release.package",
                    f"{tree} holds no files to deploy",
                    cause="it is empty, or git ignores all of it",
                    state="no release was made; what runs goes on running",
                )
            on_line(f"packaged {copy.files} files, {copy.size / 1e6:.1f} MB, as {copy.digest}")
            for name in copy.secret_files:
                on_line(f"left out {name}: set secrets with `backendctl secrets set NAME`")
            _, environment = self._environment(copy, on_line)
            location = self._settle(copy, environment)
        digest = environment.digest if environment else ""
        schema = self._schema(location)
        found = Package(copy.digest, str(location), digest, schema)
        self._prune(found)
        return found

    def _schema(self, location: Path) -> SchemaRange | None:
        """All migrations that came with the code; which may wait, a deploy decides."""
        found = history.read(location, self._service.migrate)
        if found is None:
            return None
        newest = ",".join(heads(found.revisions))
        return SchemaRange(newest, newest, found.tool, found.revisions)

    def for_tree(self, tree: Path, on_line: OnLine) -> tuple[Recipe | None, Environment | None]:
        """The dependencies that the tree asks for now, installed; nothing is packaged."""
        self._layout.create()
        with packaging.copied(tree, self._layout.releases) as copy:
            recipe, environment = self._environment(copy, on_line)
        if environment:
            self._environments.use_in_tree(environment)
        return recipe, environment

    def directory(self, release: Release) -> Path:
        """Where the release's code lies. Raises `missing.release` if it is not kept any more."""
        place = Path(release.package.location)
        digest = release.package.environment_digest
        if not place.is_dir() or (digest and not self._environments.finished(digest)):
            raise BackendctlError(
                "missing.release",
                f"the code of release {release.number} is no longer kept here",
                cause=f"the last {KEPT_RELEASES} releases are kept, and those that run",
                state="nothing was changed",
                next=("backendctl status", "backendctl deploy"),
            )
        return place

    def environment(self, release: Release) -> Environment | None:
        """The release's installed dependencies; None if it has none."""
        digest = release.package.environment_digest
        return self._environments.at(digest) if digest else None

    def _environment(
        self, copy: packaging.Copy, on_line: OnLine
    ) -> tuple[Recipe | None, Environment | None]:
        recipe = recognise(copy.folder, self._service.start, self._service.install)
        if recipe is None:
            return None, None
        return recipe, self._environments.ensure(recipe, copy, on_line)

    def _settle(self, copy: packaging.Copy, environment: Environment | None) -> Path:
        """Where the release runs from: the sealed copy, or the one its environment was built in."""
        if environment is None:
            return copy.keep(self._layout.releases / copy.digest)
        if environment.source:
            return environment.source
        place = self._layout.releases / f"{copy.digest}-{environment.digest}"
        if place.is_dir():
            return place
        if environment.modules:
            # Node looks for modules beside the code, and through links.
            link = copy.folder / "node_modules"
            link.symlink_to(os.path.relpath(environment.modules, place))
        if environment.python:
            _compile(environment.python, copy.folder, place)
        return copy.keep(place)

    def _prune(self, new: Package) -> None:
        """Delete what no kept release runs from."""
        releases = self._store.releases()
        live = {*self._live.numbers(), *self._served()}
        kept = [r for r in releases if r.number in live] + list(releases[-KEPT_RELEASES:])
        packages = [release.package for release in kept] + [new]
        self._environments.prune({package.environment_digest for package in packages})
        locations = {package.location for package in packages}
        for folder in self._layout.releases.iterdir():
            if folder.is_dir() and not folder.name.startswith(".") and str(folder) not in locations:
                packaging.remove(folder)
        numbers = live | {release.number for release in kept}
        for log in self._layout.logs.glob("release-*"):
            named = re.match(r"release-(\d+)-", log.name)
            if named and releases and int(named[1]) not in numbers:
                log.unlink()

    def _served(self) -> set[int]:
        """Releases the gateway will send requests to once it is up again: after `down` and many
        failed deploys, the one to come back to may be an old one."""
        try:
            tables = json.loads(GatewayFiles(self._layout).routes.read_bytes())
        except FileNotFoundError:
            return set()
        routes = routes_served(tables["resources"][0])
        return set(routes.weights) if routes else set()


def _compile(python: Path, folder: Path, place: Path) -> None:
    """Byte-compile the code once, since a sealed release cannot keep what Python compiles.

    Files that are no Python of this version (templates, old scripts) are passed over.
    """
    options = ("-q", "-q", "--invalidation-mode", "unchecked-hash")
    rename = ("-s", str(folder), "-p", str(place))
    command = [str(python), "-I", "-m", "compileall", *options, *rename, str(folder)]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
