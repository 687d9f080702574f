"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable

DEADLINE = 15.0


def eventually(check: Callable[[], bool], seconds: float = DEADLINE, every: float = 0.01) -> bool:
    """Whether `check` comes true within that time, asked every so many seconds."""
    until = time.monotonic() + seconds
    while not check():
        if time.monotonic() > until:
            return False
        time.sleep(every)
    return True
