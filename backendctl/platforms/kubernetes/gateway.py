"""The Gateway an environment's route hangs on: whether it works, its address, its replicas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.errors import no_namespace
from backendctl.platforms.kubernetes.gateway_stats import (
    CONTROLLERS,
    STANDARD_OWNER,
    Controller,
)
from backendctl.platforms.kubernetes.naming import Reference

_DEFAULT_PORTS = {"http": 80, "https": 443}
_FORBIDDEN = "platform.forbidden"
NO_LISTENER = "it has no HTTP or HTTPS listener that lets routes of this namespace in"


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a Gateway takes requests."""

    name: str
    port: int
    scheme: str
    hostname: str = ""


@dataclass(frozen=True, slots=True)
class Replica:
    """One proxy of the gateway."""

    namespace: str
    pod: str
    """"" for a proxy that is no pod of this cluster."""
    address: str
    ports: Mapping[int, int]
    """Port of the Service before it -> port of the proxy."""

    @property
    def name(self) -> str:
        return self.pod or self.address


@dataclass(frozen=True, slots=True)
class Found:
    """A Gateway as it is now."""

    listeners: tuple[Listener, ...]
    addresses: tuple[str, ...]
    controller: Controller | None
    """None for one whose statistics this version cannot read."""
    controller_name: str


class Gateway:
    """One Gateway, looked at through the API server."""

    def __init__(self, cluster: Cluster, reference: Reference, url: str = "") -> None:
        """`url`: where users reach it, when its own addresses do not say so."""
        self._cluster = cluster
        self.reference = reference
        self._url = url.rstrip("/")

    def url(self, host: str = "") -> str:
        """Where users reach the service. Raises BackendctlError `platform.gateway`."""
        if self._url:
            return self._url
        found = self.look()
        listener = _serving(found.listeners, host)
        if listener is None or not (host or found.addresses):
            raise self._trouble(
                f"the gateway {self} has no address yet",
                "its controller has not given it one" if listener else NO_LISTENER,
            )
        port = "" if _DEFAULT_PORTS[listener.scheme] == listener.port else f":{listener.port}"
        return f"{listener.scheme}://{host or literal(found.addresses[0])}{port}"

    def look(self) -> Found:
        """What it is. Raises BackendctlError `platform.gateway` when it does not work: it is not
        there, no controller has taken it, or that says no."""
        at = self.reference
        gateway = self._cluster.get("Gateway", at.name, at.namespace)
        if gateway is None:
            self._refuse_without_namespace()
            raise self._trouble(
                f"there is no Gateway {self}",
                "`backendctl infra up` makes it, or `gateway` in backend.toml names another",
                ("backendctl infra up", f"kubectl -n {at.namespace} get gateways"),
            )
        class_name = str(gateway["spec"]["gatewayClassName"])
        owner = self._controller_name(class_name)
        self._check(gateway, class_name)
        return Found(
            tuple(_listeners(gateway, at.namespace == self._cluster.namespace)),
            tuple(each["value"] for each in gateway.get("status", {}).get("addresses") or ()),
            CONTROLLERS.get(owner),
            owner,
        )

    def replicas(self, found: Found) -> Sequence[Replica]:
        """Its proxies that take requests; none where they cannot be told (another kind of gateway,
        one outside the cluster, an account that may not look)."""
        wanted = {each.port for each in found.listeners}
        try:
            for namespace, name in self._services(found):
                replicas = [
                    each for each in self._behind(namespace, name) if wanted & each.ports.keys()
                ]
                if replicas:
                    return replicas  # others of its label are its controller
        except BackendctlError as error:
            if error.code != _FORBIDDEN:
                raise
        return ()

    def __str__(self) -> str:
        return f"{self.reference.namespace}/{self.reference.name}"

    def _refuse_without_namespace(self) -> None:
        """Then the namespace is what is wrong, and not the Gateway."""
        namespace = self.reference.namespace
        try:
            found = self._cluster.get("Namespace", namespace)
        except BackendctlError as error:
            if error.code != _FORBIDDEN:
                raise
            return
        if found is not None:
            return
        if namespace == self._cluster.namespace:
            raise no_namespace(namespace)
        raise self._trouble(
            f"there is no namespace {namespace}, in which the gateway {self} should be",
            "`gateway` in backend.toml names it as namespace/name",
            ("kubectl get gateways -A",),
        )

    def _controller_name(self, class_name: str) -> str:
        try:
            found = self._cluster.get("GatewayClass", class_name)
        except BackendctlError as error:
            if error.code != _FORBIDDEN:
                raise
            return ""
        if found is None:
            raise self._trouble(
                f"the gateway {self} has no controller",
                f"there is no GatewayClass {class_name}",
                ("kubectl get gatewayclasses", "backendctl infra up"),
            )
        return str(found["spec"]["controllerName"])

    def _check(self, gateway: Mapping[str, Any], class_name: str) -> None:
        conditions = {
            each["type"]: each for each in gateway.get("status", {}).get("conditions", ())
        }
        generation = gateway["metadata"].get("generation", 0)
        for name in ("Accepted", "Programmed"):
            said = conditions.get(name)
            current = said is not None and said.get("observedGeneration", generation) >= generation
            if said is not None and current and said["status"] == "True":
                continue
            if said is None or said.get("reason") == "Pending" or not current:
                cause = f"no controller of class {class_name} has taken it: is one running?"
            else:
                cause = f"{name} is {said['status']}: {said.get('reason')}: {said.get('message')}"
            raise self._trouble(f"the gateway {self} is not ready", cause)

    def _services(self, found: Found) -> list[tuple[str, str]]:
        """Namespace and name of what may stand before its proxies, the surest first."""
        at, controller = self.reference, found.controller
        asked = [(at.namespace, {STANDARD_OWNER: at.name})]
        if controller is not None and controller.owner != STANDARD_OWNER:
            labels = {controller.owner: at.name}
            asked.append((at.namespace, labels))
            if controller.owner_namespace:
                asked.append(
                    (controller.home, {**labels, controller.owner_namespace: at.namespace})
                )
        named = [
            (namespace, each["metadata"]["name"])
            for namespace, labels in asked
            for each in self._cluster.list("Service", labels, namespace)
        ]
        if controller is not None and controller.fleet:
            named.append((controller.home, controller.fleet))
        return named

    def _behind(self, namespace: str, service: str) -> list[Replica]:
        found = self._cluster.get("Service", service, namespace)
        if found is None:
            return []
        ports = {each.get("name", ""): each["port"] for each in found["spec"].get("ports") or ()}
        slices = self._cluster.list(
            "EndpointSlice", {"kubernetes.io/service-name": service}, namespace
        )
        replicas: dict[str, Replica] = {}
        families = found["spec"].get("ipFamilies") or ()
        for each in slices:
            if families and each.get("addressType", families[0]) != families[0]:
                continue  # a proxy with two addresses is one proxy, and need not listen at both
            mapped = {
                ports[port.get("name", "")]: port["port"]
                for port in each.get("ports") or ()
                if port.get("name", "") in ports
            }
            for endpoint in each.get("endpoints") or ():
                if endpoint.get("conditions", {}).get("ready") is False:
                    continue
                target = endpoint.get("targetRef") or {}
                pod = target.get("name", "") if target.get("kind") == "Pod" else ""
                address = endpoint["addresses"][0]
                known = replicas.get(address)
                merged = {**(known.ports if known else {}), **mapped}
                replicas[address] = Replica(namespace, pod, address, merged)
        return list(replicas.values())

    def _trouble(
        self, message: str, cause: str, following: tuple[str, ...] = ()
    ) -> BackendctlError:
        at = self.reference
        return BackendctlError(
            "platform.gateway",
            message,
            cause=cause,
            state="no traffic was moved",
            next=following or (f"kubectl -n {at.namespace} describe gateway {at.name}",),
        )


