"""`backendctl build`: an image of the service, or of backendctl itself."""

from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.platforms.images.builder import Built, ImageBuilder
from backendctl.platforms.images.driver import build_driver
from backendctl.platforms.images.produce import Image, Wishes
from backendctl.platforms.local.layout import Layout
from backendctl.spec.model import PlatformName
from backendctl.workflows.environment import Chosen
from backendctl.workflows.progress import Progress


def needs_image(chosen: Chosen) -> bool:
    """Whether releases of the environment are images; on `local` they are folders."""
    return chosen.environment.platform is not PlatformName.LOCAL


def build_service(chosen: Chosen, wishes: Wishes, progress: Progress) -> Built:
    """The working tree's image. Raises what `ImageBuilder.build` raises."""
    builder = ImageBuilder(chosen.project, chosen.spec, chosen.environment)
    with progress.step("Building the image") as say:
        return builder.build(chosen.project, say, wishes)


def build_own(chosen: Chosen, wishes: Wishes, base: str, progress: Progress) -> Image:
    """The image of backendctl itself, for what it runs in the environment's cluster.

    Raises `build.registry`, and what `build_driver` raises.
    """
    name, registry = chosen.environment.name, chosen.environment.registry
    if not registry and wishes.push:
        raise BackendctlError(
            "build.registry",
            f"environment {name!r} names no registry to push the image to",
            state="nothing was built",
            next=(f'add to [environments.{name}] in backend.toml: registry = "ghcr.io/acme"',),
        )
    keep = _images(chosen)
    with progress.step("Building backendctl's own image") as say:
        return build_driver(registry or "localhost", keep, say, wishes, base)


def _images(chosen: Chosen) -> Path:
    layout = Layout(chosen.project, chosen.environment.name)
    return layout.make(layout.home / "images")
