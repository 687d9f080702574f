"""Alembic's entry: runs migrations with the service's own settings and driver."""

import asyncio

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from app.data.database import driver_url
from app.data.schema import metadata
from app.settings import Settings

LOCK_TIMEOUT = "1s"
"""A migration that waits for a lock makes every request behind it wait too: fail instead."""


def migrate(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
    connection.commit()
    context.configure(
        connection=connection, target_metadata=metadata, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


async def online() -> None:
    url = Settings().database_url.get_secret_value()  # type: ignore[call-arg]
    engine = create_async_engine(driver_url(url), poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(online())
