"""What outlives a release in a cluster, as manifests. Pure.

The `app` stack creates exactly these. None of them is changed by a rollout, and nothing that a
rollout makes is among them: neither shows up as drift of the other.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backendctl.platforms.base import LOAD_PODS, WATCHDOG
from backendctl.platforms.kubernetes import access, restricted
from backendctl.platforms.kubernetes.gateway_stats import CONTROLLERS
from backendctl.platforms.kubernetes.kinds import GATEWAY_API
from backendctl.platforms.kubernetes.naming import (
    COMPONENT_LABEL,
    DOMAIN,
    STACK_GATEWAY_CLASS,
    Naming,
    gateway_of_stacks,
)
from backendctl.platforms.kubernetes.pods import PORT
from backendctl.platforms.kubernetes.recorded import KEY
from backendctl.platforms.kubernetes.resources import Size
from backendctl.shipped.stacks.charts import GATEWAY_NAMESPACE as GATEWAY_HOME
from backendctl.spec import derive
from backendctl.spec.model import Environment, Spec

Manifest = Mapping[str, Any]

NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""The label that each namespace has of its own name."""
GATEWAY_POD = "gateway.networking.k8s.io/gateway-name"
"""The label of a gateway's own pods, where its controller makes them (GEP-1762)."""
GATEWAY_NAMESPACE = f"{DOMAIN}/gateway"
"""The label ("true") of further namespaces whose pods may send requests to releases: for gateways
of kinds not known here whose proxies run elsewhere than the Gateway stands."""
_PROXY_HOMES = sorted({each.home for each in CONTROLLERS.values()})
"""Where the known kinds may run their proxies instead. Allowed wherever the Gateway stands: the
controller decides it, and no manifest says which."""

LOAD_PORT = 5557
"""Where the workers of a load test reach their conductor."""
_JOBS = 2
"""A migration and a command of somebody's at the same time."""
_DRIVERS = 2
"""The watchdog and one driver."""
_DRIVER_CORES, _DRIVER_MEMORY = 0.1, 256 * 2**20
_LOAD_CORES, _LOAD_MEMORY = 1.0, 512 * 2**20
_PROXY_PODS = 8
"""Of a Gateway of one's own, where its controller runs them in the namespace."""
_METADATA = "169.254.169.254/32"
"""Where clouds hand out credentials of the machine."""


def manifests(spec: Spec, environment: Environment) -> Sequence[Manifest]:
    """All of it, for one environment; the namespace first."""
    naming = Naming.of(spec, environment)
    own = not environment.gateway
    proxies = GATEWAY_HOME if gateway_of_stacks(environment) else ""
    gateway_class = (environment.gateway_class or STACK_GATEWAY_CLASS) if own else ""
    found = [
        _namespace(naming, own),
        *access.manifests(naming, naming.gateway_of(environment), gateway_class, proxies),
        *_network(naming, naming.gateway_of(environment).namespace),
        _quota(spec, environment, naming),
        _defaults(naming),
    ]
    if own:
        found.append(_gateway(naming, environment, gateway_class))
    if environment.driver_image:
        found.append(_watchdog(naming, environment.driver_image))
    return found


def _metadata(naming: Naming, name: str, component: str) -> Manifest:
    return {
        "name": name,
        "namespace": naming.namespace,
        "labels": dict(naming.labels(component)),
    }


def _namespace(naming: Naming, own_gateway: bool) -> Manifest:
    """Pods may do as little as `restricted` says. Where a controller puts the proxies of a Gateway
    of our own into it, those decide for themselves: `baseline` is enforced, and ours are held to
    `restricted` by their own manifests."""
    level = "baseline" if own_gateway else "restricted"
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": naming.namespace,
            "labels": {
                **naming.labels(),
                "pod-security.kubernetes.io/enforce": level,
                "pod-security.kubernetes.io/warn": level,
                "pod-security.kubernetes.io/audit": "restricted",
            },
        },
    }


def _network(naming: Naming, gateway_namespace: str) -> Iterator[Manifest]:
    """Nobody reaches a pod but the gateway and, in a load test, its own workers; nobody in a pod
    reaches the machine's credentials."""
    ours = {"matchLabels": dict(naming.selector)}
    gateways: list[Manifest] = [
        {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: gateway_namespace}}},
        {
            "namespaceSelector": {
                "matchExpressions": [
                    {"key": NAMESPACE_NAME, "operator": "In", "values": _PROXY_HOMES}
                ]
            }
        },
        {"namespaceSelector": {"matchLabels": {GATEWAY_NAMESPACE: "true"}}},
    ]
    if gateway_namespace == naming.namespace:
        gateways[0] = {
            "podSelector": {"matchExpressions": [{"key": GATEWAY_POD, "operator": "Exists"}]}
        }
    serving = {"matchLabels": {**naming.selector, COMPONENT_LABEL: "serve"}}
    loading = {"matchLabels": {**naming.selector, COMPONENT_LABEL: "load"}}
    yield _policy(naming, "deny-ingress", ours, ["Ingress"])
    yield _policy(
        naming,
        "from-gateway",
        serving,
        ["Ingress"],
        ingress=[{"from": gateways, "ports": [{"protocol": "TCP", "port": PORT}]}],
    )
    yield _policy(
        naming,
        "load-workers",
        loading,
        ["Ingress"],
        ingress=[
            {"from": [{"podSelector": loading}], "ports": [{"protocol": "TCP", "port": LOAD_PORT}]}
        ],
    )
    yield _policy(
        naming,
        "egress",
        ours,
        ["Egress"],
        egress=[
            {
                "to": [
                    {"ipBlock": {"cidr": "0.0.0.0/0", "except": [_METADATA]}},
                    {"ipBlock": {"cidr": "::/0", "except": ["fd00:ec2::254/128"]}},
                ]
            }
        ],
    )


