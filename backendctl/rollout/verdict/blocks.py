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
    endpoints: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Metric name -> endpoint -> events, where they can be told apart. They need not sum to the
    arm's: the gateway may notice them a moment later, or miss some of both arms."""
    clients: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Client -> endpoint -> failed requests, of the clients with the most."""
    seen: tuple[str, ...] = ()
    """Clients of which this arm surely had a request."""
    refused: int = 0
    """Requests answered 4xx."""
    counted: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Metric that the service counts itself -> operations, and bad ones among them."""

    def of(self, metric: str) -> "ArmBlock":
        """The arm as such a metric counts it: its operations are the requests."""
        operations, bad = self.counted[metric]
        return ArmBlock(operations, 0, {metric: bad})

    def events(self, metric: str) -> int | None:
        """Errors, refusals or slow requests that count for a metric; None if it was not
        measured."""
        if metric == default.REFUSALS:
            return self.refused
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
