"""Who may do what in an environment: one account for each role, each with what it needs. Pure.

- `backendctl-ci`: deploys, and all else a person or pipeline does with an environment: it moves
  traffic, runs releases and jobs, writes secrets;
- `backendctl-driver`: a rollout that runs in the cluster: the same, but it only reads secrets;
- `backendctl-watchdog`: undoing a rollout that nobody drives: as the driver;
- `backendctl-viewer`: whoever only looks; secrets it cannot read;
- `<service>-service`: the service's own pods, which may do nothing at all in the cluster.

None can change accounts, roles, quotas or network policies: those are the stacks'.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backendctl.platforms.kubernetes.kinds import GATEWAY_API
from backendctl.platforms.kubernetes.naming import Naming, Reference

Manifest = Mapping[str, Any]
Rule = Mapping[str, Sequence[str]]

CI, DRIVER, WATCHDOG, VIEWER, SERVICE = "ci", "driver", "watchdog", "viewer", "service"
ROLES = (CI, DRIVER, WATCHDOG, VIEWER)

_RBAC = "rbac.authorization.k8s.io"
_LOOK = ("get", "list", "watch")
_CHANGE = (*_LOOK, "create", "update", "patch", "delete")


def _rule(group: str, resources: str, verbs: Sequence[str], names: Sequence[str] = ()) -> Rule:
    found: dict[str, Sequence[str]] = {
        "apiGroups": [group],
        "resources": resources.split(),
        "verbs": list(verbs),
    }
    return {**found, "resourceNames": list(names)} if names else found


_LOOKING = (
    _rule("", "configmaps services pods events", _LOOK),
    _rule("", "pods/log serviceaccounts", ("get",)),
    _rule("apps", "deployments", _LOOK),
    _rule("batch", "jobs", _LOOK),
    _rule("policy", "poddisruptionbudgets", _LOOK),
    _rule("autoscaling", "horizontalpodautoscalers", _LOOK),
    _rule("coordination.k8s.io", "leases", _LOOK),
    _rule("discovery.k8s.io", "endpointslices", _LOOK),
    _rule(GATEWAY_API, "httproutes gateways", _LOOK),
)
_DRIVING = (
    _rule("", "configmaps services", _CHANGE),
    # Pods are deleted only where their node is dead, and entered to read a service's own metrics.
    _rule("", "pods", (*_LOOK, "delete")),
    _rule("", "pods/exec", ("get", "create")),
    _rule("", "pods/log serviceaccounts", ("get",)),
    _rule("", "events", ("get", "list")),
    # To be told to whom news of a rollout goes, and to keep values out of what is recorded.
    _rule("", "secrets", ("get",)),
    _rule("apps", "deployments", _CHANGE),
    _rule("batch", "jobs", _CHANGE),
    _rule("policy", "poddisruptionbudgets", _CHANGE),
    _rule("autoscaling", "horizontalpodautoscalers", _CHANGE),
    _rule("coordination.k8s.io", "leases", ("get", "create", "update")),
    _rule("discovery.k8s.io", "endpointslices", _LOOK),
    _rule(GATEWAY_API, "httproutes", _CHANGE),
    _rule(GATEWAY_API, "gateways", ("get",)),
)
_DEPLOYING = (
    *_DRIVING,
    _rule("", "secrets", ("list", "watch", "create", "delete")),
    # `down --purge` forgets even who held the environment.
    _rule("coordination.k8s.io", "leases", ("delete",)),
    # Load workers read the service's answers; `doctor` and `status` look at the rest.
    _rule("", "resourcequotas limitranges", ("get", "list")),
)
_PROXIES = (
    # The gateway's own numbers, and that each of its replicas serves a new weight.
    _rule(GATEWAY_API, "gateways", ("get",)),
    _rule("", "services pods", ("get", "list")),
    _rule("", "pods/proxy", ("get",)),
    _rule("discovery.k8s.io", "endpointslices", ("get", "list")),
)
_RULES: Mapping[str, Sequence[Rule]] = {
    CI: _DEPLOYING,
    DRIVER: _DRIVING,
    WATCHDOG: _DRIVING,
    VIEWER: _LOOKING,
}


@dataclass(frozen=True, slots=True)
class Permission:
    """One thing that an account may do."""

    verb: str
    group: str
    resource: str
    """With its subresource: `pods/log`."""
    namespace: str
    """"" for what is in none."""
    name: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f" in {self.namespace}" if self.namespace else "")


def traffic_role(naming: Naming) -> str:
    """The Role beside the Gateway that lets its numbers be read."""
    return f"{naming.namespace}-traffic"


def class_role(naming: Naming) -> str:
    """The ClusterRole that lets the GatewayClass be read."""
    return f"{naming.namespace}-gateway-class"


def needed(
    role: str, naming: Naming, gateway: Reference, gateway_class: str
) -> Sequence[Permission]:
    """All that a role is given."""
    here, there = naming.namespace, gateway.namespace
    granted = [(here, rule) for rule in _within(role, here)]
    granted += [(there, rule) for rule in _PROXIES]
    classes = [gateway_class] if gateway_class else ()
    granted.append(("", _rule(GATEWAY_API, "gatewayclasses", ("get",), classes)))
    found = [
        Permission(verb, group, resource, namespace, next(iter(rule.get("resourceNames", ())), ""))
        for namespace, rule in granted
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]
    return list(dict.fromkeys(found))


def manifests(
    naming: Naming, gateway: Reference, gateway_class: str, proxies: str = ""
) -> Iterator[Manifest]:
    """Accounts, roles and bindings of an environment behind that Gateway.

    `gateway_class`: "" for a Gateway of somebody else's, whose class is not known here. `proxies`:
    the namespace of its proxies, where the stacks run them.
    """
    yield _account(naming, SERVICE)
    for role in ROLES:
        yield _account(naming, role)
        name = naming.account(role)
        yield _role(naming, name, naming.namespace, _within(role, naming.namespace))
        yield _binding(naming, name, naming.namespace, name, [role])
    # In its own namespace, where that is another: whoever runs the gateway grants this with it.
    name = traffic_role(naming)
    for namespace in filter(None, (gateway.namespace, proxies)):
        yield _role(naming, name, namespace, _PROXIES)
        yield _binding(naming, name, namespace, name, ROLES)
    classes = class_role(naming)
    names = [gateway_class] if gateway_class else ()
    rules = [_rule(GATEWAY_API, "gatewayclasses", ("get",), names)]
    yield {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": classes, "labels": dict(naming.labels("access"))},
        "rules": rules,
    }
    yield {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": classes, "labels": dict(naming.labels("access"))},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": classes},
        "subjects": _subjects(naming, ROLES),
    }


def _within(role: str, namespace: str) -> Sequence[Rule]:
    """What a role may do in its namespace. To the server a namespace is in itself."""
    return (*_RULES[role], _rule("", "namespaces", ("get",), [namespace]))


def _account(naming: Naming, role: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": naming.account(role),
            "namespace": naming.namespace,
            "labels": dict(naming.labels("access")),
        },
        # Where a pod does need the cluster, its own specification says so.
        "automountServiceAccountToken": False,
    }


def _role(naming: Naming, name: str, namespace: str, rules: Sequence[Rule]) -> Manifest:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "Role",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": dict(naming.labels("access")),
        },
        "rules": [dict(rule) for rule in rules],
    }


def _binding(
    naming: Naming, name: str, namespace: str, role: str, accounts: Sequence[str]
) -> Manifest:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": dict(naming.labels("access")),
        },
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": role},
        "subjects": _subjects(naming, accounts),
    }


def _subjects(naming: Naming, roles: Sequence[str]) -> list[Manifest]:
    return [
        {"kind": "ServiceAccount", "name": naming.account(role), "namespace": naming.namespace}
        for role in roles
    ]
