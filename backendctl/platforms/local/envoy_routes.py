"""Envoy's route table: which request goes to which arm, what is repeated, copied, remembered; and
what a table that it serves says of all that. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from backendctl.platforms.base import MIRROR_HEADER, PREVIEW_COOKIE, PREVIEW_HEADER, Routes
from backendctl.platforms.local.envoy_arms import (
    METADATA,
    ORIGINALS,
    REQUEST_IDLE,
    ROUTES_NAME,
    TYPE,
    VIRTUAL_HOST,
    Arm,
    arms_of,
)

_RETRY_ON = "connect-failure,refused-stream,reset-before-request"
_RETRY_ON_SAFE = f"{_RETRY_ON},reset"
"""A request that was cut in the middle is repeated only when repeating is harmless."""
_SAFE_METHODS = "GET|HEAD"
_STICKY_COOKIE = "backendctl-session"
_ROUTES_TYPE = TYPE + "envoy.config.route.v3.RouteConfiguration"

_PREVIOUS_HOSTS = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typed_config": {
        "@type": TYPE + "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    },
}

NO_RELEASE = "No release is up in this environment. `backendctl up` starts one."


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
