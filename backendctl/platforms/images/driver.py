"""backendctl's own image: what is installed here, at the same versions, and nothing else."""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import backendctl
from backendctl import __version__
from backendctl.errors import BackendctlError
from backendctl.filesystem import make_folder, writing
from backendctl.platforms.base import OnLine
from backendctl.platforms.images.produce import Image, Recipe, Wishes, produce, still
from backendctl.platforms.images.reference import Repository
from backendctl.platforms.images.surroundings import given

NAME = "backendctl"
BASE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
"""The image it starts from, unless another is named: the same Python as here."""
EXTRA = "kubernetes"
"""What it needs in a cluster beside its plain dependencies is in this extra ..."""
HERE_ONLY = ("cyclonedx-python-lib", "packaging", "pulumi", "pulumi-kubernetes")
"""... but for what only builds images and stands environments up."""

_DOCKERFILE = Path(__file__).with_name("Dockerfile")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc")


def build_driver(
    registry: str, keep: Path, on_line: OnLine, wishes: Wishes, base: str = ""
) -> Image:
    """Build and push it to `registry`, unless it has it: the tag is this version and a digest of
    what is in it. `keep`: a folder for bills of materials.

    Raises BackendctlError `missing.extra`, and what `produce` raises.
    """
    with _context(make_folder(keep), on_line) as folder:
        recipe = Recipe(
            repository=Repository.of(registry, NAME),
            tag=f"{__version__}-{_digest(folder, base)}",
            context=folder,
            dockerfile=folder / _DOCKERFILE.name,
            arguments={"PYTHON_IMAGE": base or BASE},
            labels={
                "org.opencontainers.image.title": NAME,
                "org.opencontainers.image.version": __version__,
            },
            stepwise=False,
        )
        return produce(recipe, given(os.environ, ()), wishes, keep, on_line)


def requirements() -> list[str]:
    """`name==version` of everything it needs in the cluster, as installed here, sorted.

    Raises BackendctlError `missing.extra` for what is not installed.
    """
    from packaging.requirements import Requirement

    pins: dict[str, str] = {}
    wanted = [(text, "") for text in _own_requirements()]
    seen: set[tuple[str, str]] = set()
    while wanted:
        text, extra = wanted.pop()
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        try:
            distribution = metadata.distribution(requirement.name)
        except metadata.PackageNotFoundError:
            raise BackendctlError(
                "missing.extra",
                f"{requirement.name} is not installed here, and backendctl's image needs it",
                state="nothing was built",
                next=("pip install 'backendctl[kubernetes]'",),
            ) from None
        pins[distribution.metadata["Name"].lower()] = distribution.version
        for each in ("", *sorted(requirement.extras)):
            if (distribution.metadata["Name"], each) not in seen:
                seen.add((distribution.metadata["Name"], each))
                wanted += [(text, each) for text in distribution.requires or ()]
    return [f"{name}=={version}" for name, version in sorted(pins.items())]


def _own_requirements() -> list[str]:
    """Our plain dependencies, and those for a cluster; without their conditions."""
    from packaging.requirements import Requirement

    found = []
    for text in metadata.requires(NAME) or ():
        requirement = Requirement(text)
        marker, requirement.marker = requirement.marker, None
        if requirement.name in HERE_ONLY or (marker and not marker.evaluate({"extra": EXTRA})):
            continue
        found.append(str(requirement))
    return found


@contextmanager
def _context(beside: Path, on_line: OnLine) -> Iterator[Path]:
    """The build's context, in a temporary folder."""
    needed = requirements()
    on_line(f"packaging backendctl {__version__} and the {len(needed)} libraries it needs")
    with writing(beside):
        temporary = TemporaryDirectory(prefix=".context-", dir=beside)
    with temporary as name, writing(beside):
        folder = Path(name)
        source = Path(backendctl.__file__).parent
        shutil.copytree(source, folder / NAME, ignore=_LEFT_OUT)
        shutil.copy(_DOCKERFILE, folder)
        (folder / "requirements.txt").write_text("\n".join([*needed, ""]))
        _readable(folder)
        still(folder)
        yield folder


def _readable(folder: Path) -> None:
    """Whatever the umask here is: it runs there as somebody else."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _digest(folder: Path, base: str) -> str:
    """Of all that goes into it, but for the base image's own contents."""
    found = hashlib.sha256((base or BASE).encode())
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        found.update(f"\0{path.relative_to(folder)}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:12]
