"""From a build's context to an image in its registry, with its bill of materials beside it."""

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from backendctl.errors import BackendctlError
from backendctl.filesystem import atomic_write, make_folder, writing
from backendctl.platforms.base import OnLine
from backendctl.platforms.images import failures, sbom
from backendctl.platforms.images.archive import ImageArchive
from backendctl.platforms.images.execute import run
from backendctl.platforms.images.find import find_tool
from backendctl.platforms.images.inventory import installed, is_record, unread
from backendctl.platforms.images.reference import Repository
from backendctl.platforms.images.registry import Registry
from backendctl.platforms.images.surroundings import Given, as_files
from backendctl.platforms.images.tools import ImageBuild, Tool

EPOCH = 315_532_800
"""1980-01-01: the time stamp of everything in an image unless SOURCE_DATE_EPOCH is set. The
earliest that zip files (and so wheels) can hold; the time of a build would make every image
differ."""
KEPT_BILLS = 20


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is built, whoever asks for it."""

    repository: Repository
    tag: str
    context: Path
    dockerfile: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    machine: str = ""
    stepwise: bool = True
    """See ImageBuild."""

    @property
    def name(self) -> str:
        return self.repository.tagged(self.tag)


@dataclass(frozen=True, slots=True)
class Wishes:
    """How it is built."""

    tool: str = ""
    """docker | podman | buildah; "" for the first that works."""
    push: bool = True
    fresh: bool = False
    """Built though the registry has it, without a cache."""


@dataclass(frozen=True, slots=True)
class Image:
    """What came of it."""

    name: str
    """With its tag."""
    digest: str
    """`sha256:...`; "" if it was not pushed: only a registry gives it one."""
    reference: str
    """By digest, if it has one."""
    tool: str
    """What built it; "" if the registry had it."""
    seconds: float
    sbom: Path | None
    """The bill of materials; None if another machine built it."""
    packages: int = 0
    """How many packages that lists."""


def epoch(environ: Mapping[str, str] | None = None) -> int:
    """The time that time stamps are set to."""
    stated = (os.environ if environ is None else environ).get("SOURCE_DATE_EPOCH", "")
    return int(stated) if stated.isdigit() else EPOCH


def still(folder: Path) -> None:
    """Give a context's files all the same time stamp: when they were copied is no part of them."""
    stamp = epoch()
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (stamp, stamp), follow_symlinks=False)


def produce(recipe: Recipe, given: Given, wishes: Wishes, keep: Path, on_line: OnLine) -> Image:
    """Build and push, unless the registry has it under its tag already.

    `keep`: the folder of the bills of materials, which is made. Raises BackendctlError
    `missing.tool`, `build.failed`, `build.push`, `missing.registry`, `registry.credentials`,
    `platform.disk-full`, `platform.permission`.
    """
    began = time.monotonic()
    registry = Registry(recipe.repository)
    try:
        if wishes.push and not wishes.fresh:
            found = registry.digest(recipe.tag)
            if found is not None:
                on_line(f"{recipe.name} is in the registry already")
                return _image(recipe, found, "", began, _bill(keep, recipe))
        tool = find_tool(wishes.tool)
        on_line(f"building with {tool.name}")
        make_folder(keep)
        _build(tool, recipe, given, wishes, keep, on_line)
        bill, packages = _take_stock(tool, recipe, keep, on_line)
        made = _image(recipe, "", tool.name, began, bill, packages)
        if not wishes.push:
            return made
        digest = _push(tool, recipe, registry, on_line)
        _attach(registry, digest, bill, on_line)
        reference = recipe.repository.at(digest)
        took = time.monotonic() - began
        return replace(made, digest=digest, reference=reference, seconds=took)
    finally:
        registry.close()


def _image(
    recipe: Recipe, digest: str, tool: str, began: float, bill: Path | None, packages: int = 0
) -> Image:
    reference = recipe.repository.at(digest) if digest else recipe.name
    return Image(recipe.name, digest, reference, tool, time.monotonic() - began, bill, packages)


def _build(
    tool: Tool, recipe: Recipe, given: Given, wishes: Wishes, keep: Path, on_line: OnLine
) -> None:
    with as_files(given.secrets, keep) as secrets:
        wanted = ImageBuild(
            name=recipe.name,
            context=recipe.context,
            dockerfile=recipe.dockerfile,
            epoch=epoch(),
            arguments=recipe.arguments,
            secrets=secrets,
            proxies=given.proxies,
            labels=recipe.labels,
            target=recipe.target,
            machine=recipe.machine,
            stepwise=recipe.stepwise,
            fresh=wishes.fresh,
        )
        ended = run(tool.build(wanted), on_line, given.hide)
    if ended.status != 0:
        raise failures.of_build(tool.name, ended)


def _take_stock(tool: Tool, recipe: Recipe, keep: Path, on_line: OnLine) -> tuple[Path, int]:
    """Write the bill of materials; its path and how many packages it lists."""
    on_line("listing what is in the image")
    with writing(keep):
        folder = TemporaryDirectory(prefix=".export-", dir=keep)
    with folder as name:
        archive = Path(name) / "image.tar"
        ended = run(tool.export(recipe.name, archive), on_line)
        if ended.status != 0:
            raise failures.of_build(tool.name, ended)
        with ImageArchive.opened(archive) as image:
            records = image.files(is_record)
    packages = installed(records)
    path = keep / f"{recipe.tag}{sbom.SUFFIX}"
    repository = f"{recipe.repository.host}/{recipe.repository.path}"
    atomic_write(path, sbom.document(repository, recipe.tag, packages, epoch(), unread(records)))
    _forget_old(keep)
    return path, len(packages)


def _forget_old(keep: Path) -> None:
    bills = sorted(keep.glob(f"*{sbom.SUFFIX}"), key=lambda each: each.stat().st_mtime)
    for old in bills[:-KEPT_BILLS]:
        old.unlink(missing_ok=True)
    for left in keep.glob(".export-*"):  # of a build that was killed
        shutil.rmtree(left, ignore_errors=True)


def _bill(keep: Path, recipe: Recipe) -> Path | None:
    path = keep / f"{recipe.tag}{sbom.SUFFIX}"
    return path if path.exists() else None


def _push(tool: Tool, recipe: Recipe, registry: Registry, on_line: OnLine) -> str:
    on_line(f"pushing {recipe.name}")
    with TemporaryDirectory(prefix="backendctl-push-") as folder:
        told = Path(folder) / "digest"
        ended = run(tool.push(recipe.name, told), on_line)
        if ended.status != 0:
            raise failures.of_push(tool.name, recipe.repository, ended)
        digest = tool.pushed(ended.lines, told) or registry.digest(recipe.tag)
    if not digest:
        raise BackendctlError(
            "build.push",
            f"{recipe.name} was pushed, and the registry does not have it",
            state="no release was made; what runs goes on running",
        )
    return digest


def _attach(registry: Registry, digest: str, bill: Path, on_line: OnLine) -> None:
    """Beside the image too; a registry that takes no such documents does without."""
    try:
        registry.attach(digest, bill.read_bytes(), sbom.MEDIA_TYPE)
    except BackendctlError as error:
        on_line(f"the bill of materials stays here only: {error.message} ({error.cause})")
