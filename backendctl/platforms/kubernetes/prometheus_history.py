"""What each release did in the last day, from what a Prometheus server remembers.

At each step the server is asked for every proxy's cumulative counters as of its last scrape and
for the time of that scrape. What lies between two scrapes is a span; where there was none (the
server or the proxy was down) there is no span, though the last value is repeated for minutes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backendctl.clock import Clock, SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import Sample, Span
from backendctl.platforms.counters import spans_between
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.gateway import Gateway
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.prometheus import (
    AGED,
    Prometheus,
    by_proxy,
    known_names,
    query,
    scrapes,
)
from backendctl.platforms.kubernetes.replicas import UnansweredError
from backendctl.platforms.kubernetes.totals import Totals, arm_sample
from backendctl.platforms.kubernetes.traffic_history import TrafficHistory
from backendctl.platforms.span_lines import DAY, outside

STEP = 10.0
"""Seconds between two looks at the past."""
LONGEST_SPAN = 3 * STEP
"""What a longer one holds is no longer of one moment. Scrapes must not be farther apart."""
_CHUNK = 3600.0
"""Seconds that are asked for at once: some hundred thousand numbers."""


class PrometheusHistory:
    """The past of the releases that are connected now."""

    def __init__(
        self,
        server: Prometheus,
        cluster: Cluster,
        naming: Naming,
        gateway: Gateway,
        recorded: TrafficHistory,
        clock: Clock | None = None,
    ) -> None:
        """`recorded` knows which times are to be left out."""
        self._server = server
        self._cluster = cluster
        self._naming = naming
        self._gateway = gateway
        self._recorded = recorded
        self._clock = clock or SystemClock()

    def since(self, moment: float) -> Sequence[Span]:
        """As Meter.history has it."""
        route = self._cluster.get("HTTPRoute", self._naming.route)
        if route is None:
            return []
        now = self._clock.now()
        try:
            names = known_names(self._gateway.look(), self._naming, route)
            found = list(self._spans(names, max(moment, now - DAY), now))
        except UnansweredError as error:
            raise BackendctlError(
                "platform.gateway",
                "what the releases did before cannot be read",
                cause=str(error),
                state="nothing was changed",
                next=("backendctl status",),
            ) from error
        return outside(found, moment, self._recorded.left_out())

    def _spans(self, names: Mapping[str, int], start: float, end: float) -> Iterator[Span]:
        totals, former = Totals(), None
        while start < end:
            until = min(start + _CHUNK, end)
            values = self._server.past(query(names), start, until, STEP)
            ages = self._server.past(f"timestamp({query(names, AGED)})", start, until, STEP)
            for sample in samples(values, ages, names, totals):
                if former is not None and former.at < sample.at < former.at + LONGEST_SPAN:
                    yield from spans_between(former, sample)
                if former is None or sample.at > former.at:
                    former = sample
            start = until + STEP


def samples(
    values: Sequence[Mapping[str, Any]],
    ages: Sequence[Mapping[str, Any]],
    names: Mapping[str, int],
    totals: Totals,
) -> Iterator[Sample]:
    """The sample of each step of a range query, as of the oldest of the proxies' scrapes."""
    scraped = {at: scrapes(vector) for at, vector in _by_step(ages).items()}
    for at, vector in sorted(_by_step(values).items()):
        if not scraped.get(at):
            continue
        counts = totals.add(by_proxy(vector), names)
        arms = {number: arm_sample(number, each, 0) for number, each in counts.items()}
        yield Sample(min(scraped[at].values()), arms)


def _by_step(matrix: Sequence[Mapping[str, Any]]) -> dict[float, list[Mapping[str, Any]]]:
    """A range query's answer as one instant query's for each step."""
    found: dict[float, list[Mapping[str, Any]]] = {}
    for series in matrix:
        for at, value in series["values"]:
            found.setdefault(float(at), []).append(
                {"metric": series["metric"], "value": (at, value)}
            )
    return found
