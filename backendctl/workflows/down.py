"""`backendctl down`: stop everything of an environment; data survives unless purged."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Grant, OnLine, Runtime, Store
from backendctl.workflows.environment import Opened
from backendctl.workflows.identity import person
from backendctl.workflows.preconditions import rollout_first
from backendctl.workflows.progress import Progress

STOP_LEASE = 120.0
"""Seconds for which `down` holds the environment: longer than any stop takes."""


def down(opened: Opened, progress: Progress, *, purge: bool = False) -> Mapping[str, Any]:
    """Stop releases, then the servers they stood on. Idempotent.

    Raises `rollout.locked` while a living run holds the environment: stopping it under that
    run's feet would make its journal lie.
    """
    platform = opened.platform
    try:
        grant = _hold(platform.store)
    except BackendctlError as error:
        raise rollout_first(platform, error) from error
    try:
        running = list(platform.runtime.running())
        if running:
            platform.router.dismiss()
            with progress.step("Stopping releases") as say:
                _stop(platform.runtime, running, say)
        name = "Stopping the servers" + (" and deleting their data" if purge else "")
        with progress.step(name) as say:
            platform.foundation.stop(purge=purge, on_line=say)
        if purge:
            grant = None  # gone with the store; giving it back would make a new one
    finally:
        if grant is not None:
            platform.store.release(grant)
    return {"environment": opened.environment.name, "stopped": running, "purged": purge}


def _stop(runtime: Runtime, numbers: Sequence[int], on_line: OnLine) -> None:
    """All at once, saying which are waited for."""
    with ThreadPoolExecutor(len(numbers)) as pool:
        ending = {pool.submit(runtime.stop, number): number for number in numbers}
        _tell(on_line, numbers)
        for future in as_completed(ending):
            future.result()
            _tell(on_line, [number for other, number in ending.items() if not other.done()])


def _tell(on_line: OnLine, numbers: Sequence[int]) -> None:
    if numbers:
        named = ", ".join(f"release {number}" for number in numbers)
        on_line(f"waiting for {named} to finish what is in flight and end")


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
