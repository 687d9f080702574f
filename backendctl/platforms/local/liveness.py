"""Whether a process that left its mark here still lives, safe against reused process ids."""

import os
from dataclasses import dataclass
from pathlib import Path

from backendctl.platforms.local import launch


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """One process of one boot of this machine, never to be mistaken for another."""

    pid: int
    identity: str
    """See launch.identity: counted from the boot, so that setting the clock changes nothing."""
    boot: str
    namespace: str
    """Where its pid means something: a container sees other processes than its host."""


def mark(pid: int | None = None) -> ProcessMark:
    """The mark of a living process, this one if not said. Raises ProcessLookupError."""
    pid = os.getpid() if pid is None else pid
    identity = launch.identity(pid)
    if identity is None:
        raise ProcessLookupError(pid)
    return ProcessMark(pid, identity, launch.boot(), _namespace())


def alive(marked: ProcessMark) -> bool | None:
    """True or False for a process of this machine; None if it cannot be seen from here."""
    if not of_this_boot(marked):
        return False
    if marked.namespace != _namespace():
        return None
    return launch.identity(marked.pid) == marked.identity


def of_this_boot(marked: ProcessMark) -> bool:
    """Whether the machine has not been started anew since."""
    return marked.boot == launch.boot()


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
