"""Getting the `pulumi` program and its plugins, on request: pinned versions, checksums verified.

The archive comes from Pulumi's download host, its SHA-256 from the list that the release publishes
on another host; both have to agree before anything is unpacked. Plugins are installed by the
program itself, which verifies the checksum that it is given.
"""

import hashlib
import io
import os
import platform
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.filesystem import atomic_write, make_folder
from backendctl.provision.tool import INSTALL, PINNED, Tool, home, installed_at, missing_plugins

PROGRAM_MODE = 0o755
TIMEOUT = 60.0
"""Seconds without a byte."""
_SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_PLUGIN_MACHINES = {"x64": "amd64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where archives and their checksums are published; tests put a server of theirs here."""

    archives: str = "https://get.pulumi.com/releases/sdk"
    checksums: str = "https://github.com/pulumi/pulumi/releases/download"
    plugins: str = "https://get.pulumi.com/releases/plugins"
    plugin_checksums: str = "https://github.com/pulumi/pulumi-{name}/releases/download"


def install_program(version: str = PINNED, sources: Sources | None = None) -> Path:
    """Download, verify and unpack; returns the program. What was there before stays until then.

    Raises BackendctlError `infra.download`, `platform.unsupported`.
    """
    where = sources or Sources()
    archive = f"pulumi-v{version}-{_system()}-{_machine()}.tar.gz"
    listed = _fetched(f"{where.checksums}/v{version}/pulumi-{version}-checksums.txt")
    expected = checksum_of(listed.decode(errors="replace"), archive)
    body = _fetched(f"{where.archives}/{archive}")
    _verify(body, expected, f"{where.archives}/{archive}")
    program = _unpacked(body, "pulumi")
    target = installed_at(version)
    make_folder(target.parent)
    atomic_write(target, program, PROGRAM_MODE)
    return target


def install_plugins(
    tool: Tool, wanted: Mapping[str, str], sources: Sources | None = None
) -> Mapping[str, str]:
    """Install those that are missing; returns them. Raises BackendctlError `infra.download`."""
    where = sources or Sources()
    missing = missing_plugins(dict(wanted))
    for name, version in missing.items():
        machine = _PLUGIN_MACHINES[_machine()]
        archive = f"pulumi-resource-{name}-v{version}-{_system()}-{machine}.tar.gz"
        base = where.plugin_checksums.format(name=name)
        listed = _fetched(f"{base}/v{version}/pulumi-{name}_{version}_checksums.txt")
        expected = checksum_of(listed.decode(errors="replace"), archive)
        _install_plugin(tool, name, version, expected, where.plugins)
    return missing


def _install_plugin(tool: Tool, name: str, version: str, expected: str, server: str) -> None:
    argv = [str(tool.program), "plugin", "install", "resource", name, f"v{version}"]
    argv += ["--exact", "--checksum", expected, "--server", server, "--non-interactive"]
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        env={**os.environ, "PULUMI_HOME": str(home()), "PULUMI_SKIP_UPDATE_CHECK": "true"},
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise _failed(f"the plugin {name} {version} could not be installed", said[-500:])


def checksum_of(listed: str, archive: str) -> str:
    """The SHA-256 of that archive, from a list as `sha256sum` writes it.

    Raises BackendctlError `infra.download` when the archive is not in it.
    """
    for line in listed.splitlines():
        digest, _, name = line.strip().partition(" ")
        if name.strip().lstrip("*./") == archive and len(digest) == 64:
            return digest.lower()
    raise _failed(f"no checksum is published for {archive}", "it is not in the release's list")


def _verify(body: bytes, expected: str, source: str) -> None:
    found = hashlib.sha256(body).hexdigest()
    if found != expected:
        raise _failed(
            f"{source} is not what was published", f"SHA-256 {found}, expected {expected}"
        )


def _unpacked(body: bytes, name: str) -> bytes:
    """One file of the archive, read and never extracted by its own path."""
    try:
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as archive:
            for member in archive:
                if member.isfile() and Path(member.name).name == name:
                    found = archive.extractfile(member)
                    if found is not None:
                        return found.read()
    except tarfile.TarError as error:
        raise _failed("the archive cannot be read", str(error)) from error
    raise _failed(f"there is no {name} in the archive", "")


def _fetched(url: str) -> bytes:
    import httpx

    try:
        answer = httpx.get(url, timeout=TIMEOUT, follow_redirects=True)
        answer.raise_for_status()
        return answer.content
    except httpx.HTTPError as error:
        failed = _failed(f"{url} could not be downloaded", str(error))
        by_hand = "docs/guides/kubernetes.md says how to bring it by hand"
        failed.next = (f"{INSTALL}  # through HTTPS_PROXY, if that is set; {by_hand}",)
        raise failed from error


def _system() -> str:
    found = _SYSTEMS.get(platform.system())
    if found is None:
        raise _unsupported(platform.system())
    return found


def _machine() -> str:
    found = _MACHINES.get(platform.machine().lower())
    if found is None:
        raise _unsupported(platform.machine())
    return found


def _unsupported(what: str) -> BackendctlError:
    return BackendctlError(
        "platform.unsupported",
        f"there is no pulumi program to download for {what}",
        state="nothing was installed",
        next=("install pulumi by hand, and set BACKENDCTL_PULUMI to it",),
    )


def _failed(message: str, cause: str) -> BackendctlError:
    return BackendctlError(
        "infra.download",
        message,
        cause=cause,
        state="nothing was installed; what was there before still is",
        next=(INSTALL,),
    )
