"""`backendctl down`: stop everything of an environment; data survives unless purged."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Grant, Store
from backendctl.workflows.environment import Opened
from backendctl.workflows.identity import person
from backendctl.workflows.progress import Progress

STOP_LEASE = 120.0
"""Seconds for which `down` holds the environment: longer than any stop takes."""


def down(opened: Opened, progress: Progress, *, purge: bool = False) -> Mapping[str, Any]:
    """Stop releases, then the servers they stood on. Idempotent.

    Raises `rollout.locked` while a living run holds the environment: stopping it under that
    run's feet would make its journal lie.
    """
    platform = opened.platform
    grant = _hold(platform.store)
    try:
        running = list(platform.runtime.running())
        if running:
            with progress.step("Stopping releases"), ThreadPoolExecutor(len(running)) as pool:
                list(pool.map(platform.runtime.stop, running))
        with progress.step("Stopping the servers" + (" and deleting their data" if purge else "")):
            platform.foundation.stop(purge=purge)
    finally:
        _give_back(opened, grant, purge)
    return {"environment": opened.environment.name, "stopped": running, "purged": purge}


def _hold(store: Store) -> Grant | None:
    """Take the environment; None where a full or read-only disk keeps the lock from being written
    and nobody living holds it: stopping is what frees such a disk."""
    try:
        return store.acquire(person(), "down", STOP_LEASE)
    except BackendctlError as error:
        holder = store.holder()
        unwritable = error.code in ("platform.disk-full", "platform.permission")
        if not unwritable or (holder is not None and holder.alive is not False):
            raise
        return None


def _give_back(opened: Opened, grant: Grant | None, purge: bool) -> None:
    if grant is None:
        return
    try:
        opened.platform.store.release(grant)
    except (OSError, BackendctlError):
        if not purge:  # after a purge the store is gone, and its lock with it
            raise
