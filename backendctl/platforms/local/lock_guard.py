"""Ends a migration that keeps users waiting, while it runs.

A lock that a migration waits for is given up by its own lock_timeout. One that it has, and keeps
while it does something slow, only somebody else can see.
"""

import threading
from dataclasses import dataclass, field
from types import TracebackType

LOOK = 0.25
"""Seconds between two looks."""

_END = """
SELECT pg_terminate_backend(pid) FROM (
    SELECT DISTINCT migration.pid
    FROM pg_locks waiting
    JOIN pg_stat_activity kept ON kept.pid = waiting.pid
    JOIN pg_stat_activity migration ON migration.pid = ANY (pg_blocking_pids(waiting.pid))
    WHERE NOT waiting.granted
      AND waiting.waitstart < clock_timestamp() - make_interval(secs => %(patience)s)
      AND kept.backend_type = 'client backend'
      AND kept.usename IS DISTINCT FROM %(role)s
      AND migration.usename = %(role)s
) found
"""


@dataclass
class LockGuard:
    """Looks until it is left; `ended` says whether it had to do something, `problem` why it could
    not look."""

    administration: str
    role: str
    """Whom the migration logs in as."""
    patience: float
    """Seconds that a user's request may wait for it."""
    ended: bool = False
    problem: str = ""
    _left: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "LockGuard":
        self._thread = threading.Thread(target=self._look, name="lock-guard", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        self._thread.join()

    def _look(self) -> None:
        import psycopg

        asked = {"role": self.role, "patience": self.patience}
        try:
            with psycopg.connect(
                self.administration, autocommit=True, connect_timeout=3
            ) as connection:
                while not self._left.wait(LOOK):
                    self.ended |= bool(connection.execute(_END, asked).fetchall())
        except psycopg.Error as failed:
            # The server went away: the migration's own connection did too, and says so.
            self.problem = str(failed).strip()
