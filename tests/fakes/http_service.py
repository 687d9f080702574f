"""A small HTTP service whose faults are chosen on its command line, for load tests.

`python -m tests.fakes.http_service '{"latency": 0.1, "error_every": 0, "stall_after": 0,
"stall": 0.0, "openapi": null}'` prints its port. It answers GET /_seen with what it was asked.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen


class _Service:
    def __init__(self, options: dict[str, Any]) -> None:
        self._latency = options.get("latency", 0.0)
        self._error_every = options.get("error_every", 0)
        self._stall_after = options.get("stall_after", 0)
        self._stall = options.get("stall", 0.0)
        self._openapi = options.get("openapi")
        self._hang_up_every = options.get("hang_up_every", 0)
        self._blocked_until = 0.0
        self._count = 0
        self._items: dict[str, Any] = {}
        self._made = 1000
        self.seen: Counter[str] = Counter()
        self.headers: Counter[str] = Counter()
        self.hosts: Counter[str] = Counter()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                method, target, _ = line.decode().split()
                headers = {}
                while (header := await reader.readline()) not in (b"\r\n", b""):
                    name, _, value = header.decode().partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                # A question about what was seen is no request of the test: it is always answered.
                asked = target != "/_seen"
                if asked and self._hang_up_every and (self._count + 1) % self._hang_up_every == 0:
                    self._count += 1
                    self.seen[f"{method} hung up"] += 1
                    break
                status, answer = await self._answer(method, target, headers, body)
                data = b"" if status == 204 else json.dumps(answer).encode()
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n"
                    f"X-Backendctl-Release: 1\r\n\r\n".encode()
                    + data
                )
                if headers.get("connection", "").lower() == "close":
                    break
        writer.close()

    async def _answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        path = target.partition("?")[0]
        if path == "/_seen":
            return 200, {
                "seen": self.seen,
                "authorization": self.headers,
                "hosts": self.hosts,
                "items": len(self._items),
            }
        if path == "/openapi.json":
            return (200, self._openapi) if self._openapi else (404, {})
        self.seen[f"{method} {path}"] += 1
        self.headers[headers.get("authorization", "")] += 1
        self.hosts[headers.get("host", "")] += 1
        self._count += 1
        fails = self._error_every and self._count % self._error_every == 0
        loop = asyncio.get_running_loop()
        if self._stall and self._count == self._stall_after:
            self._blocked_until = loop.time() + self._stall
        await asyncio.sleep(max(self._latency, self._blocked_until - loop.time()))
        if fails:
            return 500, {}
        return self._store(method, path, body)

    def _store(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """A collection at /items, for those who follow the OpenAPI document."""
        if not path.startswith("/items"):
            return 200, {}
        key = path.removeprefix("/items").strip("/")
        if not key and method == "POST":
            self._made += 1
            made = str(self._made)
            self._items[made] = json.loads(body)
            return 201, {"id": made}
        if not key:
            return 200, {"items": [{"id": k} for k in list(self._items)[-20:]]}
        if key not in self._items:
            return 404, {}
        if method == "DELETE":
            del self._items[key]
            return 204, {}
        return 200, {"id": key}


async def _main() -> None:
    service = _Service(json.loads(sys.argv[1]))
    server = await asyncio.start_server(service.handle, "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


@dataclass(frozen=True)
class RunningService:
    url: str
    process: "subprocess.Popen[str]"

    def seen(self) -> dict[str, Any]:
        """What it was asked: `seen` by request, `authorization` and `hosts` by header,
        `items` left."""
        with urlopen(f"{self.url}/_seen", timeout=10) as answer:  # noqa: S310 - loopback
            found: dict[str, Any] = json.load(answer)
            return found


@contextlib.contextmanager
def http_service(**options: Any) -> Iterator[RunningService]:
    """Run one in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__)), json.dumps(options)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield RunningService(f"http://127.0.0.1:{port}", process)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


if __name__ == "__main__":
    asyncio.run(_main())
