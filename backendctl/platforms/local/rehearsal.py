"""A database that looks like the service's and holds none of its rows; gone after use."""

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from backendctl.errors import BackendctlError
from backendctl.platforms.local.binaries import postgres_binary

_DEADLINE = 60.0
_PREFIX = "rehearsal_"


@contextmanager
def empty_copy(administration: str, owner: str, books: str) -> Iterator[str]:
    """The name of a new database with the same schema, and with the rows of `books` only: the
    table in which the migration tool keeps its record.

    `administration` is an administrator's URL of the database that is copied. Nothing but
    ACCESS SHARE locks is taken there. Raises BackendctlError `missing.server`.
    """
    import psycopg
    from psycopg import sql

    name = f"{_PREFIX}{secrets.token_hex(4)}"
    copy = sql.Identifier(name)
    try:
        with psycopg.connect(administration, autocommit=True, connect_timeout=3) as connection:
            _sweep(connection)
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(copy, sql.Identifier(owner))
            )
            try:
                there = connection.execute("SELECT to_regclass(%s)", (books,)).fetchone()
                _fill(administration, name, books if there and there[0] else "")
                yield name
            finally:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(copy))
    except psycopg.Error as error:
        raise _failed(str(error)) from error


def _sweep(connection: "psycopg.Connection[tuple[object, ...]]") -> None:  # type: ignore[name-defined] # noqa: F821
    """Drop what a run that was killed left behind. The caller holds the environment."""
    from psycopg import sql

    left = connection.execute(
        "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (_PREFIX,)
    ).fetchall()
    for (name,) in left:
        statement = sql.SQL("DROP DATABASE {} WITH (FORCE)")
        connection.execute(statement.format(sql.Identifier(str(name))))


def _fill(administration: str, name: str, books: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        schema, rows = Path(folder) / "schema", Path(folder) / "rows"
        _run(administration, "pg_dump", ("--schema-only", "--format=custom", f"--file={schema}"))
        _run(administration, "pg_restore", ("--exit-on-error", str(schema)), into=name)
        if books:
            options = ("--data-only", f"--table={books}", "--format=custom", f"--file={rows}")
            _run(administration, "pg_dump", options)
            _run(administration, "pg_restore", ("--exit-on-error", str(rows)), into=name)


def _run(administration: str, program: str, options: Sequence[str], into: str = "") -> None:
    url = urlsplit(administration)
    where = {
        "PGHOST": url.hostname or "",
        "PGPORT": str(url.port or ""),
        "PGUSER": url.username or "",
        "PGPASSWORD": url.password or "",
        "PGDATABASE": url.path.removeprefix("/"),
        "PATH": os.defpath,
        "LC_ALL": "C",
    }
    target = (f"--dbname={into}",) if into else ()
    try:
        done = subprocess.run(
            [str(postgres_binary(program)), "--no-password", *target, *options],
            env=where,
            capture_output=True,
            text=True,
            timeout=_DEADLINE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:  # somebody keeps a table in ACCESS EXCLUSIVE mode
        raise _failed(f"{program} did not end within {_DEADLINE:g} s") from error
    if done.returncode:
        raise _failed(done.stderr)


def _failed(said: str) -> BackendctlError:
    lines = said.strip().splitlines()
    return BackendctlError(
        "missing.server",
        "no copy of the database's schema could be made for the compatibility tests",
        cause=lines[-1] if lines else "",
        state="the database itself was not changed",
        next=("backendctl status", "backendctl logs --server postgres"),
    )
