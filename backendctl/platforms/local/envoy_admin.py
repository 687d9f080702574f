"""Asking Envoy what it really does, through its admin interface on a private Unix socket."""

import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from backendctl.platforms.local.envoy_arms import ROUTES_NAME, STAT_PREFIX
from backendctl.platforms.local.unix_http import UnixConnection

_TIMEOUT = 5.0
_CDS = "cluster_manager.cds"
_RDS = f"http.{STAT_PREFIX}.rds.{ROUTES_NAME}"


class GatewayGoneError(Exception):
    """Nobody answers on the admin socket, or not with what was asked for."""


class EnvoyAdmin:
    """One Envoy, by its admin socket. Every method raises GatewayGoneError."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def ready(self) -> bool:
        """Whether Envoy runs and has its whole configuration; False also when it is gone."""
        try:
            return self._get("/ready").startswith(b"LIVE")
        except GatewayGoneError:
            return False

    def clusters_version(self) -> str:
        """Version of the clusters that are served."""
        return self._texts(_CDS)

    def routes_version(self) -> str:
        """Version of the routes that are served."""
        return self._texts(_RDS)

    def refusals(self) -> int:
        """How many configurations Envoy has refused or could not read since it started."""
        pattern = rf"^({_CDS}|{_RDS})\.update_(rejected|failure)$"
        return sum(int(s["value"]) for s in self.stats(pattern)["stats"] if "value" in s)

    def stats(self, pattern: str, **options: str) -> Mapping[str, Any]:
        """Statistics whose names match, as Envoy's JSON."""
        query = urlencode({"format": "json", "filter": pattern, **options})
        return self._json(f"/stats?{query}")

    def routes(self) -> Mapping[str, Any] | None:
        """The route table that is served; None before there is one."""
        dump = self._json("/config_dump?resource=dynamic_route_configs")
        for entry in dump.get("configs", ()):
            if entry["route_config"]["name"] == ROUTES_NAME:
                return dict(entry["route_config"])
        return None

    def hosts(self) -> Mapping[str, tuple[bool, ...]]:
        """Cluster -> for each of its endpoints, whether Envoy holds it to be healthy."""
        found = {}
        # Without any cluster, Envoy leaves the key out.
        for cluster in self._json("/clusters?format=json").get("cluster_statuses", ()):
            hosts = cluster.get("host_statuses", ())
            found[cluster["name"]] = tuple(_healthy(host["health_status"]) for host in hosts)
        return found

    def close_connections(self) -> None:
        """From now on each answer to a user says `connection: close`; until Envoy ends."""
        self._ask("POST", "/healthcheck/fail")

    def _texts(self, prefix: str) -> str:
        answer = self.stats(rf"^{prefix}\.version_text$", type="TextReadouts")
        for stat in answer["stats"]:
            if stat.get("name") == f"{prefix}.version_text":
                return str(stat["value"])
        return ""

    def _json(self, path: str) -> Mapping[str, Any]:
        body = self._get(path)
        try:
            return dict(json.loads(body))
        except ValueError as error:
            raise GatewayGoneError(f"{path}: {body[:200]!r}") from error

    def _get(self, path: str) -> bytes:
        return self._ask("GET", path)

    def _ask(self, method: str, path: str) -> bytes:
        connection = UnixConnection(self._socket, _TIMEOUT)
        try:
            connection.request(method, path)
            return connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            raise GatewayGoneError(str(error)) from error
        finally:
            connection.close()


def _healthy(status: Mapping[str, Any]) -> bool:
    failed = any(value is True for name, value in status.items() if name.startswith("failed_"))
    return not failed and status.get("eds_health_status", "HEALTHY") in ("HEALTHY", "UNKNOWN")
