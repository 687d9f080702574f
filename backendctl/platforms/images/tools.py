"""The programs that build images, each as the commands it understands. Nothing is run here.

All three read the same Dockerfiles and take build secrets by file; they differ in how time stamps
are fixed and in how a pushed image's digest is told.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from backendctl.platforms.images.reference import is_loopback

PROXIES = tuple(
    each
    for name in ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
    for each in (name.upper(), name)
)
"""Build arguments that every tool knows without a declaration and keeps out of the image."""

EPOCH_ARGUMENT = "SOURCE_DATE_EPOCH"
"""Declared by a Dockerfile (`ARG SOURCE_DATE_EPOCH`) whose commands write time stamps into files:
https://reproducible-builds.org/specs/source-date-epoch/."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command to run. No argument is secret."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Beyond our own."""


@dataclass(frozen=True, slots=True)
class ImageBuild:
    """What is to be built."""

    name: str
    """`registry/repository:tag`."""
    context: Path
    dockerfile: Path
    epoch: int
    """Seconds since the epoch: what every time stamp in the image says."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    """By the id under which the Dockerfile mounts them; in 0600 files."""
    proxies: Sequence[str] = ()
    """Names of the variables to pass on; their values may hold a password."""
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    """The Dockerfile's stage; "" for the last."""
    machine: str = ""
    """`os/architecture`; "" for that of whoever builds."""
    stepwise: bool = True
    """Each step's outcome is kept for the next build; if not, only that of each stage, which is
    much quicker where a layer is a whole copy (Buildah's plain storage)."""
    fresh: bool = False
    """Nothing is taken from an earlier build, and base images are looked for anew."""


class Tool(Protocol):
    """One program that builds images."""

    @property
    def name(self) -> str: ...

    def probe(self) -> Command:
        """Ends well if the tool works here; without an image being there."""
        ...

    def build(self, wanted: ImageBuild) -> Command:
        """Leaves the image under its name in the tool's own store."""
        ...

    def push(self, name: str, digest: Path) -> Command:
        """Push it; the file may be written with its digest."""
        ...

    def pushed(self, output: Sequence[str], digest: Path) -> str:
        """The digest (`sha256:...`) of what was pushed; "" if it was not told."""
        ...

    def export(self, name: str, archive: Path) -> Command:
        """Write the image to a tar archive, with its layers in it as archives."""
        ...


@dataclass(frozen=True, slots=True)
class Docker:
    """Docker with BuildKit (23 or later)."""

    name: str = "docker"

    def probe(self) -> Command:
        return Command(("docker", "version", "--format", "{{.Server.Version}}"))

    def build(self, wanted: ImageBuild) -> Command:
        argv = ["docker", "build", "--progress", "plain", *_common(wanted)]
        for name in wanted.proxies:
            argv += ["--build-arg", name]  # its value comes from our environment
        environment = {
            "DOCKER_BUILDKIT": "1",
            EPOCH_ARGUMENT: str(wanted.epoch),
            # They hold the time of the build, and make of one image an index of two.
            "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        }
        return Command((*argv, str(wanted.context)), environment)

    def push(self, name: str, digest: Path) -> Command:  # noqa: ARG002 - it tells in its output
        return Command(("docker", "push", name))

    def pushed(self, output: Sequence[str], digest: Path) -> str:  # noqa: ARG002
        for line in reversed(output):
            found = re.search(r"\bdigest: (sha256:[0-9a-f]{64})\b", line)
            if found:
                return found[1]
        return ""

    def export(self, name: str, archive: Path) -> Command:
        return Command(("docker", "save", "--output", str(archive), name))


@dataclass(frozen=True, slots=True)
class Podman:
    """Podman 4 or later."""

    name: str = "podman"

    def probe(self) -> Command:
        return Command(("podman", "info", "--format", "{{.Version.Version}}"))

    def build(self, wanted: ImageBuild) -> Command:
        # It passes the proxies of our environment by itself.
        argv = ("podman", "build", *_buildah_options(wanted), str(wanted.context))
        return Command(argv)

    def push(self, name: str, digest: Path) -> Command:
        return Command(("podman", "push", *_transport(name), "--digestfile", str(digest), name))

    def pushed(self, output: Sequence[str], digest: Path) -> str:  # noqa: ARG002
        return _from_file(digest)

    def export(self, name: str, archive: Path) -> Command:
        # Docker's form keeps layers as they are; OCI's would be compressed, to be read once, here.
        argv = ("podman", "save", "--quiet", "--format", "docker-archive", "--output", str(archive))
        return Command((*argv, name))


@dataclass(frozen=True, slots=True)
class Buildah:
    """Buildah 1.24 or later. Its own variables choose its storage (STORAGE_DRIVER) and how
    commands of the Dockerfile are kept apart from this machine (BUILDAH_ISOLATION)."""

    name: str = "buildah"
    storage: str = ""
    """A storage driver instead of its own choice."""

    def probe(self) -> Command:
        return self._command("info")

    def build(self, wanted: ImageBuild) -> Command:
        return self._command("build", *_buildah_options(wanted), str(wanted.context))

    def push(self, name: str, digest: Path) -> Command:
        return self._command("push", *_transport(name), "--digestfile", str(digest), name)

    def pushed(self, output: Sequence[str], digest: Path) -> str:  # noqa: ARG002
        return _from_file(digest)

    def export(self, name: str, archive: Path) -> Command:
        # As for Podman: not compressed.
        return self._command("push", "--quiet", name, f"docker-archive:{archive}")

    def _command(self, *argv: str) -> Command:
        return Command(("buildah", *argv), {"STORAGE_DRIVER": self.storage} if self.storage else {})


TOOLS: tuple[Tool, ...] = (Docker(), Podman(), Buildah(), Buildah(storage="vfs"))
"""In the order in which they are looked for. Buildah's plain storage driver works where overlay
mounts are not allowed, as in many CI containers; it is slower."""


def _common(wanted: ImageBuild) -> list[str]:
    argv = ["--file", str(wanted.dockerfile), "--tag", wanted.name]
    for key, value in wanted.labels.items():
        argv += ["--label", f"{key}={value}"]
    for key, value in wanted.arguments.items():
        argv += ["--build-arg", f"{key}={value}"]
    argv += ["--build-arg", f"{EPOCH_ARGUMENT}={wanted.epoch}"]
    for identifier, path in wanted.secrets.items():
        # Without the type, Buildah takes a variable of that name for it, if there is one.
        argv += ["--secret", f"type=file,id={identifier},src={path}"]
    argv += ["--target", wanted.target] if wanted.target else []
    argv += ["--platform", wanted.machine] if wanted.machine else []
    argv += ["--no-cache"] if wanted.fresh else []
    return argv


def _buildah_options(wanted: ImageBuild) -> list[str]:
    """Those of `buildah build`, which `podman build` is."""
    layers = f"--layers={str(wanted.stepwise).lower()}"
    return [layers, "--timestamp", str(wanted.epoch), "--format", "oci", *_common(wanted)]


def _transport(name: str) -> tuple[str, ...]:
    """Registries on this machine speak plain HTTP, as Docker takes for granted too."""
    return ("--tls-verify=false",) if is_loopback(name) else ()


def _from_file(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""
