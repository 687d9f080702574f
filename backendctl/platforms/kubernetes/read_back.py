"""Whether a gateway really serves a version of the route: what its controller says, and what each
of its proxies answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backendctl.clock import Clock
from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.gateway import NO_LISTENER, Found, Gateway, Replica, fitting
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.replicas import Replicas, probe
from backendctl.platforms.kubernetes.routes import served_by

CONFIRM_DEADLINE = 15.0
"""Seconds to see a change served: a fraction of one when all is well, a pod's restart when not."""
IN_A_ROW = 8
"""Answers over new connections that must name the new version where single proxies cannot be
asked: with two proxies behind an address, one that lags is missed once in 2**8."""
_POLL = 0.05
_RELIST = 1.0
"""Seconds between two looks at the gateway itself and at which proxies it has."""


@dataclass(frozen=True, slots=True)
class _Check:
    """One look at whether a route is served."""

    accepted: bool = False
    served: bool = False
    noticed: bool = False
    """Whether the controller has said anything of it."""
    refusal: str = ""
    lagging: str = ""


class ReadBack:
    """Reads back one environment's route."""

    def __init__(
        self,
        cluster: Cluster,
        naming: Naming,
        gateway: Gateway,
        host: str,
        replicas: Replicas,
        clock: Clock,
    ) -> None:
        self._cluster = cluster
        self._naming = naming
        self._gateway = gateway
        self._host = host
        self._replicas = replicas
        self._clock = clock

    def await_served(
        self, route: Mapping[str, Any], found: Found, deadline: float = CONFIRM_DEADLINE
    ) -> None:
        """Until the controller has accepted the route at its generation and every proxy serves
        its revision. Raises BackendctlError `platform.gateway`."""
        wanted = served_by(self._naming, route).revision
        began = listed = self._clock.monotonic()
        replicas = self._gateway.replicas(found)
        while True:
            check = self._check(route, wanted, found, replicas)
            if check.served and check.accepted:
                return
            now = self._clock.monotonic()
            if check.refusal or now - began >= deadline:
                raise self._not_served(check)
            if now - listed >= _RELIST:
                found = self._gateway.look()  # says so if no controller is there any more
                replicas, listed = self._gateway.replicas(found), now
            self._clock.wait(_POLL)

    def _check(
        self, route: Mapping[str, Any], wanted: str, found: Found, replicas: Sequence[Replica]
    ) -> _Check:
        current = self._cluster.get("HTTPRoute", self._naming.route) or route
        generation = int(route["metadata"]["generation"])
        conditions = _conditions(current, self._gateway.reference.name, generation)
        refusal = self._refusal(current, conditions)
        accepted = {"Accepted", "ResolvedRefs"} <= conditions.keys() and not refusal
        lagging = self._lagging(wanted, found, replicas)
        return _Check(accepted, not lagging, bool(conditions), refusal, lagging)

    def _refusal(
        self, route: Mapping[str, Any], conditions: Mapping[str, Mapping[str, Any]]
    ) -> str:
        for name in ("Accepted", "ResolvedRefs"):
            said = conditions.get(name)
            if said is None or said["status"] == "True":
                continue
            if name == "ResolvedRefs" and self._only_idle_missing(route):
                continue
            return f"{name} is {said['status']}: {said.get('reason')}: {said.get('message')}"
        return ""

    def _only_idle_missing(self, route: Mapping[str, Any]) -> bool:
        """Whether all that cannot be resolved are Services of releases that get nothing: their
        processes are gone and they will be disconnected next."""
        served = served_by(self._naming, route)
        there = {
            self._naming.number(each["metadata"]["name"])
            for each in self._cluster.list("Service", self._naming.selector)
        }
        asked = {n for n, weight in served.routes.weights.items() if weight}
        asked |= {n for n in (served.routes.preview,) if n is not None}
        return bool(served.connected - there) and asked <= there

    def _lagging(self, wanted: str, found: Found, replicas: Sequence[Replica]) -> str:
        """Who does not serve that revision yet; "" if all do."""
        if not found.listeners:
            return NO_LISTENER
        # Of several listeners a route may be let into one only: the others serve none of ours.
        listeners = fitting(found.listeners, self._host)
        seen = self._replicas.revisions(replicas, listeners, self._host)
        if not seen:
            return self._lagging_from_outside(wanted)
        behind = [name for name, revisions in seen.items() if revisions != {wanted}]
        if behind:
            return f"{len(behind)} of {len(seen)} proxies do not: {', '.join(behind[:3])}"
        return ""

    def _lagging_from_outside(self, wanted: str) -> str:
        import httpx

        url = self._gateway.url(self._host)
        for _ in range(IN_A_ROW):
            try:
                seen = probe(url, self._host)
            except httpx.HTTPError as error:
                return f"{url} does not answer: {error or type(error).__name__}"
            if seen != wanted:
                return f"{url} answers with {'another version' if seen else 'none of ours'}"
        return ""

    def _not_served(self, check: _Check) -> BackendctlError:
        cause = check.refusal or check.lagging or "its controller has not accepted it"
        if not check.noticed:
            cause = f"its controller has said nothing of the route; {cause}"
        what = "refuses the route" if check.refusal else "does not serve the route as it is written"
        return BackendctlError(
            "platform.gateway",
            f"the gateway {self._gateway} {what}",
            cause=cause,
            state="the route stands as it was written last",
            next=(f"kubectl -n {self._naming.namespace} describe httproute {self._naming.route}",),
        )


def _conditions(
    route: Mapping[str, Any], gateway: str, generation: int
) -> dict[str, Mapping[str, Any]]:
    """What the Gateway's controller says of this generation of the route, the worst of several
    listeners."""
    found: dict[str, Mapping[str, Any]] = {}
    for parent in route.get("status", {}).get("parents") or ():
        if parent["parentRef"]["name"] != gateway:
            continue
        for each in parent.get("conditions") or ():
            if int(each.get("observedGeneration", 0)) < generation:
                continue
            if each["type"] not in found or each["status"] != "True":
                found[each["type"]] = each
    return found
