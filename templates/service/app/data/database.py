"""Connections to PostgreSQL, and when it counts as away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asyncpg import InterfaceError, PostgresError
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app.domain.errors import UnavailableError
from app.settings import Settings

AWAY = ("08", "53", "57")
"""SQLSTATE classes: connection lost, out of resources, stopped or timed out by an operator."""


def driver_url(url: str) -> str:
    """A plain postgres:// or postgresql:// URL as SQLAlchemy wants it for asyncpg."""
    parsed = make_url(url).set(drivername="postgresql+asyncpg")
    return parsed.render_as_string(hide_password=False)


class Database:
    """A pool of connections."""

    def __init__(self, settings: Settings) -> None:
        limit = settings.database_pool_size + settings.database_pool_overflow
        self.connections_at_most = limit
        statement_timeout = str(round(settings.database_statement_timeout * 1000))
        self._engine = create_async_engine(
            driver_url(settings.database_url.get_secret_value()),
            pool_size=settings.database_pool_size,
            max_overflow=settings.database_pool_overflow,
            pool_timeout=settings.database_pool_timeout,
            pool_pre_ping=True,
            connect_args={
                "timeout": settings.database_pool_timeout,
                "server_settings": {"statement_timeout": statement_timeout},
            },
        )
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection for single reads: no transaction, one round trip a statement."""
        try:
            async with self._autocommit.connect() as connection:
                yield connection
        except Exception as error:
            raise _translated(error) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose changes are committed together, or not at all."""
        try:
            async with self._engine.begin() as connection:
                yield connection
        except Exception as error:
            raise _translated(error) from error

    async def ping(self, deadline: float = 1.0) -> None:
        """Ask the database something. Raises UnavailableError, at the latest at the deadline."""
        try:
            async with asyncio.timeout(deadline), self.reading() as connection:
                await connection.execute(text("SELECT 1"))
        except TimeoutError as error:
            raise UnavailableError("The database did not answer in time.") from error

    def connections_in_use(self) -> int:
        """Connections that requests hold just now."""
        return self._engine.pool.checkedout()  # type: ignore[attr-defined,no-any-return]

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


def _translated(error: Exception) -> Exception:
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        away = error.connection_invalidated or state.startswith(AWAY)
    elif isinstance(error, PostgresError):
        away = (error.sqlstate or "").startswith(AWAY)
    else:
        away = isinstance(error, (PoolTimeoutError, InterfaceError, OSError))
    return UnavailableError("The database does not answer.") if away else error
