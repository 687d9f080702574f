"""What Envoy is told: pure functions from a few facts to its configuration.

The settings are those with which 24 rollouts under load had no failed request; each one that
matters says what it prevents.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendctl.platforms.base import (
    MIRROR_HEADER,
    MIRROR_PATIENCE,
    PREVIEW_COOKIE,
    PREVIEW_HEADER,
    Routes,
)

ROUTES_NAME = "release"
STAT_PREFIX = "gateway"
HOST = "127.0.0.1"

UPSTREAM_IDLE = "0.5s"
"""Idle connections to a release end here, before any common server ends them by itself (gunicorn
after 2 s, Node and uvicorn after 5 s): a request sent as the server hangs up would be lost."""
REQUEST_IDLE = "60s"
"""A request on which nothing moved for so long is answered 504. There is no limit on its whole
length: streams and uploads may take as long as they move."""
HEALTH_INTERVAL = "0.25s"
HEALTH_TIMEOUT = "5s"
"""A dead process refuses at once; this only decides about one that is slow because the machine is
busy, and taking the last healthy release away for that would turn slow into down."""
CONNECT_TIMEOUT = "1s"
DRAIN_SECONDS = 5
_PLENTY = 16384
"""In place of Envoy's default limits of 1024 requests and 3 retries at a time: with those, a dead
candidate at 400 rps fails users although stable could have answered."""

_RETRY_ON = "connect-failure,refused-stream,reset-before-request"
_RETRY_ON_SAFE = f"{_RETRY_ON},reset"
"""A request that was cut in the middle is repeated only when repeating is harmless."""
_SAFE_METHODS = "GET|HEAD"
ATTEMPTS_HEADER = "x-envoy-attempt-count"
"""What Envoy itself sets on a request to the service, whatever the client sent."""
METADATA = "backendctl"
RELEASE = "release"
"""Our name space in Envoy's metadata, and its key on each process: the release that it is of."""
_STICKY_COOKIE = "backendctl-session"
VIRTUAL_HOST = "all"
ORIGINALS = "originals"
"""Prefix of the route whose requests are copied, in Envoy's statistics; the release follows."""
_COPIES_AT_ONCE = 256
"""Copies under way at a time; more are left out. A candidate that hangs keeps each of them for
`MIRROR_PATIENCE`, and with it memory and a connection of the gateway's."""

TYPE = "type.googleapis.com/"
_CLUSTER_TYPE = TYPE + "envoy.config.cluster.v3.Cluster"
_ROUTES_TYPE = TYPE + "envoy.config.route.v3.RouteConfiguration"

_PREVIOUS_HOSTS = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typed_config": {
        "@type": TYPE + "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    },
}

NO_RELEASE = "No release is up in this environment. `backendctl up` starts one."


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a release's processes listen on 127.0.0.1, and the path that says they are ready."""

    ports: tuple[int, ...]
    ready_path: str


@dataclass(frozen=True, slots=True)
class Arm:
    """A cluster's name, taken apart: the release, its fallback if it has one, its purpose."""

    number: int
    fallback: int | None = None
    preview: bool = False
    mirror: bool = False

    @property
    def cluster(self) -> str:
        """`rel-7`; `rel-7-fb-6` when 6 takes over what 7 cannot accept; `rel-7-preview`;
        `rel-7-mirror` for copies of requests."""
        name = f"rel-{self.number}"
        if self.fallback is not None:
            return f"{name}-fb-{self.fallback}"
        if self.mirror:
            return f"{name}-mirror"
        return f"{name}-preview" if self.preview else name

    @property
    def serves_users(self) -> bool:
        """Whether what it answers is for users, by their weights."""
        return not self.preview and not self.mirror

    @classmethod
    def parse(cls, cluster: str) -> "Arm | None":
        """The arm a cluster name stands for; None for other clusters."""
        found = re.fullmatch(r"rel-(\d+)(?:-fb-(\d+)|-(preview|mirror))?", cluster)
        if found is None:
            return None
        number, fallback, purpose = found.groups()
        return cls(
            int(number),
            int(fallback) if fallback else None,
            preview=purpose == "preview",
            mirror=purpose == "mirror",
        )


def arms_of(routes: Routes) -> tuple[Arm, ...]:
    """The arms that serve these routes, each behind its fallback if it has one."""
    weighted = tuple(
        Arm(number, routes.fallback if routes.fallback != number and weight else None)
        for number, weight in sorted(routes.weights.items())
    )
    if routes.preview is None:
        return weighted
    preview = Arm(routes.preview, preview=True)
    if routes.mirror is None:
        return (*weighted, preview)
    return (*weighted, preview, Arm(routes.preview, mirror=True))


