"""Whether a service has warmed up: its response times no longer fall."""

from backendctl.loadtest.histogram import Histogram
from backendctl.loadtest.measurement import StageMeasurement

WINDOW = 2
"""Seconds; the last window is compared with the one before."""
CHANGE = 0.25
"""Medians that differ by less than this share count as equal."""
FLOOR = 0.002
"""Seconds; differences smaller than this never matter."""


def is_stable(found: StageMeasurement, seconds: int) -> bool:
    """Whether the last two whole windows before `seconds` of the stage are alike.

    The last second is left out: its counts may still be on their way.
    """
    newest = seconds - 1
    if newest < 2 * WINDOW:
        return False
    late = _median(found, range(newest - WINDOW, newest))
    early = _median(found, range(newest - 2 * WINDOW, newest - WINDOW))
    if late is None or early is None:
        return False
    return abs(late - early) <= max(FLOOR, CHANGE * early)


def _median(found: StageMeasurement, seconds: range) -> float | None:
    merged = Histogram()
    for second in seconds:
        if second in found.seconds:
            merged.merge(found.seconds[second].response)
    return merged.quantile(0.5) if merged.count else None
