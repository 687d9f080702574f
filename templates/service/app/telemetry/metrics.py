"""Prometheus metrics of one process."""

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)


class Metrics:
    """Owns its registry, so that two applications in one process do not collide."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "http_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.durations = Histogram(
            "http_request_duration_seconds",
            "Time to answer, body included.",
            ["method", "route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.in_progress = Gauge(
            "http_requests_in_progress", "Requests being answered.", registry=registry
        )
        self.cache_lookups = Counter("cache_lookups", "By result.", ["result"], registry=registry)
        self.cache_failures = Counter("cache_failures", "Calls that failed.", registry=registry)

    def watch_pool(self, in_use: Callable[[], int], at_most: int) -> None:
        """Show how full the database pool is, at the time of each scrape."""
        used = Gauge("database_pool_in_use", "Connections in use.", registry=self._registry)
        used.set_function(in_use)
        size = Gauge("database_pool_limit", "Connections at most.", registry=self._registry)
        size.set(at_most)

    def text(self) -> bytes:
        """Everything, in the text format."""
        return generate_latest(self._registry)