# --- start-up ---------------------------------------------------------------------------------


def bootstrap(
    *,
    port: int,
    admin_socket: Path,
    clusters_file: Path,
    routes_file: Path,
    node: str,
    access_log: Mapping[str, Any],
) -> dict[str, Any]:
    """What Envoy starts with: one listener, and two files that it watches."""
    return {
        "node": {"id": node, "cluster": node},
        "admin": {"address": {"pipe": {"path": str(admin_socket), "mode": 0o600}}},
        # Histograms can be read only after a flush; reading flushes, so none waits for a timer.
        "stats_flush_on_admin": True,
        "dynamic_resources": {
            "cds_config": {
                "path_config_source": {"path": str(clusters_file)},
                "resource_api_version": "V3",
            }
        },
        "static_resources": {"listeners": [_listener(port, routes_file, access_log)]},
    }


def _listener(port: int, routes_file: Path, access_log: Mapping[str, Any]) -> dict[str, Any]:
    manager = {
        "@type": TYPE
        + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": STAT_PREFIX,
        "access_log": [access_log],
        "rds": {
            "route_config_name": ROUTES_NAME,
            "config_source": {
                "path_config_source": {"path": str(routes_file)},
                "resource_api_version": "V3",
            },
        },
        "use_remote_address": True,
        "preserve_external_request_id": True,
        "server_header_transformation": "PASS_THROUGH",
        "http_protocol_options": {"accept_http_10": True},
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "stream_idle_timeout": REQUEST_IDLE,
        "local_reply_config": {"body_format": _problem()},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": TYPE + "envoy.extensions.filters.http.router.v3.Router",
                    # The service's own headers, and no others, are what a client should see.
                    "suppress_envoy_headers": True,
                },
            }
        ],
    }
    return {
        "name": "gateway",
        "address": {"socket_address": {"address": HOST, "port_value": port}},
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ]
            }
        ],
    }


def _problem() -> dict[str, Any]:
    """The gateway's own errors, as RFC 9457 problem details."""
    return {
        "json_format": {
            "type": "about:blank",
            "title": "%RESPONSE_CODE_DETAILS%",
            "status": "%RESPONSE_CODE%",
            "detail": "%LOCAL_REPLY_BODY%",
        },
        "content_type": "application/problem+json",
    }


# --- clusters ---------------------------------------------------------------------------------


def clusters(
    releases: Mapping[int, Endpoints], behind: Sequence[Arm], version: str
) -> dict[str, Any]:
    """The CDS file: a cluster per release, and one per arm that stands before others."""
    resources = [_release_cluster(number, at) for number, at in sorted(releases.items())]
    resources += [
        _mirror_cluster(arm, releases[arm.number]) if arm.mirror else _aggregate(arm)
        for arm in behind
    ]
    return {"version_info": version, "resources": resources}


def _release_cluster(number: int, at: Endpoints) -> dict[str, Any]:
    return {
        **_static(Arm(number), at),
        "circuit_breakers": _limits(),
        "common_lb_config": {
            # Never send to a process known to be down: with Envoy's default a release of which
            # half the processes are dead gets requests for all of them.
            "healthy_panic_threshold": {"value": 0},
            # Act on what health checks find at once, not up to a second later.
            "update_merge_window": "0s",
        },
        "ignore_health_on_host_removal": True,
        "health_checks": [
            {
                "timeout": HEALTH_TIMEOUT,
                "interval": HEALTH_INTERVAL,
                # Envoy's default is 60 s: a release that is late once would be down for a minute.
                "no_traffic_interval": HEALTH_INTERVAL,
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "http_health_check": {
                    "path": at.ready_path,
                    "host": HOST,
                    "expected_statuses": [{"start": 200, "end": 300}],
                },
            }
        ],
    }


def _mirror_cluster(arm: Arm, at: Endpoints) -> dict[str, Any]:
    """A cluster of its own on the same processes: what copies do is counted apart, waits in a
    connection pool of its own, and ends in time whatever the release does. Without health checks:
    the release has them already, and a copy that does not arrive does no harm."""
    few = dict.fromkeys(
        ("max_connections", "max_pending_requests", "max_requests"), _COPIES_AT_ONCE
    )
    return {
        **_static(arm, at, {"max_stream_duration": f"{MIRROR_PATIENCE:g}s"}),
        "circuit_breakers": {"thresholds": [{"priority": "DEFAULT", **few}]},
    }


