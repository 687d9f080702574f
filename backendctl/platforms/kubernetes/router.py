"""Moving traffic: one HTTPRoute, changed by compare-and-swap, counted once every proxy serves it.

Nobody holds a lock while the route is changed. Each change is made to the version that was read,
right after `fence` was asked, so one of two writers is refused, reads again and asks its fence
again: a stale one learns there that it may not write any more.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from backendctl.clock import Clock, SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import Routes
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.errors import Conflict
from backendctl.platforms.kubernetes.gateway import Found, Gateway
from backendctl.platforms.kubernetes.gateway_stats import Cluster as Counted
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.read_back import ReadBack
from backendctl.platforms.kubernetes.readings import GatewayReader, Reading, by_release
from backendctl.platforms.kubernetes.replicas import Replicas, UnansweredError
from backendctl.platforms.kubernetes.routes import Attachment, Served, http_route, served_by

ATTEMPTS = 20
"""Versions of the route that may pass while one change is made: its controller writes there too."""
UNSEEN_DRAIN = 15.0
"""Seconds to wait where it cannot be seen what is in flight: what is left then ends within the
release's own grace, because its pods stop accepting before they stop."""
READ_DEADLINE = 5.0
"""Seconds that a route which was just changed, by somebody else, may take to be served."""
LOST_DEADLINE = 5.0
"""Seconds that a release which somebody took out of the route may take to be healthy again."""
_LOOKS = 3
"""So many looks at the proxies' numbers in a row must fail before they count as not to be had."""
_POLL = 0.05
_QUIET_POLLS = 5
"""A release is drained when so many looks in a row find no request in flight."""


