"""How long a migration may wait for a lock, and run, as clients of PostgreSQL are told. Pure."""

LOCK_TIMEOUT = 1.0
"""Seconds for which users' requests may have to wait, too. A migration can set its own where it
keeps nobody waiting, as CREATE INDEX CONCURRENTLY does."""


def pgoptions(deadline: float, own: str = "") -> str:
    """The value of PGOPTIONS, with what was in it. Drivers built on libpq heed it; asyncpg and
    JDBC do not. `deadline`: seconds."""
    options = f"-c lock_timeout={LOCK_TIMEOUT * 1000:.0f}"
    options += f" -c statement_timeout={deadline * 1000:.0f}"
    return f"{options} {own}".rstrip()
