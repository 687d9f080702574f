"""What each release did: the proxies' counters, read from themselves or from Prometheus."""

from collections.abc import Sequence
from typing import Protocol

from backendctl.errors import BackendctlError
from backendctl.platforms.base import FailedRequest, Sample, Span
from backendctl.platforms.envoy_times import edges
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.gateway import Gateway
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.prometheus import Prometheus, PrometheusReader
from backendctl.platforms.kubernetes.prometheus_history import PrometheusHistory
from backendctl.platforms.kubernetes.readings import GatewayReader, Reader, Reading
from backendctl.platforms.kubernetes.replicas import UnansweredError
from backendctl.platforms.kubernetes.totals import Totals, arm_sample
from backendctl.platforms.kubernetes.traffic_history import TrafficHistory


def gateway_meter(
    cluster: Cluster,
    naming: Naming,
    gateway: Gateway,
    prometheus: str = "",
    edges_ms: Sequence[float] = (),
) -> "GatewayMeter":
    """The meter of an environment: by a Prometheus server if it has one, else by the gateway.

    `edges_ms` are thresholds that should be among the edges, the SLO's above all: they are where
    the proxies show Envoy's own bins, and only if the gateway is configured so elsewhere.
    """
    recorded = TrafficHistory(cluster, naming)
    if not prometheus:
        reader = GatewayReader(cluster, naming, gateway, edges_ms=edges(edges_ms))
        return GatewayMeter(reader, naming, recorded, recorded)
    server = Prometheus(prometheus)
    past = PrometheusHistory(server, cluster, naming, gateway, recorded)
    return GatewayMeter(PrometheusReader(server, cluster, naming, gateway), naming, recorded, past)


class Past(Protocol):
    """Where the last day's traffic can be read."""

    def since(self, moment: float) -> Sequence[Span]:
        """As Meter.history has it."""
        ...


class GatewayMeter:
    """The Meter of `platforms/base/` on any gateway that is an Envoy.

    It cannot tell requests of one release apart: there is no breakdown by endpoint, and there are
    no examples of failed requests. Both need a log of requests in a form of ours, which no
    Gateway API asks a gateway to write.
    """

    def __init__(
        self, reader: Reader, naming: Naming, recorded: TrafficHistory, past: Past
    ) -> None:
        self._reader = reader
        self._past = past
        self._naming = naming
        self._totals = Totals()
        self.recorded = recorded
        """What the environment's watchdog writes down."""

    def sample(self) -> Sample:
        """As the base says."""
        return self.counters()

    def counters(self) -> Sample:
        """A sample, also for whoever records."""
        try:
            reading = self._reader.read()
        except UnansweredError as error:
            raise self._missing(str(error)) from error
        totals = self._totals.add(reading.replicas, reading.releases)
        return Sample(
            reading.at,
            {
                number: arm_sample(number, counts, _healthy(reading, number))
                for number, counts in totals.items()
                if number in reading.connected
            },
        )

    def failures(self, number: int, limit: int) -> Sequence[FailedRequest]:  # noqa: ARG002
        """None: no gateway here keeps a record of single requests."""
        return ()

    def history(self, since: float) -> Sequence[Span]:
        """As the base says."""
        return self._past.since(since)

    def leave_out(self, start: float, end: float) -> None:
        """As the base says."""
        self.recorded.leave_out(start, end)

    def _missing(self, cause: str) -> BackendctlError:
        return BackendctlError(
            "platform.gateway",
            "the gateway's counters cannot be read",
            cause=cause,
            state="what it serves goes on; how its releases do is not known from here",
            next=(
                "backendctl status",
                f"kubectl -n {self._naming.namespace} get httproute {self._naming.route} -o yaml",
            ),
        )


def _healthy(reading: Reading, number: int) -> int:
    """Pods of a release that every proxy holds to be healthy: the fewest that any of them knows."""
    names = {name for name, each in reading.releases.items() if each == number}
    return min(
        (
            sum(cluster["healthy"] for name, cluster in clusters.items() if name in names)
            for clusters in reading.replicas.values()
        ),
        default=0,
    )
