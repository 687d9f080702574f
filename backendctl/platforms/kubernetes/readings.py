"""One reading of what every proxy of a gateway counted, and whose clusters those are."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from backendctl.clock import Clock, SystemClock
from backendctl.platforms.kubernetes.cluster import Cluster as Api
from backendctl.platforms.kubernetes.gateway import Found, Gateway
from backendctl.platforms.kubernetes.gateway_stats import (
    CONTROLLERS,
    READ,
    TIMES,
    Cluster,
    Controller,
    clusters,
    points,
    with_times,
)
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.replicas import Replicas, UnansweredError
from backendctl.platforms.kubernetes.routes import PREVIEW_PORT, USERS_PORT, order, served_by

_STATS_PATH = "/stats/prometheus"
_DETAILS = {"format": "json", "histogram_buckets": "detailed"}


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters of all proxies at one moment."""

    at: float
    """Seconds since the epoch."""
    replicas: Mapping[str, Mapping[str, Cluster]]
    """Proxy -> cluster's name -> what it counted."""
    releases: Mapping[str, int]
    """Cluster's name -> release."""
    connected: frozenset[int]
    """Releases that the gateway knows."""


class Reader(Protocol):
    """Where readings come from."""

    def read(self) -> Reading:
        """All of it, now. Raises UnansweredError when any part is missing."""
        ...


def by_release(
    counted: Mapping[str, Cluster], releases: Mapping[str, int]
) -> dict[int, list[Cluster]]:
    """The clusters of each release."""
    found: dict[int, list[Cluster]] = {}
    for name, cluster in counted.items():
        if name in releases:
            found.setdefault(releases[name], []).append(cluster)
    return found


def names_of(
    controller: Controller, naming: Naming, route: Mapping[str, object], *, preview: bool = False
) -> Mapping[str, int]:
    """What the controller calls the clusters of every connected release."""
    backends = order(naming, route)
    service = naming.release(0).removesuffix("0")
    ports = (USERS_PORT, PREVIEW_PORT) if preview else (USERS_PORT,)
    found: dict[str, int] = {}
    for port in ports:
        found |= controller.clusters(naming.namespace, naming.route, service, port, backends)
    return found


class GatewayReader:
    """Readings from the proxies themselves."""

    def __init__(
        self,
        cluster: Api,
        naming: Naming,
        gateway: Gateway,
        replicas: Replicas | None = None,
        edges_ms: tuple[float, ...] = (),
        clock: Clock | None = None,
    ) -> None:
        """`edges_ms`: where times are told apart, if the proxies let us choose; none are read for
        whoever wants none."""
        self._cluster = cluster
        self._naming = naming
        self._gateway = gateway
        self._replicas = replicas or Replicas(cluster)
        self._edges = edges_ms
        self._clock = clock or SystemClock()

    def read(self, *, preview: bool = False) -> Reading:
        """See Reader. `preview`: testers' requests too."""
        route = self._cluster.get("HTTPRoute", self._naming.route)
        if route is None:
            return Reading(self._clock.now(), {}, {}, frozenset())
        found = self._gateway.look()
        if found.controller is None:
            raise UnansweredError(
                f"gateways of {found.controller_name or 'this class'} cannot be read directly; "
                f"known are: {', '.join(each.name for each in CONTROLLERS.values())}"
            )
        names = names_of(found.controller, self._naming, route, preview=preview)
        at = self._clock.now()
        return Reading(
            at,
            self._counters(found, found.controller, names),
            names,
            served_by(self._naming, route).connected,
        )

    def _counters(
        self, found: Found, controller: Controller, names: Mapping[str, int]
    ) -> dict[str, dict[str, Cluster]]:
        replicas, port = self._gateway.replicas(found), controller.stats_port
        if not replicas:
            raise UnansweredError(f"the proxies of gateway {self._gateway} cannot be told")
        query = {"filter": _pattern(names, READ)}
        try:
            texts = self._replicas.stats(replicas, port, _STATS_PATH, query)
            counted = {name: clusters(points(text)) for name, text in texts.items()}
            if controller.details and self._edges:
                query = {"filter": _pattern(names, TIMES), **_DETAILS}
                for name, text in self._replicas.stats(
                    replicas, port, controller.details, query
                ).items():
                    with_times(counted[name], json.loads(text), self._edges)
        except ValueError as error:
            raise UnansweredError(f"a proxy's statistics cannot be read: {error}") from error
        return counted


def _pattern(names: Mapping[str, int], statistics: Sequence[str]) -> str:
    """Envoy's filter for these statistics of these clusters."""
    wanted = "|".join(map(re.escape, names))
    return rf"^cluster\.({wanted})\.({'|'.join(statistics)})$"
