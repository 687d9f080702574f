"""Weights, preview and what is connected, as one HTTPRoute, and back. Pure.

The rollout owns the whole HTTPRoute: its rules are one list, so weights cannot be owned in part.

| rule | does |
|---|---|
| revision | the gateway itself answers our question which version of this route it serves |
| users | by weight; a release that is only connected has weight 0 |
| preview | requests with the preview header or cookie go to the release under preview |

The rule with the most specific match is taken, whatever their order; the users' stands at the same
place in every version, because Envoy Gateway counts by place.

What of it is not in the core of the Gateway API, and what an implementation without it does:

- Header matches by regular expression (preview by "any value", the cookie) are left to the
  implementation. Contour, Envoy Gateway, Istio and NGINX Gateway Fabric have them; one that has
  not says so in the route's condition Accepted, and nothing is served wrongly.
- Response headers per backend (`x-backendctl-release`) and per rule are extended features. Nothing
  here depends on them: they tell users and load tests which release answered.
- No implementation has a fallback for a request that its backend did not accept, so
  `Routes.fallback` is recorded and read back, and no more. Kubernetes' own readiness takes a dead
  pod out of a release.
- Session persistence (`rules[].sessionPersistence`) is experimental and keeps a user with a pod,
  not with a release: it is not used.
- Whole requests have no time limit (`timeouts.request: 0s`), as on every platform of ours: streams
  and uploads may take as long as they move. An idle limit cannot be stated in the Gateway API.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backendctl.platforms.base import PREVIEW_COOKIE, PREVIEW_HEADER, Routes
from backendctl.platforms.kubernetes.kinds import GATEWAY_API
from backendctl.platforms.kubernetes.naming import DOMAIN, Naming, Reference

USERS_PORT = 80
"""The port of a release's Service for users."""
PREVIEW_PORT = 81
"""The port of the same Service for testers: a gateway counts requests by Service and port, and
those of testers must not count for the release."""

RELEASE_HEADER = "x-backendctl-release"
REVISION_HEADER = "x-backendctl-revision"
PROBE_PATH = "/.well-known/backendctl/revision"
PROBE_HEADER = "x-backendctl-probe"
"""Only a request with this header is answered by the gateway at PROBE_PATH; without it the path is
the service's own."""
_PROBE_HOST = ".revision.backendctl.invalid"

_UNWEIGHTED = f"{DOMAIN}/unweighted"
"""Backends that stand there only to be connected, with no entry in the weights."""
_FALLBACK = f"{DOMAIN}/fallback"
REVISION = f"{DOMAIN}/revision"

_NO_LIMIT = {"request": "0s"}
_ANY = "RegularExpression"


@dataclass(frozen=True, slots=True)
class Served:
    """All that one HTTPRoute says."""

    routes: Routes
    idle: frozenset[int] = frozenset()
    """Releases that are connected and that `routes` does not name: the gateway watches their
    pods, and sends them nothing."""
    revision: str = ""
    """Tells one version of the route from all others."""

    @property
    def connected(self) -> frozenset[int]:
        """Every release that the gateway knows."""
        others = {n for n in (self.routes.preview, self.routes.fallback) if n is not None}
        return self.idle | set(self.routes.weights) | others


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where the route hangs, and for which host."""

    gateway: Reference
    host: str = ""
    listeners: tuple[str, ...] = field(default=())
    """Names of the listeners it joins; all of the Gateway's when empty."""


def http_route(naming: Naming, at: Attachment, served: Served) -> dict[str, Any]:
    """The manifest. The newest release stands first, so that a candidate that comes and goes does
    not move the one beside it."""
    parent = {
        "group": GATEWAY_API,
        "kind": "Gateway",
        "namespace": at.gateway.namespace,
        "name": at.gateway.name,
    }
    parents = [{**parent, "sectionName": each} for each in at.listeners] or [parent]
    unweighted = served.connected - served.routes.weights.keys()
    rules = [_revision_rule(served.revision), _users_rule(naming, served)]
    if served.routes.preview is not None:
        rules.append(_preview_rule(naming, served.routes.preview, served.revision))
    return {
        "apiVersion": f"{GATEWAY_API}/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": naming.route,
            "namespace": naming.namespace,
            "labels": dict(naming.labels("traffic")),
            "annotations": {
                _UNWEIGHTED: ",".join(map(str, sorted(unweighted))),
                _FALLBACK: str(served.routes.fallback or ""),
                REVISION: served.revision,
            },
        },
        "spec": {
            "parentRefs": parents,
            **({"hostnames": [at.host]} if at.host else {}),
            "rules": rules,
        },
    }