def _static(arm: Arm, at: Endpoints, protocol: Mapping[str, Any] | None = None) -> dict[str, Any]:
    endpoints = [
        {
            "endpoint": {"address": {"socket_address": {"address": HOST, "port_value": port}}},
            "metadata": {"filter_metadata": {METADATA: {RELEASE: arm.number}}},
        }
        for port in at.ports
    ]
    return {
        "@type": _CLUSTER_TYPE,
        "name": arm.cluster,
        "type": "STATIC",
        "connect_timeout": CONNECT_TIMEOUT,
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {
            "cluster_name": arm.cluster,
            "endpoints": [{"lb_endpoints": endpoints}],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"idle_timeout": UPSTREAM_IDLE, **(protocol or {})},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _aggregate(arm: Arm) -> dict[str, Any]:
    members = [Arm(arm.number).cluster]
    if arm.fallback is not None:
        members.append(Arm(arm.fallback).cluster)
    return {
        "@type": _CLUSTER_TYPE,
        "name": arm.cluster,
        "connect_timeout": CONNECT_TIMEOUT,
        "lb_policy": "CLUSTER_PROVIDED",
        "circuit_breakers": _limits(),
        "cluster_type": {
            "name": "envoy.clusters.aggregate",
            "typed_config": {
                "@type": TYPE + "envoy.extensions.clusters.aggregate.v3.ClusterConfig",
                "clusters": members,
            },
        },
    }


def _limits() -> dict[str, Any]:
    plenty = dict.fromkeys(
        ("max_connections", "max_pending_requests", "max_requests", "max_retries"), _PLENTY
    )
    # Retries first: Envoy's default is three at a time.
    return {"thresholds": [{"priority": "DEFAULT", **plenty}]}


# --- routes -----------------------------------------------------------------------------------


def route_table(routes: Routes | None, version: str, *, sticky: bool = False) -> dict[str, Any]:
    """The RDS file; with no routes the gateway itself says that no release is up.

    `sticky`: a session stays with the release that answered it first, and moves to the candidate
    at most once while its weight rises: a cookie that the gateway sets picks the arm. The arms
    stand in order of their numbers, so that a larger share of the later one contains the smaller.
    """
    entries = [_no_release()] if routes is None else _entries(routes, sticky)
    return {
        "version_info": version,
        "resources": [
            {
                "@type": _ROUTES_TYPE,
                "name": ROUTES_NAME,
                "validate_clusters": True,
                "virtual_hosts": [
                    {
                        "name": VIRTUAL_HOST,
                        "domains": ["*"],
                        "include_request_attempt_count": True,
                        "routes": entries,
                    }
                ],
            }
        ],
    }


def _no_release() -> dict[str, Any]:
    return {
        "match": {"prefix": "/"},
        "direct_response": {"status": 503, "body": {"inline_string": NO_RELEASE}},
    }


def _entries(routes: Routes, sticky: bool) -> list[dict[str, Any]]:
    weighted = [
        {"name": arm.cluster, "weight": routes.weights[arm.number]}
        for arm in arms_of(routes)
        if arm.serves_users
    ]
    split = {"weighted_clusters": {"clusters": weighted}}
    entries = []
    if routes.preview is not None:
        target = {"cluster": Arm(routes.preview, preview=True).cluster}
        for wish in _PREVIEW_WISHES:
            entries += _by_method(target, [wish], Routes({}))
    if not routes.weights:  # a first release, before any user's request may reach it
        return [*entries, _no_release()]
    if sticky:
        entries += _by_session(weighted, routes)
    return entries + _by_method(split, [], routes)


_PREVIEW_WISHES = (
    {"name": PREVIEW_HEADER, "present_match": True},
    {
        "name": "cookie",
        "string_match": {"safe_regex": {"regex": rf"(?:.*;)?\s*{PREVIEW_COOKIE}=.*"}},
    },
)


def _by_session(weighted: Sequence[Any], routes: Routes) -> list[dict[str, Any]]:
    """Routes that pick the arm by a session's name.

    Envoy makes hash cookies only where it also balances by hash, so the name is the identifier of
    the session's first request, which Envoy sets before it routes: that request is routed by the
    header, and the answer sets a cookie of the same value, which hashes the same.
    """

    def split(by: dict[str, Any]) -> dict[str, Any]:
        weights = {"clusters": list(weighted), "use_hash_policy": True}
        return {"weighted_clusters": weights, "hash_policy": [by]}

    known = _by_method(split({"cookie": {"name": _STICKY_COOKIE}}), [_IN_SESSION], routes)
    fresh = _by_method(split({"header": {"header_name": _REQUEST_ID}}), [_IDENTIFIED], routes)
    return known + [{**route, "response_headers_to_add": [_BEGIN_SESSION]} for route in fresh]


_REQUEST_ID = "x-request-id"
_NAME = "[A-Za-z0-9-]+"
"""A request's identifier may be the client's own; what could end a cookie's value is no name."""
_IN_SESSION = {
    "name": "cookie",
    "string_match": {"safe_regex": {"regex": rf"(?:.*;)?\s*{_STICKY_COOKIE}={_NAME}(?:;.*)?"}},
}
_IDENTIFIED = {"name": _REQUEST_ID, "string_match": {"safe_regex": {"regex": _NAME}}}
_BEGIN_SESSION = {
    "header": {
        "key": "set-cookie",
        "value": f"{_STICKY_COOKIE}=%REQ({_REQUEST_ID})%; Path=/; HttpOnly; SameSite=Lax",
    },
    "append_action": "APPEND_IF_EXISTS_OR_ADD",
}


def _by_method(
    target: dict[str, Any], headers: list[dict[str, Any]], routes: Routes
) -> list[dict[str, Any]]:
    safe = {"name": ":method", "string_match": {"safe_regex": {"regex": _SAFE_METHODS}}}
    fallback = routes.fallback
    copied = []
    if routes.preview is not None and routes.mirror is not None:
        plain = {"name": "upgrade", "present_match": True, "invert_match": True}
        route = _route(target, [*headers, safe, plain], _RETRY_ON_SAFE, fallback)
        route["stat_prefix"] = f"{ORIGINALS}-{routes.preview}"
        route["route"]["request_mirror_policies"] = [_copying(routes.preview, routes.mirror)]
        copied = [route]
    return [
        *copied,
        _route(target, [*headers, safe], _RETRY_ON_SAFE, fallback),
        _route(target, headers, _RETRY_ON, fallback),
    ]


def _copying(number: int, percent: int) -> dict[str, Any]:
    return {
        "cluster": Arm(number, mirror=True).cluster,
        "runtime_fraction": {
            "default_value": {"numerator": percent, "denominator": "HUNDRED"},
            "runtime_key": "backendctl.mirror",
        },
        # Envoy would append "-shadow" to the host, which a service that checks it refuses.
        "disable_shadow_host_suffix_append": True,
        "request_headers_mutations": [
            {
                "append": {
                    "header": {"key": MIRROR_HEADER, "value": "1"},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            }
        ],
    }


def _route(
    target: dict[str, Any], headers: list[dict[str, Any]], retry_on: str, fallback: int | None
) -> dict[str, Any]:
    return {
        "match": {"prefix": "/", "headers": headers},
        "metadata": {"filter_metadata": {METADATA: {"fallback": fallback}}} if fallback else {},
        "route": {
            **target,
            "timeout": "0s",
            "idle_timeout": REQUEST_IDLE,
            "retry_policy": {
                "retry_on": retry_on,
                "num_retries": 2,
                "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.020s"},
                # And to another process of the same release, where it has several.
                "retry_host_predicate": [_PREVIOUS_HOSTS],
                # Many draws: a dead process has no requests, and so wins most of them.
                "host_selection_retry_max_attempts": 32,
                # To the fallback of the aggregate, not to the same dead process again.
                "retry_priority": {
                    "name": "envoy.retry_priorities.previous_priorities",
                    "typed_config": {
                        "@type": TYPE + "envoy.extensions.retry.priority.previous_priorities.v3"
                        ".PreviousPrioritiesConfig",
                        "update_frequency": 1,
                    },
                },
            },
        },
    }


def routes_served(table: Mapping[str, Any]) -> Routes | None:
    """The Routes that a route table, as Envoy shows it, stands for; None when it serves none."""
    weights: dict[int, int] = {}
    preview: int | None = None
    fallback: int | None = None
    mirror: int | None = None
    for entry in table["virtual_hosts"][0]["routes"]:
        route = entry.get("route", {})
        if (arm := Arm.parse(route.get("cluster", ""))) is not None:
            preview = arm.number
        noted = entry.get("metadata", {}).get("filter_metadata", {}).get(METADATA, {})
        fallback = int(noted["fallback"]) if "fallback" in noted else fallback
        for policy in route.get("request_mirror_policies", ()):
            mirror = int(policy["runtime_fraction"]["default_value"]["numerator"])
        for cluster in route.get("weighted_clusters", {}).get("clusters", ()):
            if (arm := Arm.parse(cluster["name"])) is not None:
                weights[arm.number] = int(cluster.get("weight", 0))
    if not weights and preview is None:
        return None
    return Routes(weights, preview, fallback, mirror)
