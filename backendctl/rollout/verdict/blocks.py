"""What is measured: counts of one span of time, per arm."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from backendctl.rollout.verdict import parameters as default


@dataclass(frozen=True, slots=True)
class ArmBlock:
    """What one arm did in a block: differences of counters that only rise."""

    requests: int
    errors: int
    slow: Mapping[str, int] = field(default_factory=dict)
    """Metric name -> requests over that metric's threshold (`Plan.thresholds`)."""

    def events(self, metric: str) -> int | None:
        """Errors, or slow requests, that count for a metric; None if it was not measured."""
        return self.errors if metric == default.ERRORS else self.slow.get(metric)


@dataclass(frozen=True, slots=True)
class Block:
    """One span of time. An arm whose counters could not be had is None, never zero."""

    start: float
    """Seconds on any one clock; the same for all blocks of a rollout."""
    end: float
    candidate: ArmBlock | None
    stable: ArmBlock | None

    @property
    def seconds(self) -> float:
        return self.end - self.start
