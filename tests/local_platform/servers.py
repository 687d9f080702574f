"""Real parts for tests of the local platform: a gateway and tiny releases."""

import http.client
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backendctl.platforms.base import Routes
from backendctl.platforms.local.foundation import LocalFoundation
from backendctl.platforms.local.gateway import Gateway
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.meter import EnvoyMeter
from backendctl.platforms.local.ports import HOST, Ports
from backendctl.platforms.local.router import Endpoints, EnvoyRouter
from backendctl.platforms.local.supervisor import Program, Supervisor
from backendctl.spec.model import Auth, Cache, Data, Environment, Load, Service, Spec
from tests.waiting import eventually

DEADLINE = 15.0
HALF = Routes({1: 50, 2: 50}, fallback=1)

_SERVER = r"""
import base64, hashlib, json, sys, threading, time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit, parse_qsl

counts, lock, name = Counter(), threading.Lock(), sys.argv[2]
said, headers = {}, {}

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        where = urlsplit(self.path)
        if where.path == "/readyz":
            return self.answer(200, b"ready")
        if where.path == "/counts":
            return self.answer(200, json.dumps(counts).encode())
        if where.path == "/headers":
            return self.answer(200, json.dumps(headers).encode())
        if where.path == "/say":
            said.update(parse_qsl(where.query))
            return self.answer(200, b"said")
        query = {**said, **dict(parse_qsl(where.query))}
        status = int(query.get("status", 200))
        with lock:
            counts["requests"] += 1
            counts["errors"] += status >= 500
            headers.clear()
            headers.update((key.lower(), value) for key, value in self.headers.items())
        if self.headers.get("upgrade"):
            return self.echo()
        if "stream" in query:
            return self.stream(int(query["stream"]))
        time.sleep(float(query.get("sleep", 0)))
        self.answer(status, name.encode())

    do_POST = do_DELETE = do_HEAD = do_GET

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-release", name)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def stream(self, parts):
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.send_header("x-release", name)
        self.end_headers()
        for _ in range(parts):
            self.wfile.write(b"4\r\npart\r\n")
            self.wfile.flush()
            time.sleep(0.05)
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def echo(self):
        self.send_response(101)
        self.send_header("connection", "upgrade")
        self.send_header("upgrade", self.headers["upgrade"])
        self.end_headers()
        self.wfile.flush()
        while data := self.connection.recv(4096):
            self.connection.sendall(data)
        self.close_connection = True

    def log_message(self, *_arguments):
        pass

ThreadingHTTPServer.request_queue_size = 128
server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
server.daemon_threads = True
server.serve_forever()
"""


@dataclass
class Stand:
    """A gateway and releases, in an environment of their own."""

    layout: Layout
    supervisor: Supervisor
    ports: Ports
    at: dict[int, Endpoints] = field(default_factory=dict)

    @property
    def router(self) -> EnvoyRouter:
        return EnvoyRouter(self.layout, self.at.__getitem__)

    def meter(self, *edges_ms: float) -> EnvoyMeter:
        return EnvoyMeter(self.layout, edges_ms)

    def start(self, number: int, replicas: int = 1, restart: bool = True) -> None:
        """Start a release; the gateway does not know it yet."""
        script = self.layout.project / "server.py"
        script.write_text(_SERVER)
        ports = tuple(self.ports.assign(f"release-{number}-{i}") for i in range(replicas))
        for index, port in enumerate(ports):
            argv = (sys.executable, "-I", str(script), str(port), f"r{number}")
            name = f"release-{number}-{index}"
            self.supervisor.start(Program(name, argv, self.layout.project, restart=restart))
        self.at[number] = Endpoints(ports, "/readyz")

    def up(self, number: int, replicas: int = 1, restart: bool = True) -> None:
        """Start a release and connect it."""
        self.start(number, replicas, restart)
        self.router.connect(number, DEADLINE)

    def pid(self, program: str) -> int:
        status = self.supervisor.status(program)
        assert status is not None
        assert status.pid is not None
        return status.pid

    def counted(self, number: int) -> Counter[str]:
        """What the release itself counted."""
        return Counter(json.loads(self._ask(number, "/counts")))

    def last_headers(self, number: int) -> dict[str, str]:
        """Those of the last request it was sent, names in lower case."""
        return dict(json.loads(self._ask(number, "/headers")))

    def say(self, number: int, **wishes: float) -> None:
        """How it treats each request from now on: `status=500`, `sleep=60`."""
        words = "&".join(f"{name}={value}" for name, value in wishes.items())
        self._ask(number, f"/say?{words}")

    def _ask(self, number: int, path: str) -> bytes:
        """A question to the release itself, past the gateway."""
        connection = http.client.HTTPConnection(HOST, self.at[number].ports[0], timeout=5)
        connection.request("GET", path)
        return connection.getresponse().read()

    def get(self, path: str = "/", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """What a user gets."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.request("GET", path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    @property
    def url(self) -> str:
        return self.router.url

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def clear(self) -> None:
        """Back to a gateway without releases."""
        self.router.apply(Routes({}))
        for number, at in self.at.items():
            for index in range(len(at.ports)):
                self.supervisor.stop(f"release-{number}-{index}")
            self.router.disconnect(number)
        self.at.clear()


@contextmanager
def stand(project: Path) -> Iterator[Stand]:
    """A gateway that serves no release yet; nothing is left of it afterwards."""
    layout = Layout(project, "local").create()
    supervisor = Supervisor(layout.home)
    ports = Ports(layout)
    gateway = Gateway(layout)
    try:
        port = ports.assign(gateway.name)
        supervisor.start(gateway.prepare(port, print))
        assert eventually(lambda: gateway.ready(port))
        yield Stand(layout, supervisor, ports)
    finally:
        supervisor.shutdown()


def foundation_of(
    layout: Layout, everything: bool = True, port: int | None = None
) -> LocalFoundation:
    """The foundation of a service that needs every server, or only a gateway."""
    environment = Environment(name=layout.environment, port=port)
    spec = Spec(
        service=Service(name="shop", start=("true",)),
        load=Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1),
        data=Data(engine="postgresql" if everything else "none"),
        cache=Cache(engine="valkey" if everything else "none"),
        auth=Auth(issuer="https://login.example" if everything else "", audience="shop"),
        environments={layout.environment: environment},
    )
    return LocalFoundation(layout, spec, environment)
