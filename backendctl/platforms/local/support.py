"""Whether this machine can run the embedded servers; what `doctor` shows."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.platforms.local.binaries import envoy_binary, postgres_binary, valkey_binary

_VERSION_DEADLINE = 20.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold on this machine."""

    name: str
    ok: bool
    detail: str
    """The version when it holds; what is wrong when it does not."""
    next: str = ""
    """What to do about it."""


def checks() -> list[Check]:
    """Whether each embedded server's program is there, is for this machine, and runs."""
    programs: tuple[tuple[str, Callable[[], Path]], ...] = (
        ("envoy", envoy_binary),
        ("postgresql", lambda: postgres_binary("postgres")),
        ("valkey", valkey_binary),
    )
    return [_check(name, find) for name, find in programs]


def _check(name: str, find: Callable[[], Path]) -> Check:
    try:
        path = find()
    except BackendctlError as error:
        return Check(name, False, f"{error.message}: {error.cause}", next(iter(error.next), ""))
    reinstall = "pip install --force-reinstall 'backendctl[local]'"
    try:
        answer = subprocess.run(
            [str(path), "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_DEADLINE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check(name, False, f"{path} does not run: {error}", reinstall)
    lines = [line.strip() for line in answer.stdout.splitlines() if line.strip()]
    if answer.returncode != 0 or not lines:
        reason = (answer.stderr.strip() or f"exit status {answer.returncode}").splitlines()[0]
        return Check(name, False, f"{path} does not run: {reason}", reinstall)
    return Check(name, True, lines[-1].removeprefix(str(path)).strip())
