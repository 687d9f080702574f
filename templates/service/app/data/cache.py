"""A cache that may be away: then every look-up misses, and nothing else changes."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from valkey.asyncio import Valkey
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff
from valkey.exceptions import ValkeyError

from app.settings import Settings
from app.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
R = TypeVar("R")

REST = 1.0
"""Seconds without an attempt after a failure, so that a cache that hangs costs little."""
BLOCK = 5.0
"""Seconds after a change in which nobody may fill in what was read before it. Longer than any
read takes: see `database_statement_timeout`."""
CHANGED = b""


class Cache:
    """Cache-aside by key: `get`, on a miss read and `fill`; after a change, `invalidate`.

    A reader that read just before a change must not fill in the old value after it. So a change
    leaves a mark that lasts longer than a read, and `fill` only writes where there is nothing.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._metrics = metrics
        self._rest_until = 0.0
        self._client: Valkey | None = None
        if settings.cache_url is not None:
            self._client = Valkey.from_url(
                settings.cache_url.get_secret_value(),
                socket_timeout=settings.cache_timeout,
                socket_connect_timeout=settings.cache_timeout,
                retry=Retry(NoBackoff(), 0),
            )

    async def get(self, key: str) -> bytes | None:
        """The value, or None if there is none to be had."""
        value = await self._attempt("get", lambda client: client.get(key))
        hit = bool(value) and value != CHANGED
        self._metrics.cache_lookups.labels("hit" if hit else "miss").inc()
        return value if hit else None

    async def fill(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for `ttl` seconds, unless there is one or it was changed just now."""
        lifetime = round(ttl * 1000)
        await self._attempt("fill", lambda client: client.set(key, value, px=lifetime, nx=True))

    async def invalidate(self, key: str) -> None:
        """Forget a value. Call it once the change is committed."""
        lifetime = round(BLOCK * 1000)
        await self._attempt("invalidate", lambda client: client.set(key, CHANGED, px=lifetime))

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.aclose()

    async def _attempt(self, what: str, call: Callable[[Valkey], Awaitable[R]]) -> R | None:
        if self._client is None or time.monotonic() < self._rest_until:
            return None
        try:
            return await call(self._client)
        except (ValkeyError, OSError) as error:
            self._rest_until = time.monotonic() + REST
            self._metrics.cache_failures.inc()
            log.warning("cache does not answer", extra={"operation": what, "error": str(error)})
            return None
