"""A registry in memory that speaks the OCI distribution protocol, as far as we ask."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class FakeRegistry:
    """What it holds, and how it behaves."""

    host: str = ""
    """Where it listens."""
    account: tuple[str, str] | None = None
    """Who may come in; None for everybody."""
    tokens: bool = False
    """Whether it asks for a token of its own instead of the password."""
    keeps_referrers: bool = False
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """`path:tag` and `path@digest` -> media type and content."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def put(self, path: str, tag: str, body: bytes, kind: str) -> str:
        """Keep a manifest; its digest."""
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        self.manifests[f"{path}@{digest}"] = (kind, body)
        if tag != digest:
            self.manifests[f"{path}:{tag}"] = (kind, body)
        return digest


@contextmanager
def fake_registry(**how: Any) -> Iterator[FakeRegistry]:
    """One that answers at `host` until the end."""
    registry = FakeRegistry(**how)
    handler = type("Handler", (_Handler,), {"registry": registry})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    registry.host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    registry: FakeRegistry
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815

    def _serve(self) -> None:
        registry, url = self.registry, urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        registry.asked.append(f"{self.command} {url.path}")
        if url.path == "/token":
            self._token()
        elif not self._known():
            self._challenge()
        elif "/manifests/" in url.path:
            self._manifest(url.path, body)
        elif "/blobs/" in url.path:
            self._blob(url, body)
        else:
            self._answer(200, b"{}")

    def _known(self) -> bool:
        account = self.registry.account
        if account is None:
            return True
        wanted = "Bearer t0ken" if self.registry.tokens else _basic(account)
        return self.headers.get("Authorization") == wanted

    def _challenge(self) -> None:
        if self.registry.tokens:
            how = f'Bearer realm="http://{self.registry.host}/token",service="r"'
        else:
            how = 'Basic realm="r"'
        self._answer(401, b"{}", {"WWW-Authenticate": how})

    def _token(self) -> None:
        account = self.registry.account
        right = account and self.headers.get("Authorization") == _basic(account)
        if right:
            self._answer(200, json.dumps({"token": "t0ken"}).encode())
        else:
            self._answer(401, b"{}")

    def _manifest(self, path: str, body: bytes) -> None:
        repository, _, reference = path.removeprefix("/v2/").partition("/manifests/")
        if self.command == "PUT":
            kind = self.headers["Content-Type"]
            digest = self.registry.put(repository, reference, body, kind)
            more = {"Docker-Content-Digest": digest}
            if self.registry.keeps_referrers and "subject" in json.loads(body):
                more["OCI-Subject"] = json.loads(body)["subject"]["digest"]
            self._answer(201, b"", more)
            return
        mark = "@" if reference.startswith("sha256:") else ":"
        found = self.registry.manifests.get(f"{repository}{mark}{reference}")
        if found is None:
            self._answer(404, b"{}")
            return
        digest = f"sha256:{hashlib.sha256(found[1]).hexdigest()}"
        self._answer(200, found[1], {"Content-Type": found[0], "Docker-Content-Digest": digest})

    def _blob(self, url: Any, body: bytes) -> None:
        if self.command == "POST":
            self._answer(202, b"", {"Location": f"{url.path}upload?state=1"})
        elif self.command == "PUT":
            (digest,) = parse_qs(url.query)["digest"]
            assert digest == f"sha256:{hashlib.sha256(body).hexdigest()}"
            self.registry.blobs[digest] = body
            self._answer(201, b"")
        else:
            digest = url.path.rpartition("/")[2]
            found = self.registry.blobs.get(digest)
            self._answer(404 if found is None else 200, found or b"")

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _basic(account: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(account).encode()).decode()
