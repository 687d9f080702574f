"""base.Schema on this machine: asks PostgreSQL, and runs a release's own tool for its SQL."""

import ast
import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backendctl.errors import BackendctlError
from backendctl.migrations import plain_sql, render
from backendctl.migrations.revisions import Revision, Tool
from backendctl.platforms.base import Invocation, MigrationScript, OnLine, Rehearsal, Release
from backendctl.platforms.local import jobs
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.postgres import ROLE, Postgres
from backendctl.platforms.local.rehearsal import empty_copy

_BOOKS: Mapping[Tool, tuple[str, str]] = {
    Tool.ALEMBIC: ("alembic_version", "SELECT version_num FROM alembic_version"),
    Tool.DJANGO: ("django_migrations", "SELECT app || '.' || name FROM django_migrations"),
    Tool.DBMATE: ("schema_migrations", "SELECT version FROM schema_migrations"),
    Tool.FLYWAY: (
        "flyway_schema_history",
        "SELECT version FROM flyway_schema_history WHERE success AND version IS NOT NULL",
    ),
    # The last only; `dirty` says that it failed half-way, which the tool itself then refuses.
    Tool.GOLANG_MIGRATE: ("schema_migrations", "SELECT version::text FROM schema_migrations"),
    Tool.GOOSE: (
        "goose_db_version",
        "SELECT version_id::text FROM goose_db_version WHERE is_applied AND version_id > 0",
    ),
    Tool.KNEX: ("knex_migrations", "SELECT name FROM knex_migrations"),
    Tool.NODE_PG_MIGRATE: ("pgmigrations", "SELECT name FROM pgmigrations"),
    Tool.PRISMA: (
        "_prisma_migrations",
        "SELECT migration_name FROM _prisma_migrations "
        "WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL",
    ),
}
"""Where each tool keeps its record, and how to read it."""

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

        table, query = _BOOKS[tool]
        try:
            with psycopg.connect(
                self._bindings()["DATABASE_URL"],
                connect_timeout=_CONNECT_DEADLINE,
                options="-c statement_timeout=3000",
            ) as connection:
                there = connection.execute("SELECT to_regclass(%s)", (table,)).fetchone()
                if there is None or there[0] is None:
                    return frozenset()
                return frozenset(str(row[0]) for row in connection.execute(query))
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
        if schema.tool in (Tool.ALEMBIC, Tool.DJANGO):
            empty = {
                each.name: {"sql": ""}
                for each in revisions
                if schema.tool is Tool.ALEMBIC and does_nothing(sources[each.name])
            }
            asked = [each for each in revisions if each.name not in empty]
            answers = {**empty, **self._rendered(release, schema.tool, asked)}
            return {
                name: MigrationScript(source, **_kept(answers.get(name)))
                for name, source in sources.items()
            }
        return {
            each.name: MigrationScript(sources[each.name], plain_sql.up(sources[each.name]))
            if each.file.endswith(".sql")
            else MigrationScript(
                sources[each.name], problem="it is a program, and is not run to see"
            )
            for each in revisions
        }

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
        books = _BOOKS[schema.tool][0] if schema else ""
        own = self._bindings()
        port = urlsplit(own["DATABASE_URL"]).port or 0
        with empty_copy(Postgres(self._layout).administration(port), ROLE, books) as name:
            instead = {
                variable: _elsewhere(url, name if variable == "DATABASE_URL" else _SPARE_CACHE)
                for variable, url in own.items()
                if variable in ("DATABASE_URL", "REDIS_URL", "CACHE_URL")
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
    ) -> Mapping[str, Mapping[str, str]]:
        if not revisions:
            return {}
        with tempfile.TemporaryDirectory() as folder:
            order, answer = Path(folder) / "order.json", Path(folder) / "answer.json"
            body = {
                "tool": tool.value,
                "arguments": global_arguments(release.processes.migrate),
                "revisions": [{"name": each.name, "after": each.after} for each in revisions],
                "answer": str(answer),
            }
            order.write_text(json.dumps(body))
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
        return {each.name: {"error": _without_password(why)} for each in revisions}


def global_arguments(migrate: Sequence[str]) -> list[str]:
    """Alembic's options that stand before its command, such as `-c` and `-x`."""
    programs = [place for place, word in enumerate(migrate) if Path(word).name == "alembic"]
    if not programs or "upgrade" not in migrate:
        return []
    return list(migrate[programs[0] + 1 : migrate.index("upgrade")])


def _elsewhere(url: str, database: str) -> str:
    """The same server, another database."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()


def does_nothing(source: str) -> bool:
    """Whether an Alembic migration's `upgrade` is empty, as that of a merge of branches is."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == "upgrade":
            return all(
                isinstance(each, ast.Pass)
                or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
                for each in node.body
            )
    return False


def _kept(answer: Mapping[str, str] | None) -> dict[str, Any]:
    if answer is None:
        return {"problem": "the tool said nothing about it"}
    if "error" in answer:
        return {"problem": _without_password(answer["error"]).splitlines()[0]}
    return {"sql": answer["sql"]}


def _without_password(text: str) -> str:
    return re.sub(r"://[^@\s/]*@", "://", text)
