"""Users of a service: requests at a constant rate, and what became of each."""

import http.client
import itertools
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Outcome:
    at: float
    path: str
    status: int | None
    """None: no answer, or not all of it."""
    release: str

    @property
    def failed(self) -> bool:
        return self.status is None or self.status >= 500


_MIX = (
    *(("GET", "/keep"),) * 6,
    *(("GET", "/new"),) * 4,
    *(("POST", "/keep"),) * 4,
    ("POST", "/upload"),
    ("GET", "/keep?stream=4"),
    ("GET", "/new?sleep=0.3"),
)


class OpenLoop:
    """Requests at a constant rate, however fast they are answered: keep-alive and new
    connections, uploads of 1 MB, slow answers, streams."""

    def __init__(
        self,
        url: str,
        rps: float,
        mix: tuple[tuple[str, str], ...] = _MIX,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        where = urlsplit(url)
        self._address = (where.hostname or "", where.port or 80)
        self._headers = dict(headers or {})
        self._gap = 1 / rps
        self._mix = itertools.cycle(mix)
        self._stop = threading.Event()
        self._local = threading.local()
        self.outcomes: list[Outcome] = []

    def __enter__(self) -> "OpenLoop":
        self._pool = ThreadPoolExecutor(48)
        self._thread = threading.Thread(target=self._schedule)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._pool.shutdown(wait=True)

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.failed]

    def after(self, moment: float) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.at >= moment]

    def run(self, seconds: float) -> None:
        """Let it run that long."""
        self._stop.wait(seconds)

    def _schedule(self) -> None:
        began = time.monotonic()
        for index in itertools.count():
            due = began + index * self._gap
            if self._stop.wait(max(0.0, due - time.monotonic())):
                return
            self._pool.submit(self._send, *next(self._mix))

    def _send(self, method: str, path: str) -> None:
        at = time.time()
        status, release = None, ""
        body = None if method in ("GET", "HEAD") else b"x" * (1 << 20 if path == "/upload" else 10)
        connection = self._connection(new=path.startswith("/new"))
        try:
            connection.request(method, path, body, self._headers)
            answer = connection.getresponse()
            release = answer.headers.get("x-release", "")
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException):
            self._local.kept = None
        finally:
            if path.startswith("/new"):
                connection.close()
        self.outcomes.append(Outcome(at, path, status, release))

    def _connection(self, new: bool) -> http.client.HTTPConnection:
        kept: http.client.HTTPConnection | None = getattr(self._local, "kept", None)
        if new or kept is None:
            connection = http.client.HTTPConnection(*self._address, timeout=10)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if new:
                return connection
            self._local.kept = kept = connection
        return kept