def _listeners(gateway: Mapping[str, Any], same_namespace: bool) -> list[Listener]:
    """Those that may let a route of the environment in; the server fills in what is not stated."""
    closed = {"None"} if same_namespace else {"None", "Same"}
    return [
        Listener(
            each["name"], int(each["port"]), each["protocol"].lower(), each.get("hostname", "")
        )
        for each in gateway["spec"].get("listeners") or ()
        if each["protocol"] in ("HTTP", "HTTPS") and _let_in(each) not in closed
    ]


def _let_in(listener: Mapping[str, Any]) -> str:
    """The namespaces whose routes it lets in: All | Same | Selector | None."""
    return str(listener.get("allowedRoutes", {}).get("namespaces", {}).get("from", ""))


def fitting(listeners: Sequence[Listener], host: str) -> Sequence[Listener]:
    """Those for that host, once for each port; all where none says so."""
    found = [each for each in listeners if _fits(each.hostname, host)] or listeners
    return list({(each.scheme, each.port): each for each in found}.values())


def _serving(listeners: Sequence[Listener], host: str) -> Listener | None:
    """The listener that users are told of: one for their host, and HTTPS before HTTP."""
    found = fitting(listeners, host)
    return min(found, key=lambda each: (each.scheme != "https", each.port), default=None)


def _fits(pattern: str, host: str) -> bool:
    if not pattern or not host:
        return not pattern
    return host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:]))


def literal(address: str) -> str:
    """An address as it stands in a URL."""
    return f"[{address}]" if ":" in address else address
