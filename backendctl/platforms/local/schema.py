"""base.Schema on this machine: asks PostgreSQL, and runs a release's own tool for its SQL."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from backendctl.errors import BackendctlError
from backendctl.migrations import render
from backendctl.migrations.books import BOOKS
from backendctl.migrations.revisions import Revision, Tool
from backendctl.platforms import migration_scripts
from backendctl.platforms.base import Invocation, MigrationScript, OnLine, Rehearsal, Release
from backendctl.platforms.local import jobs
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.postgres import ROLE, Postgres
from backendctl.platforms.local.rehearsal import empty_copy
from backendctl.platforms.variables import CACHE_NAMES, DATABASE_NAMES

_CONNECT_DEADLINE = 3
_RENDER_DEADLINE = 60.0
"""Seconds."""

_SPARE_CACHE = "15"
"""The last of a Valkey server's sixteen databases; services use the first."""

InRelease = Callable[[Release, Sequence[str]], Invocation]


class LocalSchema:
    """base.Schema. Making one touches nothing."""

    def __init__(
        self, layout: Layout, bindings: Callable[[], Mapping[str, str]], in_release: InRelease
    ) -> None:
        self._layout = layout
        self._bindings = bindings
        self._in_release = in_release

    def applied(self, tool: Tool) -> frozenset[str]:
        """See base.Schema."""
        import psycopg

        book = BOOKS[tool]
        try:
            with psycopg.connect(
                self._bindings()["DATABASE_URL"],
                connect_timeout=_CONNECT_DEADLINE,
                options="-c statement_timeout=3000",
            ) as connection:
                there = connection.execute("SELECT to_regclass(%s)", (book.table,)).fetchone()
                if there is None or there[0] is None:
                    return frozenset()
                return frozenset(str(row[0]) for row in connection.execute(book.query))
        except psycopg.Error as error:
            raise BackendctlError(
                "missing.server",
                "the database cannot be asked which migrations it has",
                cause=str(error).strip().splitlines()[0],
                state="nothing was changed",
                next=("backendctl status", "backendctl logs --server postgres"),
            ) from error

    def scripts(
        self, release: Release, revisions: Sequence[Revision]
    ) -> Mapping[str, MigrationScript]:
        """See base.Schema."""
        schema = release.package.schema
        if schema is None or not revisions:
            return {}
        code = Path(release.package.location)
        sources = {each.name: (code / each.file).read_text(errors="replace") for each in revisions}
        return migration_scripts.scripts(
            schema.tool,
            revisions,
            sources,
            lambda asked: self._rendered(release, schema.tool, asked),
        )

    def rehearse(
        self,
        candidate: Release,
        stable: Release,
        tests: Sequence[str],
        deadline: float,
        on_line: OnLine,
    ) -> Rehearsal:
        """See base.Schema. Variables of the cache lead to another of its databases."""
        schema = candidate.package.schema
        books = BOOKS[schema.tool].table if schema else ""
        own = self._bindings()
        port = urlsplit(own["DATABASE_URL"]).port or 0
        with empty_copy(Postgres(self._layout).administration(port), ROLE, books) as name:
            instead = {
                variable: _elsewhere(url, name if variable == "DATABASE_URL" else _SPARE_CACHE)
                for variable, url in own.items()
                if variable in (*DATABASE_NAMES, *CACHE_NAMES)
            }
            steps = [(candidate, candidate.processes.migrate), (stable, tuple(tests))]
            for release, argv in steps:
                if not argv:
                    continue
                command = self._in_release(release, argv)
                environment = {**command.environment, **instead, "BACKENDCTL_JOB": "compatibility"}
                result = jobs.run(command.argv, command.directory, environment, deadline, on_line)
                if result.exit_status:
                    break
            return Rehearsal(argv, result)

    def _rendered(
        self, release: Release, tool: Tool, revisions: Sequence[Revision]
    ) -> migration_scripts.Answers:
        with tempfile.TemporaryDirectory() as folder:
            order, answer = Path(folder) / "order.json", Path(folder) / "answer.json"
            body = migration_scripts.order(tool, release.processes.migrate, revisions)
            order.write_text(json.dumps({**body, "answer": str(answer)}))
            said: list[str] = []
            command = self._in_release(release, ("python", render.__file__, str(order)))
            result = jobs.run(
                command.argv,
                command.directory,
                command.environment,
                _RENDER_DEADLINE,
                said.append,
            )
            with suppress(FileNotFoundError):
                found: dict[str, dict[str, str]] = json.loads(answer.read_text())
                return found
        why = said[-1] if said else f"it ended with status {result.exit_status}"
        return migration_scripts.unanswered(revisions, why)


def _elsewhere(url: str, database: str) -> str:
    """The same server, another database."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()
