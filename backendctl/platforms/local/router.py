"""Moving traffic: writing Envoy's files and reading back what it really serves.

Order matters, and each rule here was measured to lose requests without it: a cluster is served
and healthy before a route names it, a route stops naming it before it is removed, and a file
changes only by rename. A change counts once Envoy itself says that it serves it.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from backendctl.clock import Clock, SystemClock
from backendctl.errors import BackendctlError
from backendctl.filesystem import writing
from backendctl.platforms.base import Routes
from backendctl.platforms.local.envoy_admin import EnvoyAdmin, GatewayGoneError
from backendctl.platforms.local.envoy_arms import Arm, Endpoints, arms_of
from backendctl.platforms.local.envoy_clusters import clusters
from backendctl.platforms.local.envoy_routes import route_table, routes_served
from backendctl.platforms.local.gateway import GATEWAY, GatewayFiles
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.ports import HOST, Ports

__all__ = ["Endpoints", "EnvoyRouter"]

_CONFIRM_DEADLINE = 10.0
"""Seconds to see a change served: milliseconds when all is well, a restart when Envoy died."""
_LOCK_PATIENCE = 15.0
"""Seconds to wait for another process to make its change: longer than it may wait for Envoy."""
_POLL = 0.002
_DRAIN_POLL = 0.05
_QUIET_POLLS = 5
"""A release is drained when so many looks in a row find no request in flight."""


class EnvoyRouter:
    """The Router of `platforms/base/` on one Envoy."""

    def __init__(
        self,
        layout: Layout,
        endpoints: Callable[[int], Endpoints],
        clock: Clock | None = None,
        *,
        sticky: bool = False,
    ) -> None:
        """`endpoints` says where a running release listens; `sticky` as `route_table` has it."""
        self._sticky = sticky
        self._files = GatewayFiles(layout)
        self._ports = Ports(layout)
        self._admin = EnvoyAdmin(layout.admin_socket)
        self._log = layout.log(GATEWAY)
        self._endpoints = endpoints
        self._clock = clock or SystemClock()

    @property
    def url(self) -> str:
        port = self._ports.assigned(GATEWAY)
        if port is None:
            raise BackendctlError(
                "missing.environment",
                "the environment was never up: its gateway has no port yet",
                next=("backendctl up",),
            )
        return f"http://{HOST}:{port}"

    host = ""

    def connect(self, number: int, deadline: float) -> None:
        end = self._clock.monotonic() + deadline
        with self._locked():
            releases, behind = self._connected()
            releases[number] = self._endpoints(number)
            self._serve_clusters(releases, behind)
        name = Arm(number).cluster
        while True:
            health = self._hosts().get(name, ())
            if health and all(health):
                return
            if self._clock.monotonic() >= end:
                raise self._refused(
                    f"the gateway does not find release {number} healthy",
                    f"{sum(health)} of {len(health)} endpoints answer "
                    f"{releases[number].ready_path} with 2xx, after {deadline:g} s",
                    "it gets no traffic; what was served before still is",
                )
            self._clock.wait(_DRAIN_POLL)

    def apply(self, routes: Routes, fence: Callable[[], None] = lambda: None) -> None:
        with self._locked():
            fence()
            releases, behind = self._connected()
            missing = _named(routes) - releases.keys()
            if missing:
                raise ValueError(f"not connected: {sorted(missing)}")
            needed = [arm for arm in arms_of(routes) if arm != Arm(arm.number)]
            absent = [arm for arm in needed if arm not in behind]
            if absent:
                self._serve_clusters(releases, [*behind, *absent])
            self._serve_routes(routes)

    def read(self) -> Routes | None:
        try:
            table = self._admin.routes()
        except GatewayGoneError:
            return None
        return routes_served(table) if table else None

    def drain(self, number: int, deadline: float) -> bool:
        routes = self._routes_on_file()
        if routes is not None and routes.weights.get(number, 0) > 0:
            raise ValueError(f"release {number} has weight {routes.weights[number]}")
        end = self._clock.monotonic() + deadline
        quiet = 0
        while quiet < _QUIET_POLLS:
            quiet = quiet + 1 if self._in_flight(number) == 0 else 0
            if quiet < _QUIET_POLLS:
                if self._clock.monotonic() >= end:
                    return False
                self._clock.wait(_DRAIN_POLL)
        return True

    def dismiss(self) -> None:
        with suppress(GatewayGoneError):
            self._admin.close_connections()

    def disconnect(self, number: int) -> None:
        with self._locked():
            releases, behind = self._connected()
            if number not in releases:
                return
            routes = self._routes_on_file()
            if routes is not None and number in _named(routes):
                self._serve_routes(_without(routes, number))
            del releases[number]
            self._serve_clusters(
                releases, [arm for arm in behind if number not in (arm.number, arm.fallback)]
            )

    # --- what is on file --------------------------------------------------------------------

    def _connected(self) -> tuple[dict[int, Endpoints], list[Arm]]:
        """The releases that the clusters' file names, and the arms that stand before them."""
        releases: dict[int, Endpoints] = {}
        behind: list[Arm] = []
        for resource in self._load(self._files.clusters)["resources"]:
            arm = Arm.parse(resource["name"])
            if arm is None:
                continue
            if arm != Arm(arm.number):
                behind.append(arm)
                continue
            hosts = resource["load_assignment"]["endpoints"][0]["lb_endpoints"]
            ports = tuple(
                host["endpoint"]["address"]["socket_address"]["port_value"] for host in hosts
            )
            check = resource["health_checks"][0]["http_health_check"]
            releases[arm.number] = Endpoints(ports, check["path"])
        return releases, behind

    def _routes_on_file(self) -> Routes | None:
        return routes_served(self._load(self._files.routes)["resources"][0])

    def _load(self, path: Path) -> dict[str, Any]:
        try:
            return dict(json.loads(path.read_bytes()))
        except FileNotFoundError:
            raise BackendctlError(
                "missing.environment",
                "the environment is not up: it has no gateway",
                next=("backendctl up",),
            ) from None

    # --- changing what is served ------------------------------------------------------------

    def _serve_clusters(self, releases: dict[int, Endpoints], behind: list[Arm]) -> None:
        former = self._load(self._files.clusters)
        body = clusters(releases, behind, _next_version(former))
        if body["resources"] == former["resources"]:
            body = former
        self._serve(self._files.clusters, former, body, self._admin.clusters_version)

    def _serve_routes(self, routes: Routes) -> None:
        former = self._load(self._files.routes)
        body = route_table(routes, _next_version(former), sticky=self._sticky)
        if body["resources"] == former["resources"]:
            body = former
        self._serve(self._files.routes, former, body, self._admin.routes_version)

    def _serve(
        self,
        path: Path,
        former: dict[str, Any],
        body: dict[str, Any],
        served: Callable[[], str],
    ) -> None:
        """Put `body` in place and wait until Envoy serves its version; put `former` back if not."""
        version = body["version_info"]
        refusals = self._refusals()
        if body is not former:
            self._files.write(path, body)
        end = self._clock.monotonic() + _CONFIRM_DEADLINE
        cause = "it did not answer"
        while True:
            try:
                if served() == version:
                    return
                cause = "it still serves an older version"
                if refusals is not None and self._admin.refusals() > refusals:
                    cause = "it refused the configuration"
                    break
            except GatewayGoneError:
                refusals = 0  # one that restarts counts anew
            if self._clock.monotonic() >= end:
                break
            self._clock.wait(_POLL)
        if body is not former:
            self._files.write(path, former)
        raise self._refused(
            f"the gateway does not serve version {version} of {path.name}",
            cause,
            "the former routes still hold",
        )

    def _refused(
        self, message: str, cause: str, state: str, look: str | None = None
    ) -> BackendctlError:
        return BackendctlError(
            "platform.gateway",
            message,
            cause=cause,
            state=state,
            next=("backendctl status", look or f"tail -n 50 {self._log}"),
        )

    # --- asking Envoy -----------------------------------------------------------------------

    def _refusals(self) -> int | None:
        try:
            return self._admin.refusals()
        except GatewayGoneError:
            return None

    def _hosts(self) -> dict[str, tuple[bool, ...]]:
        try:
            return dict(self._admin.hosts())
        except GatewayGoneError:
            return {}

    def _in_flight(self, number: int) -> int:
        """Requests that the release works on or that wait for it; 0 when the gateway is gone."""
        name = Arm(number).cluster
        pattern = rf"^cluster\.{name}\.upstream_rq_(active|pending_active)$"
        try:
            return sum(int(s["value"]) for s in self._admin.stats(pattern)["stats"] if "value" in s)
        except GatewayGoneError:
            return 0

    @contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        self._load(self._files.clusters)
        with writing(self._files.lock):
            lock = FileLock(self._files.lock, mode=0o600)
            try:
                lock.acquire(timeout=_LOCK_PATIENCE)
            except Timeout:
                raise self._refused(
                    f"another process has kept {self._files.lock} locked for {_LOCK_PATIENCE:g} s",
                    "it was stopped (Ctrl-Z, a debugger) in the middle of a change",
                    "this process changed nothing",
                    f"fuser {self._files.lock}",
                ) from None
        try:
            yield
        finally:
            lock.release()


def _named(routes: Routes) -> set[int]:
    others = {number for number in (routes.preview, routes.fallback) if number is not None}
    return set(routes.weights) | others


def _without(routes: Routes, number: int) -> Routes:
    if routes.weights.get(number, 0) > 0:
        raise ValueError(f"release {number} has weight {routes.weights[number]}")
    return Routes(
        {n: weight for n, weight in routes.weights.items() if n != number},
        preview=None if routes.preview == number else routes.preview,
        fallback=None if routes.fallback == number else routes.fallback,
    )


def _next_version(former: dict[str, Any]) -> str:
    """Rises with each change; the time keeps it apart from those of a purged environment."""
    count = int(str(former["version_info"]).partition("-")[0]) + 1
    return f"{count}-{int(time.time())}"
