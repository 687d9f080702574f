"""The gateway's process: Envoy, whose whole state is in the files of its folder.

bootstrap.json   what it starts with
xds/             watched: clusters.json, routes.json; changed only by rename
new/             where the next version of those is written
requests.log     which requests failed; rotated by the supervisor
client.key       under which clients' addresses are hashed
"""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from backendctl.filesystem import PRIVATE_FILE, atomic_write, make_folder
from backendctl.platforms.local.binaries import envoy_binary
from backendctl.platforms.local.envoy_admin import EnvoyAdmin
from backendctl.platforms.local.envoy_bootstrap import DRAIN_SECONDS, bootstrap
from backendctl.platforms.local.envoy_clusters import clusters
from backendctl.platforms.local.envoy_routes import route_table
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.ports import HOST
from backendctl.platforms.local.request_log import FLUSH_MS, access_log
from backendctl.platforms.local.server import OnLine
from backendctl.platforms.local.supervisor import Program

GATEWAY = "gateway"
_STOP_GRACE = 10.0
_MOST_THREADS = 2
DEFAULT_SLOW_MS = 1000.0


class GatewayFiles:
    """The files that Envoy serves from."""

    def __init__(self, layout: Layout) -> None:
        self._folder = layout.gateway
        self._requests = layout.requests
        self._client_key = layout.client_key

    @property
    def bootstrap(self) -> Path:
        return self._folder / "bootstrap.json"

    @property
    def clusters(self) -> Path:
        return self._folder / "xds" / "clusters.json"

    @property
    def routes(self) -> Path:
        return self._folder / "xds" / "routes.json"

    @property
    def scratch(self) -> Path:
        """Outside the watched folder: only the rename may be seen."""
        return self._folder / "new"

    @property
    def lock(self) -> Path:
        return self._folder / "lock"

    def create(self) -> None:
        """Make the folders and, where there are none yet, files that serve no release."""
        make_folder(self.clusters.parent)
        # Envoy would make it readable for others.
        self._requests.touch(mode=PRIVATE_FILE)
        if not self._client_key.exists():
            atomic_write(self._client_key, secrets.token_bytes(32))
        make_folder(self.scratch)
        if not self.clusters.exists():
            self.write(self.clusters, clusters({}, (), version="0"))
        if not self.routes.exists():
            self.write(self.routes, route_table(None, version="0"))

    def write(self, path: Path, body: object) -> None:
        """Replace a file so that Envoy sees all of it or nothing.

        Raises BackendctlError `platform.disk-full`, `platform.permission`.
        """
        text = json.dumps(body, indent=1).encode()
        atomic_write(path, text, scratch=self.scratch)


class Gateway:
    """The gateway of an environment, as one of its servers."""

    name = GATEWAY
    variables: tuple[str, ...] = ()

    def __init__(self, layout: Layout, slow_ms: float = DEFAULT_SLOW_MS) -> None:
        """`slow_ms`: requests that took so long are told apart, not only counted."""
        self._layout = layout
        self._slow_ms = slow_ms

    def prepare(self, port: int, on_line: OnLine) -> Program:  # noqa: ARG002 - nothing takes long
        files = GatewayFiles(self._layout)
        files.create()
        settings = bootstrap(
            port=port,
            admin_socket=self._layout.admin_socket,
            clusters_file=files.clusters,
            routes_file=files.routes,
            node=self._layout.environment,
            access_log=access_log(self._layout.requests, self._slow_ms),
        )
        body = json.dumps(settings, indent=1).encode()
        if not files.bootstrap.exists() or files.bootstrap.read_bytes() != body:
            atomic_write(files.bootstrap, body)
        argv = (
            *(str(envoy_binary()), "--config-path", str(files.bootstrap), "--disable-hot-restart"),
            *("--concurrency", str(min(_MOST_THREADS, os.cpu_count() or 1))),
            *("--log-level", "warning", "--drain-time-s", str(DRAIN_SECONDS)),
            *("--file-flush-interval-msec", str(FLUSH_MS)),
        )
        return Program(self.name, argv, self._layout.gateway, stop_grace=_STOP_GRACE)

    def ready(self, port: int) -> bool:  # noqa: ARG002 - the admin socket says it
        return EnvoyAdmin(self._layout.admin_socket).ready()

    def address(self, port: int) -> str:
        return f"http://{HOST}:{port}"

    def bindings(self, port: int) -> Mapping[str, str]:  # noqa: ARG002 - the service needs none
        return {}