def served_by(naming: Naming, route: Mapping[str, Any]) -> Served:
    """What an HTTPRoute of ours says; weights are read from its rules, nowhere else."""
    annotations = route["metadata"].get("annotations") or {}
    unweighted = set(map(int, filter(None, annotations.get(_UNWEIGHTED, "").split(","))))
    fallback = annotations.get(_FALLBACK) or None
    revision = annotations.get(REVISION, "")
    weights: dict[int, int] = {}
    preview = None
    for rule in route["spec"].get("rules") or ():
        found = _backends(naming, rule)
        if _is_preview(rule):
            preview = next(iter(found), None)
        else:
            weights |= found
    if not any(weights.values()):  # it serves no release
        return Served(Routes({}), frozenset(weights), revision)
    named = {n: weight for n, weight in weights.items() if weight or n not in unweighted}
    routes = Routes(_percent(named), preview, int(fallback) if fallback else None)
    others = weights.keys() - named.keys() - {routes.preview, routes.fallback}
    return Served(routes, frozenset(others), revision)


def order(naming: Naming, route: Mapping[str, Any]) -> list[tuple[int, int, int]]:
    """(index of the rule, index in it, release) of each backend that users are sent to."""
    return [
        (at, index, number)
        for at, rule in enumerate(route["spec"].get("rules") or ())
        if not _is_preview(rule)
        for index, number in enumerate(_numbers(naming, rule))
    ]


def revision_in(location: str) -> str:
    """The revision that an answer to the probe names in its Location; "" for any other."""
    host = location.partition("://")[2].partition("/")[0].partition(":")[0]
    return host.removesuffix(_PROBE_HOST) if host.endswith(_PROBE_HOST) else ""


# --- rules ------------------------------------------------------------------------------------


def _revision_rule(revision: str) -> dict[str, Any]:
    """A redirect is all that a gateway can answer by itself; its host names the revision."""
    match = {
        "path": {"type": "Exact", "value": PROBE_PATH},
        "headers": [{"type": _ANY, "name": PROBE_HEADER, "value": ".+"}],
    }
    redirect = {"hostname": f"{revision}{_PROBE_HOST}", "statusCode": 302}
    return {
        "matches": [match],
        "filters": [{"type": "RequestRedirect", "requestRedirect": redirect}],
    }


def _preview_rule(naming: Naming, number: int, revision: str) -> dict[str, Any]:
    root = {"type": "PathPrefix", "value": "/"}
    cookie = rf"(.*;\s*)?{PREVIEW_COOKIE}=.*"
    return {
        "matches": [
            {"path": root, "headers": [{"type": _ANY, "name": PREVIEW_HEADER, "value": ".*"}]},
            {"path": root, "headers": [{"type": _ANY, "name": "cookie", "value": cookie}]},
        ],
        "filters": [_answering({REVISION_HEADER: revision})],
        "backendRefs": [_backend(naming, number, PREVIEW_PORT, 1)],
        "timeouts": _NO_LIMIT,
    }


def _users_rule(naming: Naming, served: Served) -> dict[str, Any]:
    weights = served.routes.weights
    return {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "filters": [_answering({REVISION_HEADER: served.revision})],
        "backendRefs": [
            _backend(naming, number, USERS_PORT, weights.get(number, 0))
            for number in sorted(served.connected, reverse=True)
        ],
        "timeouts": _NO_LIMIT,
    }


def _backend(naming: Naming, number: int, port: int, weight: int) -> dict[str, Any]:
    return {
        "group": "",
        "kind": "Service",
        "name": naming.release(number),
        "port": port,
        "weight": weight,
        "filters": [_answering({RELEASE_HEADER: str(number)})],
    }


def _answering(headers: Mapping[str, str]) -> dict[str, Any]:
    given = [{"name": name, "value": value} for name, value in headers.items()]
    return {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": given}}


def _is_preview(rule: Mapping[str, Any]) -> bool:
    return any(
        header["name"].lower() == PREVIEW_HEADER
        for match in rule.get("matches") or ()
        for header in match.get("headers") or ()
    )


def _numbers(naming: Naming, rule: Mapping[str, Any]) -> Iterable[int]:
    found = (naming.number(each["name"]) for each in rule.get("backendRefs") or ())
    return [number for number in found if number is not None]


def _backends(naming: Naming, rule: Mapping[str, Any]) -> dict[int, int]:
    found: dict[int, int] = {}
    for each in rule.get("backendRefs") or ():
        number = naming.number(each["name"])
        if number is not None:
            found[number] = found.get(number, 0) + int(each.get("weight", 1))
    return found


def _percent(weights: Mapping[int, int]) -> Mapping[int, int]:
    """As percent of their sum, which somebody with `kubectl edit` may have made another than 100;
    rounding falls on the largest."""
    total = sum(weights.values())
    if total == 100:
        return weights
    found = {number: weight * 100 // total for number, weight in weights.items()}
    largest = max(found, key=lambda number: (found[number], number))
    found[largest] += 100 - sum(found.values())
    return found
