"""Axes: where values fall, and which of them are worth a label."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

SMALLEST = 1e-9
"""Smaller values stand at the end of a logarithmic axis."""


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) that enclose both ends."""
    if high - low <= 1e-9 * max(1.0, abs(low), abs(high)):
        high = low + 1.0
    raw = (high - low) / max(1, about)
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 of every decade (powers of ten alone when there are many) that enclose the values."""
    low, high = max(low, SMALLEST), max(high, SMALLEST)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    parts = (1,) if last - first > 3 else (1, 2, 5)
    every = [m * 10.0**k for k in range(first, last + 1) for m in parts]
    start = max((t for t in every if t <= low * 1.0001), default=every[0])
    end = min((t for t in every if t >= high * 0.9999), default=every[-1])
    return [t for t in every if start <= t <= end]


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to positions between two ends, evenly or by their logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The position of a value; values beyond the ends are put on them."""
        f: Callable[[float], float] = math.log10 if self.log else float
        value = min(max(value, self.low), self.high)
        span = f(self.high) - f(self.low)
        share = (f(value) - f(self.low)) / span if span else 0.0
        return round(self.start + share * (self.end - self.start), 2)


def number(value: float) -> str:
    """A short label: 1,200 rather than 1200.0, and 0.25 rather than 0.250000."""
    if value == 0:
        return "0"
    digits = 0 if abs(value) >= 100 else max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def extent(values: Sequence[float]) -> tuple[float, float]:
    """Least and greatest; (0, 1) of nothing."""
    return (min(values), max(values)) if values else (0.0, 1.0)
