"""The programs that no Debian package holds: built from their Go modules, once per version."""

import hashlib
import os
import platform
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from tests.cluster.commands import ClusterError, run
from tests.cluster.layout import cache_folder

MODULES = Path(__file__).parent / "binaries"
_BUILD_TIMEOUT = 3600


@dataclass(frozen=True)
class Build:
    """One Go module of ours (go.mod, go.sum) and the commands built with it."""

    module: str
    packages: tuple[str, ...]
    linker_flags: str = "-s -w"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(package.rsplit("/", 1)[1] for package in self.packages)

    @property
    def folder(self) -> Path:
        return MODULES / self.module

    def digest(self) -> str:
        """Changes whenever something else would be built."""
        parts = [" ".join((*self.packages, self.linker_flags)).encode()]
        parts += [file.read_bytes() for file in sorted(self.folder.iterdir())]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


KUBERNETES = Build(
    "kubernetes",
    tuple(
        f"k8s.io/kubernetes/cmd/{name}"
        for name in (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-proxy",
            "kube-scheduler",
            "kubectl",
            "kubelet",
        )
    ),
    "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3",
)
CONTOUR = Build("contour", ("github.com/projectcontour/contour/cmd/contour",))
REGISTRY = Build("registry", ("backendctl.dev/tests/cluster/registry",))
COREDNS = Build("coredns", ("backendctl.dev/tests/cluster/coredns",))
PAUSE = Build("pause", ("backendctl.dev/tests/cluster/pause",))
PULUMI = Build(
    "pulumi",
    ("github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",),
    "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.259.0",
)
NODE = (PAUSE, KUBERNETES, REGISTRY, COREDNS)
EVERYTHING = (*NODE, CONTOUR, PULUMI)


def built(build: Build) -> Path:
    """The folder with the build's programs; builds them when this version is not there yet.

    Every module is verified against the go.sum that is checked in (`-mod=readonly`).
    """
    folder = cache_folder() / "bin" / f"{build.module}-{build.digest()}"
    if folder.exists():
        return folder
    go = go_command()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if folder.exists():
            return folder
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        scratch = unfinished / "scratch"
        scratch.mkdir(parents=True)
        run(
            [
                go,
                "build",
                "-mod=readonly",
                "-trimpath",
                "-buildvcs=false",
                f"-ldflags={build.linker_flags}",
                "-o",
                f"{unfinished}/",
                *build.packages,
            ],
            cwd=build.folder,
            timeout=_BUILD_TIMEOUT,
            environment={
                **os.environ,
                "CGO_ENABLED": "0",
                "GOFLAGS": "",
                "GOWORK": "off",
                # Not in a folder that somebody else tidies up during a build of minutes.
                "GOTMPDIR": str(scratch),
            },
        )
        shutil.rmtree(scratch)
        unfinished.rename(folder)
    return folder


def go_command() -> str:
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        raise ClusterError("Go is not installed: the cluster's programs are built with it")
    return found


def linked(builds: Iterable[Build], folder: Path) -> None:
    """Put links to the programs of all builds into one folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for build in builds:
        programs = built(build)
        for name in build.names:
            link = folder / name
            link.unlink(missing_ok=True)
            link.symlink_to(programs / name)


def module_folder(build: Build, module: str) -> Path:
    """Where the Go module cache keeps the files of a module that this build uses."""
    return Path(
        run(
            [go_command(), "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module],
            cwd=build.folder,
            environment={**os.environ, "GOFLAGS": "", "GOWORK": "off"},
        ).strip()
    )


def architecture() -> str:
    """This machine's, as Go and images name it."""
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
