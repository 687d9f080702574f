"""How long a migration may wait for a lock, and run, whatever driver its tool has.

A statement that waits for a table's lock makes every request for that table wait behind it. The
limits are set on the server, on a role that only migrations log in as: PGOPTIONS would do for
libpq, but asyncpg and JDBC do not heed it.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace

from backendctl.errors import BackendctlError
from backendctl.platforms.base import LOCK_KEPT, Invocation, JobResult, OnLine
from backendctl.platforms.local import jobs
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.lock_guard import LockGuard
from backendctl.platforms.local.ports import Ports
from backendctl.platforms.local.postgres import ROLE, Postgres
from backendctl.platforms.migration_options import LOCK_TIMEOUT, pgoptions

_AUTOVACUUM_YIELDS = 0.5
"""Seconds after which an autovacuum in the way is cancelled (deadlock_timeout, 1 s by default,
would come too late)."""

_SLACK = 0.5
"""Seconds for which the guard leaves it to the migration's own limit to act first."""

_MIGRATOR = f"{ROLE}_migrate"
_GRACE = 60.0
"""Seconds for which its password outlives the migration's deadline."""

_CREATE = f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{_MIGRATOR}') THEN
        CREATE ROLE {_MIGRATOR} LOGIN IN ROLE {ROLE};
    END IF;
END $$"""


class MigrationLimits:
    """Puts them on the environment of a migration's process. Making one touches nothing."""

    def __init__(self, layout: Layout, bindings: Callable[[], Mapping[str, str]]) -> None:
        self._layout = layout
        self._bindings = bindings

    def run(self, command: Invocation, deadline: float, on_line: OnLine) -> JobResult:
        """Run a migration to its end, or to the moment at which it keeps users waiting too long.

        Raises as `put_on`.
        """
        environment = self.put_on(command.environment, deadline)

        def job() -> JobResult:
            return jobs.run(command.argv, command.directory, environment, deadline, on_line)

        if environment.get("DATABASE_URL") == command.environment.get("DATABASE_URL"):
            return job()  # a database that is not ours to look into
        with LockGuard(self._administration(), _MIGRATOR, LOCK_TIMEOUT + _SLACK) as guard:
            result = job()
        if guard.ended:
            on_line(LOCK_KEPT)
            result = replace(result, tail=(*result.tail, LOCK_KEPT))
        return result

    def put_on(self, environment: Mapping[str, str], deadline: float) -> Mapping[str, str]:
        """The same, with a DATABASE_URL that is held to the limits if it is our database's.

        Raises BackendctlError `missing.server` when the database does not let us prepare it.
        """
        url = self._bindings().get("DATABASE_URL")
        limited = {"PGOPTIONS": pgoptions(deadline, environment.get("PGOPTIONS", ""))}
        if url is not None and environment.get("DATABASE_URL") == url:
            limited["DATABASE_URL"] = self._logged_in(url, deadline)
        return {**environment, **limited}

    def _logged_in(self, url: str, deadline: float) -> str:
        import psycopg

        try:
            return self._login(url, deadline)
        except psycopg.Error as error:
            raise BackendctlError(
                "missing.server",
                "the database cannot be prepared for a migration",
                cause=str(error).strip().splitlines()[0],
                state="nothing was migrated",
                next=("backendctl status", "backendctl logs --server postgres"),
            ) from error

    def _administration(self) -> str:
        port = Ports(self._layout).assigned(Postgres.name)
        assert port is not None  # noqa: S101 - its URL names it
        return Postgres(self._layout).administration(port)

    def _login(self, url: str, deadline: float) -> str:
        """`url` with the migrations' own role, which owns what it makes as the service does."""
        import psycopg
        from psycopg import sql

        password = secrets.token_urlsafe(24)
        role = sql.Identifier(_MIGRATOR)
        with psycopg.connect(self._administration(), connect_timeout=3) as connection:
            # Never the password itself: a statement can end up in the server's log.
            hashed = connection.pgconn.encrypt_password(
                password.encode(), _MIGRATOR.encode(), b"scram-sha-256"
            ).decode()
            connection.execute(_CREATE)
            until = connection.execute(
                "SELECT now() + make_interval(secs => %s)", (deadline + _GRACE,)
            ).fetchone()
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {} VALID UNTIL {}").format(
                    role, sql.Literal(hashed), sql.Literal(str(until[0] if until else ""))
                )
            )
            settings = {
                "role": ROLE,
                "lock_timeout": f"{LOCK_TIMEOUT * 1000:.0f}",
                "deadlock_timeout": f"{_AUTOVACUUM_YIELDS * 1000:.0f}",
                "statement_timeout": f"{deadline * 1000:.0f}",
            }
            for name, value in settings.items():
                statement = sql.SQL("ALTER ROLE {} SET {} = {}")
                connection.execute(statement.format(role, sql.Identifier(name), sql.Literal(value)))
        _, _, place = url.rpartition("@")
        return f"postgresql://{_MIGRATOR}:{password}@{place}"
