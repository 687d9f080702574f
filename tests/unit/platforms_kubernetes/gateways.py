"""A cluster in memory with a gateway whose controller and proxies do as a test says."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backendctl.clock import Clock
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.gateway import Gateway, Listener, Replica
from backendctl.platforms.kubernetes.kinds import GATEWAY_API
from backendctl.platforms.kubernetes.naming import Naming, Reference
from backendctl.platforms.kubernetes.replicas import Replicas, UnansweredError
from backendctl.platforms.kubernetes.router import KubernetesRouter
from backendctl.platforms.kubernetes.routes import REVISION, order
from tests.fakes.kubernetes_api import FakeApi

NAMING = Naming("shop", "prod", "shop-prod")
SHARED = Reference("gateways", "shared")
CONTOUR = "projectcontour.io/gateway-controller"


class StepClock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.at = 1_000_000.0
        self.on_wait: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def wait(self, seconds: float) -> None:
        self.at += max(seconds, 0.001)
        self.on_wait()


class GatewayApi(FakeApi):
    """With generations, and a controller that says what it is told to say of each route."""

    def __init__(self) -> None:
        super().__init__()
        self.conditions: list[dict[str, Any]] = [
            {"type": "Accepted", "status": "True"},
            {"type": "ResolvedRefs", "status": "True"},
        ]
        self.silent = False
        """Whether the controller says nothing."""

    def _put(self, key: tuple[str, str, str], body: dict[str, Any], uid: str) -> dict[str, Any]:
        body = copy.deepcopy(body)
        if key[0] == "HTTPRoute":
            former = self.objects.get(key)
            generation = former["metadata"]["generation"] if former else 0
            changed = former is None or former["spec"] != body["spec"]
            body["metadata"]["generation"] = generation + changed
            if not self.silent:
                body["status"] = {"parents": [self._parent(body)]}
        return super()._put(key, body, uid)

    def _parent(self, route: Mapping[str, Any]) -> dict[str, Any]:
        generation = route["metadata"]["generation"]
        said = [{**each, "observedGeneration": generation} for each in self.conditions]
        return {"parentRef": {"name": SHARED.name}, "conditions": said}

    def put(self, kind: str, manifest: dict[str, Any]) -> None:
        metadata = manifest["metadata"]
        super()._put((kind, metadata.get("namespace", ""), metadata["name"]), manifest, "uid")

    @property
    def route(self) -> dict[str, Any]:
        return self.objects["HTTPRoute", NAMING.namespace, NAMING.route]


class FakeReplicas(Replicas):
    """Proxies that serve what the route says, unless one is told to lag."""

    def __init__(self, cluster: Cluster, api: GatewayApi) -> None:
        super().__init__(cluster)
        self._api = api
        self.lagging: dict[str, str] = {}
        """Proxy -> what it goes on serving."""
        self.closed: set[str] = set()
        """Names of listeners that the route is not let into."""
        self.numbers: dict[int, dict[str, int]] = {}
        """Release -> Envoy's statistic -> value, of every proxy."""
        self.unanswered = ""

    def revisions(
        self, replicas: Sequence[Replica], listeners: Sequence[Listener], host: str
    ) -> dict[str, frozenset[str]]:
        served = self._api.route["metadata"]["annotations"][REVISION]
        open_to_us = [each for each in listeners if each.name not in self.closed]
        return {
            each.name: frozenset(self.lagging.get(each.name, served) for _ in open_to_us)
            for each in replicas
        }

    def stats(
        self, replicas: Sequence[Replica], port: int, path: str, query: Mapping[str, str]
    ) -> dict[str, str]:
        if self.unanswered:
            raise UnansweredError(self.unanswered)
        known = {number for _, _, number in order(NAMING, self._api.route)}
        lines = [
            f'envoy_cluster_{name}{{envoy_cluster_name="shop-prod_shop-r{number}_80"}} {value}'
            for number, values in self.numbers.items()
            if number in known
            for name, value in values.items()
        ]
        return {each.name: "\n".join([*lines, ""]) for each in replicas}


class Stand:
    """One environment behind a Contour with two proxies, and two releases that are ready."""

    def __init__(self) -> None:
        self.api = GatewayApi()
        self.clock = StepClock()
        self.cluster = Cluster(NAMING.namespace, connection=self.api, clock=self.clock)
        self.gateway = Gateway(self.cluster, SHARED)
        self.replicas = FakeReplicas(self.cluster, self.api)
        self.router = self.another()
        self.api.put("Namespace", {"apiVersion": "v1", "metadata": {"name": SHARED.namespace}})
        self.api.put("GatewayClass", gateway_class())
        self.api.put("Gateway", gateway())
        self.proxies("envoy-a", "envoy-b")
        for number in (1, 2):
            self.release(number)

    def another(self, clock: Clock | None = None) -> KubernetesRouter:
        """A router of another process."""
        return KubernetesRouter(
            self.cluster, NAMING, self.gateway, clock=clock or self.clock, replicas=self.replicas
        )

    def proxies(self, *names: str) -> None:
        metadata = {"name": "envoy", "namespace": SHARED.namespace}
        labels = {"gateway.networking.k8s.io/gateway-name": SHARED.name}
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        self.api.put(
            "Service", {"metadata": {**metadata, "labels": labels}, "spec": {"ports": ports}}
        )
        self.api.put("EndpointSlice", slice_of("envoy", SHARED.namespace, names, 8080))

    def release(self, number: int, pods: int = 1) -> None:
        name = NAMING.release(number)
        labels = dict(NAMING.release_labels(number))
        metadata = {"name": name, "namespace": NAMING.namespace, "labels": labels}
        self.api.put("Service", {"metadata": metadata, "spec": {"ports": []}})
        pods_of = [f"{name}-{i}" for i in range(pods)]
        self.api.put("EndpointSlice", slice_of(name, NAMING.namespace, pods_of, 8000))
        self.replicas.numbers[number] = {"membership_healthy": pods}


def slice_of(service: str, namespace: str, pods: Sequence[str], port: int) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"{service}-abc",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service},
        },
        "ports": [{"name": "http", "port": port}],
        "endpoints": [
            {
                "addresses": [f"10.0.0.{index}"],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "name": pod},
            }
            for index, pod in enumerate(pods, 1)
        ],
    }


def gateway(**condition: str) -> dict[str, Any]:
    conditions = [{"type": "Accepted", "status": "True"}, {"type": "Programmed", "status": "True"}]
    return {
        "apiVersion": f"{GATEWAY_API}/v1",
        "kind": "Gateway",
        "metadata": {"name": SHARED.name, "namespace": SHARED.namespace, "generation": 1},
        "spec": {
            "gatewayClassName": "contour",
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
        },
        "status": {
            "addresses": [{"type": "IPAddress", "value": "10.9.8.7"}],
            "conditions": [condition] if condition else conditions,
        },
    }


def gateway_class(controller: str = CONTOUR) -> dict[str, Any]:
    return {
        "apiVersion": f"{GATEWAY_API}/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "contour"},
        "spec": {"controllerName": controller},
    }
