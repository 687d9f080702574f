"""Processes that outlive the CLI and come back after a crash, through supervisord."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Program:
    """A process to keep running."""

    name: str
    argv: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """The whole environment, not additions to ours. May hold secrets: kept in 0600 files only."""
    log: Path | None = None
    """Where its output goes, rotated; default `logs/<name>.log`."""
    stop_signal: str = "TERM"
    stop_grace: float = 30.0
    restart: bool = True


class ProgramState(StrEnum):
    RUNNING = "running"
    STARTING = "starting"
    BACKOFF = "backoff"
    STOPPING = "stopping"
    EXITED = "exited"
    FATAL = "fatal"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ProgramStatus:
    name: str
    state: ProgramState
    pid: int | None
    exit_status: int | None
    restarts: int
    detail: str


class Supervisor:
    """One supervisord per environment, in its own session, answering on a 0600 socket."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def ensure(self) -> None:
        """Start supervisord if it is not running; adopt or replace what a dead one left behind."""
        raise NotImplementedError

    def start(self, program: Program) -> None:
        """Run the program; unchanged and running already: nothing happens."""
        raise NotImplementedError

    def stop(self, name: str) -> None:
        """Stop and forget the program; its processes are gone on return."""
        raise NotImplementedError

    def status(self, name: str) -> ProgramStatus | None:
        raise NotImplementedError

    def programs(self) -> Mapping[str, ProgramStatus]:
        raise NotImplementedError

    def shutdown(self) -> None:
        """Stop every program, then supervisord; nothing is left running on return."""
        raise NotImplementedError