def _policy(
    naming: Naming, name: str, pods: Manifest, types: Sequence[str], **rules: Any
) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(naming, f"{naming.service}-{name}", "network"),
        "spec": {"podSelector": dict(pods), "policyTypes": list(types), **rules},
    }


def _quota(spec: Spec, environment: Environment, naming: Naming) -> Manifest:
    """Two releases at their full size, jobs, a load test; a mistake beyond that is refused."""
    size = Size.of(spec, environment)
    own = derive.ARMS * derive.replicas(spec, environment) + _JOBS
    cores = own * size.millicores / 1000 + _DRIVERS * _DRIVER_CORES + LOAD_PODS * _LOAD_CORES
    memory = own * size.memory + _DRIVERS * _DRIVER_MEMORY + LOAD_PODS * _LOAD_MEMORY
    # While a release is replaced or moved to other nodes, its pods are there twice.
    pods = 2 * own + _DRIVERS + LOAD_PODS
    if not environment.gateway:
        cores, memory = cores + _PROXY_PODS, memory + _PROXY_PODS * 2**30
        pods += _PROXY_PODS
    cores, memory = cores + own * size.millicores / 1000, memory + own * size.memory
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": _metadata(naming, naming.service, "quota"),
        "spec": {
            "hard": {
                "pods": str(pods),
                "requests.cpu": str(math.ceil(cores)),
                "requests.memory": f"{math.ceil(memory / 2**30)}Gi",
            }
        },
    }


def _defaults(naming: Naming) -> Manifest:
    """For pods of others (a gateway's proxies) that ask for nothing: the quota refuses those."""
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": _metadata(naming, naming.service, "quota"),
        "spec": {
            "limits": [
                {"type": "Container", "defaultRequest": {"cpu": "50m", "memory": "64Mi"}},
            ]
        },
    }


def _gateway(naming: Naming, environment: Environment, gateway_class: str) -> Manifest:
    listener: dict[str, Any] = {
        "name": "http",
        "protocol": "HTTP",
        "port": 80,
        "allowedRoutes": {"namespaces": {"from": "Same"}},
    }
    if environment.host:
        listener["hostname"] = environment.host
    return {
        "apiVersion": f"{GATEWAY_API}/v1",
        "kind": "Gateway",
        "metadata": _metadata(naming, naming.gateway, "gateway"),
        "spec": {"gatewayClassName": gateway_class, "listeners": [listener]},
    }


def _watchdog(naming: Naming, image: str) -> Manifest:
    """Restores stable when a rollout's driver is gone and nobody recovers it."""
    labels = {**naming.labels(WATCHDOG)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            **_metadata(naming, naming.watchdog, WATCHDOG),
            # It starts once the first `up` has written down what it works from.
            "annotations": {"pulumi.com/skipAwait": "true"},
        },
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {**naming.selector, COMPONENT_LABEL: WATCHDOG}},
            "template": {
                "metadata": {"labels": labels},
                "spec": _watching(naming, image),
            },
        },
    }


def _watching(naming: Naming, image: str) -> Manifest:
    return {
        "serviceAccountName": naming.account(access.WATCHDOG),
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "securityContext": restricted.pod(),
        "containers": [
            {
                "name": WATCHDOG,
                "image": image,
                "args": ["backendctl.workflows.cluster_watchdog", f"/etc/backendctl/{KEY}"],
                "env": [{"name": "BACKENDCTL_ENVIRONMENT", "value": naming.environment}],
                "resources": {
                    "requests": {"cpu": "50m", "memory": "128Mi"},
                    "limits": {"memory": "256Mi"},
                },
                "securityContext": restricted.container(),
                "volumeMounts": [
                    {"name": "recorded", "mountPath": "/etc/backendctl", "readOnly": True},
                    {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
                ],
            }
        ],
        "volumes": [
            {"name": "recorded", "configMap": {"name": naming.recorded}},
            {"name": "scratch", "emptyDir": {"sizeLimit": "64Mi"}},
        ],
    }