class KubernetesRouter:
    """The Router of `platforms/base.py` on the Gateway API."""

    def __init__(
        self,
        cluster: Cluster,
        naming: Naming,
        gateway: Gateway,
        host: str = "",
        clock: Clock | None = None,
        replicas: Replicas | None = None,
    ) -> None:
        self._cluster = cluster
        self._naming = naming
        self._gateway = gateway
        self._at = Attachment(gateway.reference, host)
        self._clock = clock or SystemClock()
        self._replicas = replicas or Replicas(cluster)
        self._reader = GatewayReader(cluster, naming, gateway, self._replicas)
        self._back = ReadBack(cluster, naming, gateway, host, self._replicas, self._clock)
        self._url = ""

    @property
    def url(self) -> str:
        self._url = self._url or self._gateway.url(self._at.host)
        return self._url

    @property
    def host(self) -> str:
        return self._at.host

    def connect(self, number: int, deadline: float) -> None:
        end = self._clock.monotonic() + deadline
        self._gateway.look()
        ready = self._await_pods(number, end, deadline)
        self._change(lambda served: _with(served, number), lambda: None)
        while True:
            healthy, cause = self._healthy(number, ready)
            if healthy:
                return
            if self._clock.monotonic() >= end:
                raise self._trouble(
                    f"the gateway does not find release {number} healthy",
                    f"{cause}, after {deadline:g} s",
                    "it gets no traffic; what was served before still is",
                    f"kubectl -n {self._naming.namespace} describe httproute {self._naming.route}",
                )
            self._clock.wait(_POLL)

    def apply(self, routes: Routes, fence: Callable[[], None] = lambda: None) -> None:
        asked = {number for number, weight in routes.weights.items() if weight}
        for number in sorted(asked - self._served().connected):
            # Whoever deletes or edits the route must not keep stable from being restored.
            if self._cluster.get("Service", self._naming.release(number)) is None:
                raise ValueError(f"not connected: {number}")
            fence()
            self.connect(number, LOST_DEADLINE)

        def wanted(served: Served) -> Served:
            if asked - served.connected:
                fence()
                raise self._trouble(
                    f"HTTPRoute {self._naming.route} was deleted while it was to be changed",
                    "somebody else writes it too",
                    "no traffic was moved",
                    f"kubectl -n {self._naming.namespace} get httproute {self._naming.route}",
                )
            others = served.connected - routes.weights.keys()
            return Served(routes, frozenset(others - {routes.preview, routes.fallback}))

        # Written even where nothing differs: a run that was replaced between its fence and its
        # write holds the former version, and must find that it is gone.
        self._change(wanted, fence, always=True)

    def read(self) -> Routes | None:
        route = self._route()
        if route is None:
            return None
        served = served_by(self._naming, route)
        if not served.routes.weights:
            return None
        try:
            found = self._gateway.look()
        except BackendctlError as error:
            if error.code == "platform.gateway":
                return None
            raise
        self._back.await_served(route, found, READ_DEADLINE)
        return served.routes

    def drain(self, number: int, deadline: float) -> bool:
        served = self._served()
        if served.routes.weights.get(number, 0) > 0:
            raise ValueError(f"release {number} has weight {served.routes.weights[number]}")
        if number not in served.connected:
            return True
        end = self._clock.monotonic() + deadline
        quiet = 0
        while quiet < _QUIET_POLLS:
            try:
                quiet = quiet + 1 if self._in_flight(number) == 0 else 0
            except UnansweredError:
                self._clock.wait(min(UNSEEN_DRAIN, max(0.0, end - self._clock.monotonic())))
                return True
            if quiet < _QUIET_POLLS:
                if self._clock.monotonic() >= end:
                    return False
                self._clock.wait(_POLL)
        return True

    def dismiss(self) -> None:
        """Nothing to do: no gateway ends because of us, and a proxy that is replaced drains its
        connections by itself."""

    def disconnect(self, number: int) -> None:
        def wanted(served: Served) -> Served:
            if served.routes.weights.get(number, 0) > 0:
                raise ValueError(f"release {number} has weight {served.routes.weights[number]}")
            return _without(served, number)

        if number in self._served().connected:
            self._change(wanted, lambda: None)

    # --- changing the route -----------------------------------------------------------------

    def _change(
        self,
        wanted: Callable[[Served], Served],
        fence: Callable[[], None],
        *,
        always: bool = False,
    ) -> None:
        """Write the route that `wanted` makes of the present one, and wait until it is served;
        what was there before is put back if it is not. `always`: even if it is the same."""
        found = self._gateway.look()
        for _ in range(ATTEMPTS):
            former = self._route()
            old = served_by(self._naming, former) if former else Served(Routes({}))
            new = replace(wanted(old), revision=old.revision)
            self._refuse_absent(new)
            if not always and former is not None and new == old and self._ours(former):
                fence()
                self._back.await_served(former, found)
                return
            new = replace(new, revision=_revision())
            manifest = http_route(self._naming, self._at, new)
            fence()
            try:
                written = self._write(former, manifest, empty=not new.connected)
            except Conflict:
                continue
            if written is not None:
                self._confirm(written, former, found, fence)
            return
        raise self._trouble(
            f"HTTPRoute {self._naming.route} was changed {ATTEMPTS} times while it was to be",
            "somebody else writes it all the time",
            "the former weights still hold",
            f"kubectl -n {self._naming.namespace} get httproute {self._naming.route} "
            "-o yaml --show-managed-fields",
        )

    def _write(
        self, former: Mapping[str, Any] | None, manifest: dict[str, Any], *, empty: bool
    ) -> dict[str, Any] | None:
        """The route as it is now; None if it is gone, because nothing is connected any more."""
        if former is None:
            return None if empty else self._cluster.create(manifest)
        version = former["metadata"]["resourceVersion"]
        if empty:
            self._cluster.delete("HTTPRoute", self._naming.route, resource_version=version)
            return None
        return self._cluster.apply(_in_place_of(former, manifest))

    def _confirm(
        self,
        written: dict[str, Any],
        former: Mapping[str, Any] | None,
        found: Found,
        fence: Callable[[], None],
    ) -> None:
        try:
            self._back.await_served(written, found)
        except BackendctlError as error:
            if former is not None and self._put_back(written, former, fence):
                error.state = "the former routes were put back"
            raise

    def _put_back(
        self, written: Mapping[str, Any], former: Mapping[str, Any], fence: Callable[[], None]
    ) -> bool:
        """The former rules, unless somebody else has changed the route since, or may by now."""
        old = served_by(self._naming, former)
        now = self._route()
        if now is None or now["metadata"]["generation"] != written["metadata"]["generation"]:
            return False
        manifest = http_route(self._naming, self._at, replace(old, revision=_revision()))
        fence()
        self._cluster.apply(_in_place_of(now, manifest))
        return True

    def _ours(self, route: Mapping[str, Any]) -> bool:
        """Whether it hangs where it should, and nobody has edited what we do not read."""
        served = served_by(self._naming, route)
        spec = http_route(self._naming, self._at, served)["spec"]
        return _covers(route["spec"], spec)

    def _refuse_absent(self, wanted: Served) -> None:
        """A weight on a Service that is not there would be answered with 500."""
        for number in sorted(n for n, weight in wanted.routes.weights.items() if weight):
            if self._cluster.get("Service", self._naming.release(number)) is None:
                raise self._trouble(
                    f"release {number} has no Service {self._naming.release(number)}",
                    "it was deleted, or the release was never started",
                    "no traffic was moved",
                    f"kubectl -n {self._naming.namespace} get services",
                )

    # --- looking ----------------------------------------------------------------------------

    def _route(self) -> dict[str, Any] | None:
        return self._cluster.get("HTTPRoute", self._naming.route)

    def _served(self) -> Served:
        route = self._route()
        return served_by(self._naming, route) if route else Served(Routes({}))

    def _await_pods(self, number: int, end: float, deadline: float) -> int:
        """How many pods of a release take requests, once there is one."""
        service = self._naming.release(number)
        while True:
            slices = self._cluster.list("EndpointSlice", {"kubernetes.io/service-name": service})
            ready = _ready_addresses(slices)
            if ready:
                return len(ready)
            if self._clock.monotonic() >= end:
                raise self._trouble(
                    f"the gateway does not find release {number} healthy",
                    f"Service {service} has no pod that is ready, after {deadline:g} s",
                    "it gets no traffic; what was served before still is",
                    f"kubectl -n {self._naming.namespace} get pods,endpointslices "
                    f"-l kubernetes.io/service-name={service}",
                )
            self._clock.wait(_POLL)

    def _healthy(self, number: int, ready: int) -> tuple[bool, str]:
        """Whether every proxy knows the release's pods; where that cannot be seen, that it serves
        the route which names them must do."""
        try:
            seen = self._counted(number)
        except UnansweredError:
            return True, ""
        known = [sum(cluster["healthy"] for cluster in each) for each in seen.values()]
        short = sum(1 for count in known if count < min(1, ready))
        return not short, f"{short} of {len(known)} proxies know no pod of it"

    def _in_flight(self, number: int) -> int:
        seen = self._counted(number, preview=True)
        return sum(cluster.in_flight for each in seen.values() for cluster in each)

    def _counted(self, number: int, *, preview: bool = False) -> dict[str, list[Counted]]:
        """By proxy, the release's clusters."""
        reading = self._reading(preview=preview)
        found = {}
        for name, clusters in reading.replicas.items():
            found[name] = by_release(clusters, reading.releases).get(number, [])
        return found

    def _reading(self, *, preview: bool) -> Reading:
        for _ in range(_LOOKS - 1):
            with suppress(UnansweredError):
                return self._reader.read(preview=preview)
            self._clock.wait(_POLL)
        return self._reader.read(preview=preview)

    def _trouble(self, message: str, cause: str, state: str, look: str) -> BackendctlError:
        return BackendctlError(
            "platform.gateway",
            message,
            cause=cause,
            state=state,
            next=("backendctl status", look),
        )


