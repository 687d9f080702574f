"""Valkey: the cache, with a password, on 127.0.0.1 only."""

import json
import secrets
import socket
from collections.abc import Mapping

from backendctl.errors import BackendctlError
from backendctl.filesystem import atomic_write, make_folder
from backendctl.platforms.local.binaries import valkey_binary
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.ports import HOST
from backendctl.platforms.local.server import OnLine
from backendctl.platforms.local.supervisor import Program
from backendctl.platforms.variables import CACHE_NAMES

MAX_MEMORY = "64mb"
_STOP_GRACE = 10.0
_TIMEOUT = 1.0


class Valkey:
    """The cache server of an environment. What is in it may vanish at any time."""

    name = "valkey"
    variables: tuple[str, ...] = CACHE_NAMES

    def __init__(self, layout: Layout) -> None:
        self._folder = layout.cache
        self._credentials = layout.cache / "credentials.json"
        self._settings = layout.cache / "valkey.conf"

    def prepare(self, port: int, on_line: OnLine) -> Program:  # noqa: ARG002 - nothing takes long
        make_folder(self._folder)
        if not self._credentials.exists():
            body = {"password": secrets.token_urlsafe(24)}
            atomic_write(self._credentials, json.dumps(body).encode())
        settings = _SETTINGS.format(host=HOST, memory=MAX_MEMORY, password=self._password())
        if not self._settings.exists() or self._settings.read_text() != settings:
            atomic_write(self._settings, settings.encode())
        argv = (str(valkey_binary()), self._settings.name, "--port", str(port))
        return Program(self.name, argv, self._folder, stop_grace=_STOP_GRACE)

    def ready(self, port: int) -> bool:
        try:
            with socket.create_connection((HOST, port), _TIMEOUT) as connection:
                connection.sendall(f"AUTH {self._password()}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (part := connection.recv(256)):
                    answer += part
        except (OSError, BackendctlError):
            return False
        return answer == b"+OK\r\n+PONG\r\n"

    def address(self, port: int) -> str:
        return f"{HOST}:{port}"

    def bindings(self, port: int) -> Mapping[str, str]:
        url = f"redis://:{self._password()}@{HOST}:{port}/0"
        return dict.fromkeys(CACHE_NAMES, url)

    def _password(self) -> str:
        try:
            return str(json.loads(self._credentials.read_bytes())["password"])
        except FileNotFoundError:
            raise BackendctlError(
                "missing.environment",
                "the environment has no cache yet",
                next=("backendctl up",),
            ) from None


_SETTINGS = """\
bind {host}
protected-mode yes
requirepass {password}
maxmemory {memory}
maxmemory-policy allkeys-lru
save ""
appendonly no
daemonize no
"""
