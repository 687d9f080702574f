"""The service's image: the working tree, as packaged, built by its own Dockerfile."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.migrations import history
from backendctl.migrations.revisions import heads
from backendctl.platforms.base import OnLine, Package, SchemaRange
from backendctl.platforms.images.produce import Image, Recipe, Wishes, produce, still
from backendctl.platforms.images.reference import Repository
from backendctl.platforms.images.surroundings import given
from backendctl.platforms.local import packaging
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.release_record import package_from_record
from backendctl.spec.model import Environment, Spec

PACKAGE_VARIABLE = "BACKENDCTL_PACKAGE"
"""Names a file with a package that was made elsewhere: a driver in the cluster has no working
tree and builds nothing."""

Builder = Callable[[Path, OnLine], Package]


@dataclass(frozen=True, slots=True)
class Built:
    """An image and the package that it is."""

    image: Image
    package: Package


class ImageBuilder:
    """Builds one service's images for one environment. Making one touches nothing."""

    def __init__(self, project: Path, spec: Spec, environment: Environment) -> None:
        self._spec = spec
        self._environment = environment
        self._layout = Layout(project, environment.name)

    def build(self, tree: Path, on_line: OnLine, wishes: Wishes | None = None) -> Built:
        """Make the tree immutable, and an image of it under the digest of its contents.

        Raises BackendctlError `build.registry`, `build.dockerfile`, `build.secret`, what
        packaging and what `produce` raise.
        """
        wishes = wishes or Wishes()
        build, service = self._spec.build, self._spec.service
        repository = self._repository(wishes)
        bound = given(os.environ, build.secrets)
        keep = self._layout.make(self._layout.home / "images")
        with packaging.copied(tree, keep) as copy:
            on_line(f"packaged {copy.files} files, {copy.size / 1e6:.1f} MB, as {copy.digest}")
            for name in copy.secret_files:
                on_line(f"left out {name}: set secrets with `backendctl secrets set NAME`")
            dockerfile = self._dockerfile(tree, copy.folder)
            still(copy.folder)
            recipe = Recipe(
                repository=repository,
                tag=copy.digest,
                context=copy.folder,
                dockerfile=dockerfile,
                arguments=build.arguments,
                labels={
                    "org.opencontainers.image.title": service.name,
                    "org.opencontainers.image.version": copy.digest,
                },
                target=build.target,
                machine=build.machine,
            )
            image = produce(recipe, bound, wishes, keep, on_line)
            package = Package(
                copy.digest, image.reference, schema=_schema(copy.folder, service.migrate)
            )
        return Built(image, package)

    def _repository(self, wishes: Wishes) -> Repository:
        """Where it goes; what is not pushed goes nowhere, and has a name of this machine."""
        registry = self._environment.registry
        if registry or not wishes.push:
            return Repository.of(registry or "localhost", self._spec.service.name)
        name = self._environment.name
        raise BackendctlError(
            "build.registry",
            f"environment {name!r} names no registry to push its images to",
            cause="a cluster pulls its images from a registry",
            state="nothing was built; what runs goes on running",
            next=(
                f'add to [environments.{name}] in backend.toml: registry = "ghcr.io/acme"',
                "backendctl build --no-push  # to try the Dockerfile",
            ),
        )

    def _dockerfile(self, tree: Path, folder: Path) -> Path:
        stated = self._spec.build.dockerfile
        path = folder / stated
        if path.resolve().is_relative_to(folder.resolve()) and path.is_file():
            return path
        there = (tree / stated).is_file()
        raise BackendctlError(
            "build.dockerfile",
            f"{stated} is left out of the release: git ignores it, or it is outside the project"
            if there
            else f"there is no {stated} in {tree}",
            cause="an image is built by the service's own Dockerfile",
            state="nothing was built; what runs goes on running",
            next=(
                "write one: docs/guides/build.md has one for Python and one for Node",
                'or say where it is in backend.toml: [build] dockerfile = "PATH"',
            ),
        )


def image_builder(project: Path, spec: Spec, environment: Environment) -> Builder:
    """What packages a working tree for a cluster; touches nothing until it is called."""

    def build(tree: Path, on_line: OnLine) -> Package:
        made = os.environ.get(PACKAGE_VARIABLE)
        if made:
            return package_from_record(json.loads(Path(made).read_bytes()))
        return ImageBuilder(project, spec, environment).build(tree, on_line).package

    return build


def _schema(folder: Path, migrate: tuple[str, ...]) -> SchemaRange | None:
    """All migrations that came with the code; which may wait, a deploy decides."""
    found = history.read(folder, migrate)
    if found is None:
        return None
    newest = ",".join(heads(found.revisions))
    return SchemaRange(newest, newest, found.tool, found.revisions)
