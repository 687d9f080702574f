"""What Envoy starts with: one listener, its own answers, and the files that it watches. Pure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backendctl.platforms.local.envoy_arms import REQUEST_IDLE, ROUTES_NAME, STAT_PREFIX, TYPE
from backendctl.platforms.local.ports import HOST

DRAIN_SECONDS = 5


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
