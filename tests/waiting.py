"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable

DEADLINE = 15.0


def eventually(check: Callable[[], bool], seconds: float = DEADLINE) -> bool:
    """Whether `check` comes true within that time."""
    until = time.monotonic() + seconds
    while not check():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
