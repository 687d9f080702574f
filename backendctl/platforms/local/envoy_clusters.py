"""Envoy's clusters: how each release's processes are reached, found healthy and stood in for. Pure.

The settings are those with which 24 rollouts under load had no failed request; each one that
matters says what it prevents.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from backendctl.platforms.base import MIRROR_PATIENCE
from backendctl.platforms.local.envoy_arms import METADATA, RELEASE, TYPE, Arm, Endpoints
from backendctl.platforms.local.ports import HOST

UPSTREAM_IDLE = "0.5s"
"""Idle connections to a release end here, before any common server ends them by itself (gunicorn
after 2 s, Node and uvicorn after 5 s): a request sent as the server hangs up would be lost."""
HEALTH_INTERVAL = "0.25s"
HEALTH_TIMEOUT = "5s"
"""A dead process refuses at once; this only decides about one that is slow because the machine is
busy, and taking the last healthy release away for that would turn slow into down."""
CONNECT_TIMEOUT = "1s"
_PLENTY = 16384
"""In place of Envoy's default limits of 1024 requests and 3 retries at a time: with those, a dead
candidate at 400 rps fails users although stable could have answered."""
_COPIES_AT_ONCE = 256
"""Copies under way at a time; more are left out. A candidate that hangs keeps each of them for
`MIRROR_PATIENCE`, and with it memory and a connection of the gateway's."""
_CLUSTER_TYPE = TYPE + "envoy.config.cluster.v3.Cluster"


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
