"""Runs releases and one-off jobs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from backendctl.platforms.base.progress import OnLine
from backendctl.platforms.base.releases import Configuration, Package, Release


class Condition(StrEnum):
    """The state of a release's processes as a whole."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    UNREADY = "unready"
    """Running, but its readiness check says no (or nothing)."""
    CRASHING = "crashing"
    """At least one process died and is being restarted with back-off."""
    FAILED = "failed"
    """Given up: it will not come back by itself."""


@dataclass(frozen=True, slots=True)
class ReleaseStatus:
    """What one look at a release's processes shows."""

    number: int
    condition: Condition
    replicas: int = 0
    ready: int = 0
    restarts: int = 0
    """Restarts after a crash since the release was started."""
    detail: str = ""
    """For a person: exit status, signal, the readiness check's answer."""
    last_restart: float | None = None
    """When the last of its restarts was, in seconds since the epoch."""


MIGRATION = "migrate"
"""The job that changes the schema: it gives up rather than keep users waiting for a lock."""
LOCK_KEPT = "it was ended: requests of users waited for a lock that it kept"
"""The last line of a migration that had to be stopped."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """The end of a one-off command."""

    exit_status: int
    """As the shell would say it: negative of the signal when killed by one; 124 at time-out."""
    seconds: float
    tail: tuple[str, ...]
    """Its last lines of output, oldest first."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command to be run here, by whoever has the terminal. Its environment holds secrets."""

    argv: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]
    """The whole environment, not additions to ours."""


class Runtime(Protocol):
    """Runs releases and one-off jobs. Every method is idempotent."""

    def package(self, tree: Path, on_line: OnLine) -> Package:
        """Make the working tree immutable and its dependencies ready to start in a second.

        Raises BackendctlError `release.package` with the installer's last lines.
        """
        ...

    def start(self, release: Release) -> None:
        """Start the release's processes; returns before they are ready."""
        ...

    def stop(self, number: int) -> None:
        """Ask the processes to end, wait their grace, kill what is left; gone on return."""
        ...

    def status(self, number: int) -> ReleaseStatus:
        """One look, under 100 ms unless a process hangs."""
        ...

    def running(self) -> Sequence[int]:
        """Numbers of all releases that have processes, ready or not."""
        ...

    def await_ready(self, release: Release, deadline: float) -> ReleaseStatus:
        """Wait until every replica is ready, the release failed, or `deadline` seconds passed.

        Returns as soon as the outcome can be known: a crash loop is not waited out.
        """
        ...

    def run_job(
        self, release: Release, name: str, argv: Sequence[str], deadline: float, on_line: OnLine
    ) -> JobResult:
        """Run a command in the release's code, environment and configuration, to its end."""
        ...

    def in_release(self, release: Release, argv: Sequence[str]) -> Invocation:
        """A command that a person typed, in a release's surroundings; taken literally, without
        `$NAME` being replaced."""
        ...

    def in_tree(
        self,
        tree: Path,
        argv: Sequence[str],
        configuration: Configuration,
        extra: Mapping[str, str],
        on_line: OnLine,
    ) -> Invocation:
        """A command in the working tree itself, with the dependencies its files ask for now and
        `extra` variables; `$NAME` in it is replaced. Nothing is written into the tree.

        Raises like `package`.
        """
        ...

    def development_port(self) -> int:
        """A port for the working tree's own process, the same each time while it is free."""
        ...

    def logs(self, number: int, lines: int, follow: bool = False) -> Iterator[str]:
        """The release's last `lines` lines, oldest first; then, if `follow`, those to come."""
        ...
