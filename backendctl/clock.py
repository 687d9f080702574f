"""The one clock, so that a test can stand in for it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time and waiting, both in seconds."""

    def now(self) -> float:
        """Seconds since the epoch. May step: durations come from `monotonic`."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go backwards, from an arbitrary origin."""
        ...

    def wait(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))