def _in_place_of(former: Mapping[str, Any], manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest that can only be applied to that version of that object: the version alone does
    not keep an object that is gone from being made anew."""
    for key in ("resourceVersion", "uid"):
        manifest["metadata"][key] = former["metadata"][key]
    return manifest


def _revision() -> str:
    """Unlike any other: a label of a host name, so letters and digits."""
    return f"r{int(time.time())}-{secrets.token_hex(4)}"


def _with(served: Served, number: int) -> Served:
    if number in served.connected:
        return served
    return replace(served, idle=served.idle | {number})


def _without(served: Served, number: int) -> Served:
    routes = served.routes
    kept = Routes(
        {n: weight for n, weight in routes.weights.items() if n != number},
        preview=None if routes.preview == number else routes.preview,
        fallback=None if routes.fallback == number else routes.fallback,
    )
    return Served(kept, served.idle - {number}, served.revision)


def _ready_addresses(slices: Sequence[Mapping[str, Any]]) -> set[str]:
    return {
        address
        for each in slices
        for endpoint in each.get("endpoints") or ()
        if endpoint.get("conditions", {}).get("ready") is not False
        for address in endpoint["addresses"]
    }


def _covers(found: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there; the API server adds defaults."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            key in found and _covers(found[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return (
            isinstance(found, list | tuple)
            and len(found) == len(wanted)
            and all(_covers(a, b) for a, b in zip(found, wanted, strict=True))
        )
    return bool(found == wanted)
