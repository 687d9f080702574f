"""What one replica of a gateway counted, from Envoy's statistics in Prometheus' text. Pure.

| number | Envoy's statistic of the cluster |
|---|---|
| requests | `upstream_rq_completed`: answers, also those that the gateway made itself (503, 504) |
| errors | `upstream_rq_xx` of class 5, and responses that were cut short |
| refused | `upstream_rq_xx` of class 4 |
| times | `upstream_rq_time` in ms |
| healthy | `membership_healthy`: ready pods that it knows |
| in flight | `upstream_rq_active` + `upstream_rq_pending_active` |

Times are told apart at any edge where Envoy's own bins can be had, else at those that the gateway
is configured with: an SLO that is none of them is judged at the one below it.

A response cut off in the middle was counted as the 200 it began with. It shows only as a
connection that the server ended while a request was active
(`upstream_cx_destroy_remote_with_active_rq`) and that no 503 accounts for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from backendctl.platforms.envoy_times import bins, latencies

_PREFIX = "envoy_cluster_"
_NAME = "envoy_cluster_name"
_COUNTERS = {
    "upstream_rq_completed": "completed",
    "upstream_cx_destroy_remote_with_active_rq": "broken",
    "upstream_cx_none_healthy": "nowhere",
    "upstream_rq_active": "active",
    "upstream_rq_pending_active": "pending",
    "membership_healthy": "healthy",
}
_CLASSES = {"4": "refused", "5": "failed"}
_TIME = "upstream_rq_time"
TIMES = (_TIME,)
READ = (*_COUNTERS, "upstream_rq_4xx", "upstream_rq_5xx", "upstream_rq_503", _TIME)
"""The statistics that are read, as Envoy calls them after the cluster's name."""
SERIES = (
    *(_PREFIX + name for name in (*_COUNTERS, "upstream_rq", "upstream_rq_xx")),
    *(f"{_PREFIX}{_TIME}_{part}" for part in ("bucket", "count")),
)
"""The same, as Prometheus has them: codes and classes are labels there."""


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one series, wherever it was read."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(slots=True)
class Cluster:
    """One cluster (the pods behind one Service, for Envoy) as one replica counted it."""

    values: dict[str, int] = field(default_factory=dict)
    at_most: dict[float, int] = field(default_factory=dict)
    """Edge in ms -> answers that took at most that long."""
    timed: int = 0

    def __getitem__(self, name: str) -> int:
        return self.values.get(name, 0)

    @property
    def requests(self) -> int:
        return self["completed"]

    @property
    def errors(self) -> int:
        """Failures that users saw; an application's own 503s hide as many cut responses: a lower
        bound."""
        accounted = max(0, self["unavailable"] - self["nowhere"])
        return self["failed"] + max(0, self["broken"] - accounted)

    @property
    def in_flight(self) -> int:
        """Requests that its pods work on or that wait for one."""
        return self["active"] + self["pending"]


def points(text: str) -> Iterator[Point]:
    """The series of Prometheus' text. Raises ValueError for anything else.

    The parser ends the name of every counter in `_total`, as newer formats want; Envoy writes, and
    Prometheus keeps, the name without. No series that is read here has it of its own.
    """
    from prometheus_client.parser import text_string_to_metric_families

    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield Point(sample.name.removesuffix("_total"), sample.labels, sample.value)


def clusters(found: Iterable[Point]) -> dict[str, Cluster]:
    """The numbers of one replica by the name that Envoy counts each cluster under."""
    named: dict[str, Cluster] = {}
    for point in found:
        name = point.labels.get(_NAME)
        if name is None or not point.name.startswith(_PREFIX):
            continue
        cluster = named.setdefault(name, Cluster())
        _add(cluster, point.name.removeprefix(_PREFIX), point)
    return named


def with_times(
    counted: Mapping[str, Cluster], details: Mapping[str, Any], edges_ms: tuple[float, ...]
) -> None:
    """Put times at these edges in the place of the configured ones, from Envoy's JSON."""
    found = bins(details)
    for name, cluster in counted.items():
        times = latencies(found.get(f"cluster.{name}.{_TIME}", ()), edges_ms)
        cluster.at_most = dict(zip(times.edges_ms, times.at_most, strict=True))
        cluster.timed = times.total


def _add(cluster: Cluster, name: str, point: Point) -> None:
    value = int(point.value)
    if name in _COUNTERS:
        cluster.values[_COUNTERS[name]] = value
    elif name == "upstream_rq_xx":
        wanted = _CLASSES.get(point.labels.get("envoy_response_code_class", ""))
        if wanted:
            cluster.values[wanted] = value
    elif name == "upstream_rq" and point.labels.get("envoy_response_code") == "503":
        cluster.values["unavailable"] = value
    elif name == f"{_TIME}_bucket":
        edge = float(point.labels["le"])
        if edge != float("inf"):
            cluster.at_most[edge] = value
    elif name == f"{_TIME}_count":
        cluster.timed = value


# --- what controllers call a release -----------------------------------------------------------

Backend = tuple[int, int, int]
"""(index of the route's rule, index of the backend in it, release)."""
Namer = Callable[[str, str, str, int, Iterable[Backend]], Mapping[str, int]]
"""(namespace, route, Service of release 0 without its number, port, backends) -> cluster's name in
the statistics -> release."""


def by_service(
    namespace: str, _route: str, service: str, port: int, backends: Iterable[Backend]
) -> Mapping[str, int]:
    """Contour: `<namespace>_<Service>_<port>`."""
    return {f"{namespace}_{service}{number}_{port}": number for _, _, number in backends}


def by_place(
    namespace: str, route: str, _service: str, _port: int, backends: Iterable[Backend]
) -> Mapping[str, int]:
    """Envoy Gateway: `httproute/<namespace>/<route>/rule/<n>/backend/<m>`, one for each backend
    because ours have filters of their own."""
    return {
        f"httproute/{namespace}/{route}/rule/{rule}/backend/{index}": number
        for rule, index, number in backends
    }


@dataclass(frozen=True, slots=True)
class Controller:
    """What is particular to one kind of gateway."""

    name: str
    """For people."""
    stats_port: int
    """Where each of its proxies' containers answers /stats/prometheus."""
    clusters: Namer
    owner: str
    """The label on the Service before a Gateway's proxies that holds the Gateway's name."""
    home: str = ""
    """The namespace of its proxies, where that is not the Gateway's own."""
    owner_namespace: str = ""
    """The label on that Service that holds the Gateway's namespace, where its own is another."""
    fleet: str = ""
    """The Service in it before the proxies that serve all Gateways, where they do."""
    details: str = ""
    """The path where Envoy's JSON statistics can be had, with its own fine bins of times; "" where
    there is only Prometheus' text, with the buckets that the gateway was configured with."""


STANDARD_OWNER = "gateway.networking.k8s.io/gateway-name"
CONTROLLERS = {
    "projectcontour.io/gateway-controller": Controller(
        "Contour",
        8002,
        by_service,
        STANDARD_OWNER,
        "projectcontour",
        fleet="envoy",
        details="/stats",
    ),
    "gateway.envoyproxy.io/gatewayclass-controller": Controller(
        "Envoy Gateway",
        19001,
        by_place,
        "gateway.envoyproxy.io/owning-gateway-name",
        "envoy-gateway-system",
        "gateway.envoyproxy.io/owning-gateway-namespace",
    ),
}
"""By what the GatewayClass says in `spec.controllerName`."""
