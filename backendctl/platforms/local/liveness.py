"""Whether a process that left its mark here still lives, safe against reused process ids."""

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """One process of one boot of this machine, never to be mistaken for another."""

    pid: int
    started: str
    """When it started. On Linux in clock ticks since the boot, because the wall clock (and what
    psutil derives from it) moves when the clock is set; elsewhere psutil's creation time."""
    boot: str
    """Which boot of the machine; empty where the system does not say."""
    namespace: str
    """Where its pid means something: a container sees other processes than its host."""


def mark(pid: int | None = None) -> ProcessMark:
    """The mark of a living process, this one if not said. Raises ProcessLookupError."""
    pid = os.getpid() if pid is None else pid
    started = _started(pid)
    if started is None:
        raise ProcessLookupError(pid)
    return ProcessMark(pid, started, _boot(), _namespace())


def alive(marked: ProcessMark) -> bool | None:
    """True or False for a process of this machine; None if it cannot be seen from here."""
    if marked.boot != _boot():
        return False
    if marked.namespace != _namespace():
        return None
    return _started(marked.pid) == marked.started


def _started(pid: int) -> str | None:
    """When the process started; None if there is none, or only its unreaped remains."""
    if not (_PROC / "self" / "stat").exists():
        return _started_elsewhere(pid)
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field, the command, may hold spaces and brackets: count from its end.
    fields = stat.rpartition(")")[2].split()
    state, ticks = fields[0], fields[19]
    return None if state in "ZX" else ticks


def _started_elsewhere(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return str(process.create_time())
    except psutil.NoSuchProcess:
        return None


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""
