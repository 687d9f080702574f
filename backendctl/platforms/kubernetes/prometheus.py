"""The proxies' counters as a Prometheus server has them.

The same series as in `gateway_stats.py`, each proxy's own, as of its last scrape. A proxy whose
last scrape is too long ago, or that has no series where the cluster has a proxy, is missing data:
the reading fails rather than leave it out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from backendctl.clock import Clock, SystemClock
from backendctl.platforms.kubernetes.cluster import Cluster as Api
from backendctl.platforms.kubernetes.gateway import Found, Gateway
from backendctl.platforms.kubernetes.gateway_stats import (
    CONTROLLERS,
    SERIES,
    Cluster,
    Point,
    clusters,
)
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.readings import Reading, names_of
from backendctl.platforms.kubernetes.replicas import UnansweredError
from backendctl.platforms.kubernetes.routes import served_by

TIMEOUT = 5.0
STALE = 35.0
"""Seconds after a proxy's last scrape at which its numbers are no longer those of now: two scrapes
at the usual interval of 15 s, and a little. A gateway must be scraped at least that often."""
RANGE_TIMEOUT = 30.0
AGED = ("envoy_cluster_membership_healthy",)
"""A series that each proxy has of each cluster, whether or not there were requests."""
_PROXY_LABELS = ("pod", "kubernetes_pod_name", "instance")
"""What scrape configurations call a proxy, the most telling first."""


class Prometheus:
    """One server's HTTP API."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def now(self, promql: str) -> Sequence[Mapping[str, Any]]:
        """The series of an instant query. Raises UnansweredError."""
        return self._ask("query", {"query": promql}, TIMEOUT)

    def past(
        self, promql: str, start: float, end: float, step: float
    ) -> Sequence[Mapping[str, Any]]:
        """The series of a range query. Raises UnansweredError."""
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return self._ask("query_range", {"query": promql, **times}, RANGE_TIMEOUT)

    def _ask(
        self, path: str, form: Mapping[str, str], timeout: float
    ) -> Sequence[Mapping[str, Any]]:
        import httpx

        try:
            answer = httpx.post(f"{self._url}/api/v1/{path}", data=dict(form), timeout=timeout)
            body = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise UnansweredError(
                f"Prometheus at {self._url} cannot be asked: {type(error).__name__}"
            ) from error
        return vector_of(body, self._url)


class PrometheusReader:
    """Readings from a Prometheus server."""

    def __init__(
        self,
        server: Prometheus,
        cluster: Api,
        naming: Naming,
        gateway: Gateway,
        clock: Clock | None = None,
    ) -> None:
        self._server = server
        self._cluster = cluster
        self._naming = naming
        self._gateway = gateway
        self._clock = clock or SystemClock()

    def read(self) -> Reading:
        """See Reader."""
        now = self._clock.now()
        route = self._cluster.get("HTTPRoute", self._naming.route)
        if route is None:
            return Reading(now, {}, {}, frozenset())
        found = self._gateway.look()
        names = known_names(found, self._naming, route)
        replicas = by_proxy(self._server.now(query(names)))
        scraped = scrapes(self._server.now(f"timestamp({query(names, AGED)})"))
        refuse_stale(scraped, replicas, now, len(self._gateway.replicas(found)))
        connected = served_by(self._naming, route).connected
        return Reading(min(scraped.values(), default=now), replicas, names, connected)


def known_names(found: Found, naming: Naming, route: Mapping[str, Any]) -> Mapping[str, int]:
    """What the gateway calls the releases. Raises UnansweredError where that is not known."""
    if found.controller is None:
        raise UnansweredError(
            f"what gateways of {found.controller_name or 'this class'} call a release is not "
            f"known; known are: {', '.join(each.name for each in CONTROLLERS.values())}"
        )
    return names_of(found.controller, naming, route)


def query(names: Mapping[str, int], series: Sequence[str] = SERIES) -> str:
    """PromQL for these series of these clusters."""
    wanted = "|".join(map(_quoted, names))
    return f'{{__name__=~"{"|".join(series)}",envoy_cluster_name=~"{wanted}"}}'


def vector_of(body: object, url: str) -> Sequence[Mapping[str, Any]]:
    """The series of an answer. Raises UnansweredError for a refusal."""
    if not isinstance(body, dict) or body.get("status") != "success":
        said = body.get("error") if isinstance(body, dict) else body
        raise UnansweredError(f"Prometheus at {url} refuses the query: {str(said)[:200]}")
    return list(body["data"]["result"])


def by_proxy(vector: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Cluster]]:
    """What each proxy counted, by cluster's name."""
    points: dict[str, list[Point]] = {}
    for each in vector:
        labels = each["metric"]
        point = Point(labels["__name__"], labels, float(each["value"][1]))
        points.setdefault(_proxy(labels), []).append(point)
    return {name: clusters(found) for name, found in points.items()}


def scrapes(vector: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """When each proxy was last scraped, in seconds since the epoch."""
    found: dict[str, float] = {}
    for each in vector:
        name, at = _proxy(each["metric"]), float(each["value"][1])
        found[name] = min(at, found.get(name, at))
    return found


def refuse_stale(
    scraped: Mapping[str, float],
    replicas: Mapping[str, Mapping[str, Cluster]],
    now: float,
    proxies: int,
) -> None:
    """Raises UnansweredError if a proxy's numbers are old, or missing where there is a proxy.

    `proxies`: how many the cluster has; 0 where that cannot be told.
    """
    if not replicas:
        raise UnansweredError(
            "Prometheus has no series of any release: does it scrape the gateway?"
        )
    old = {name: now - at for name, at in scraped.items() if now - at > STALE}
    if old:
        name, age = max(old.items(), key=lambda pair: pair[1])
        raise UnansweredError(f"Prometheus last scraped {name} {age:.0f} s ago")
    if len(replicas) < proxies:
        raise UnansweredError(
            f"Prometheus has numbers of {len(replicas)} proxies, and the gateway has {proxies}"
        )


def _proxy(labels: Mapping[str, str]) -> str:
    return next((labels[name] for name in _PROXY_LABELS if name in labels), "")


def _quoted(name: str) -> str:
    """As a regular expression within a PromQL string."""
    import re

    return re.escape(name).replace("\\", "\\\\").replace('"', '\\"')
