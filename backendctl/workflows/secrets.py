"""`backendctl secrets`: values that reach the service's processes and nothing else."""

import re

from backendctl.errors import BackendctlError
from backendctl.workflows.environment import Opened

NAME = re.compile(r"[A-Z][A-Z0-9_]{0,127}")
"""An environment variable as services write them."""
RESERVED = frozenset({"PORT", "HOST", "PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV"})
"""Where a process listens and what it finds its code by: none of it is secret, and a wrong value
keeps every later release from starting, or opens it to the network."""


def check_name(opened: Opened, name: str) -> None:
    """Raises `usage` for a name that no secret can have; for whoever asks for the value next."""
    _refuse_value(name)
    if not NAME.fullmatch(name):
        raise BackendctlError(
            "usage",
            f"{name!r} is not a name for a secret",
            cause="it becomes an environment variable: capital letters, digits and _, "
            "beginning with a letter",
            state="nothing was changed",
        )
    taken = RESERVED | set(opened.platform.foundation.variables())
    if name in taken:
        raise BackendctlError(
            "usage",
            f"{name} is set by the platform and cannot be replaced by a secret",
            cause=f"set by the platform: {', '.join(sorted(taken))}",
            state="nothing was changed",
        )


def _refuse_value(name: str) -> None:
    """`NAME=value` is refused without repeating the value, and with what to do about it."""
    before, assigned, value = name.partition("=")
    if assigned:
        exposed = bool(value.strip())
        meant = before if NAME.fullmatch(before) else "NAME"
        raise BackendctlError(
            "usage",
            "a secret's value is never given on the command line; only its name is",
            cause="what stands behind the = is now in the shell's history and was in the list of "
            "processes: delete it there, and change the secret where it came from"
            if exposed
            else "the name ends with an =",
            state="nothing was changed",
            next=(
                f"backendctl secrets set {meant}  # asks for the value, without echo",
                f"backendctl secrets set {meant} < FILE",
            ),
        )


def set_secret(opened: Opened, name: str, value: str) -> str:
    """Store a new version; it takes effect with the next release. Returns the version.

    Raises `usage` as `check_name`, and for a value that no process can be given.
    """
    check_name(opened, name)
    if not value:
        raise BackendctlError(
            "usage",
            f"the value of {name} is empty",
            state="nothing was changed",
            next=(f"backendctl secrets unset {name}",),
        )
    if "\0" in value:
        raise BackendctlError(
            "usage",
            f"the value of {name} holds a zero byte",
            cause="no process's environment can hold one",
            state="nothing was changed",
        )
    return opened.platform.secrets.set(name, value)


def unset_secret(opened: Opened, name: str) -> None:
    """Forget a name for releases to come."""
    _refuse_value(name)
    known = opened.platform.secrets.current()
    if name not in known:
        raise BackendctlError(
            "missing.data",
            f"there is no secret {name!r} in environment {opened.environment.name!r}",
            cause=f"there are: {', '.join(sorted(known)) or 'none'}",
            state="nothing was changed",
        )
    opened.platform.secrets.unset(name)
