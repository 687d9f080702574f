"""The database's schema, as its migration tool has recorded it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from backendctl.migrations.revisions import Revision, Tool
from backendctl.platforms.base.progress import OnLine
from backendctl.platforms.base.releases import Release
from backendctl.platforms.base.runtime import JobResult


@dataclass(frozen=True, slots=True)
class MigrationScript:
    """What one migration would run."""

    source: str
    """Its file's text."""
    sql: str = ""
    problem: str = ""
    """Why the SQL cannot be had."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How a rehearsal of migrations ended."""

    argv: tuple[str, ...]
    """The last command that was run: the migration if that failed, else the tests."""
    result: JobResult


class Schema(Protocol):
    """The database's schema, as the migration tool's own record in the database has it."""

    def applied(self, tool: Tool) -> frozenset[str]:
        """The names that the tool has recorded; of a tool that records only where it stands,
        that. Empty if it never ran.

        Raises BackendctlError `missing.server` when the database cannot be asked.
        """
        ...

    def scripts(
        self, release: Release, revisions: Sequence[Revision]
    ) -> Mapping[str, MigrationScript]:
        """By name, what these migrations of the release would run. Nothing is changed."""
        ...

    def rehearse(
        self,
        candidate: Release,
        stable: Release,
        tests: Sequence[str],
        deadline: float,
        on_line: OnLine,
    ) -> Rehearsal:
        """Run `tests` in stable's code, environment and configuration, against a database of their
        own that has the present schema, no rows, and candidate's migrations applied.

        Each of the two commands has `deadline` seconds. Raises BackendctlError `missing.server`.
        """
        ...
