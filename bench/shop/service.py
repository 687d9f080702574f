"""The shop's own code: what each release runs, in the release's own copy of this file.

Standard library only. HOST and PORT say where to listen, LABEL names the release in each answer,
and with BAD=yes two answers of three are the release's own errors, marked as such. Every body can
be checked: its digest is in the header `x-digest`, or, for a stream, in its last chunk.
"""

import hashlib
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

CHUNK = 65536


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    count = 0

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        asked = dict(parse_qsl(where.query))
        if where.path == "/readyz":
            return self._answer(200, b"ready")
        Handler.count += 1
        if os.environ.get("BAD") == "yes" and Handler.count % 3 > 0:
            return self._answer(500, b"of its own making", own=True)
        if where.path == "/big":
            return self._answer(200, (b"%016d" % Handler.count) * (int(asked["bytes"]) // 16))
        if where.path == "/stream":
            return self._stream(int(asked["parts"]), float(asked["gap"]), float(asked["idle"]))
        time.sleep(float(asked.get("sleep", 0)))
        return self._answer(200, b"x" * 200)

    def do_POST(self) -> None:
        """Answers with the digest of what it was sent."""
        digest, left = hashlib.sha256(), int(self.headers["content-length"])
        while left:
            data = self.rfile.read(min(CHUNK, left))
            if not data:
                self.close_connection = True
                return
            digest.update(data)
            left -= len(data)
        self._answer(200, digest.hexdigest().encode())

    def _answer(self, status: int, body: bytes, own: bool = False) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-release", os.environ.get("LABEL", ""))
        self.send_header("x-digest", hashlib.sha256(body).hexdigest())
        if own:
            self.send_header("x-own-error", "yes")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _stream(self, parts: int, gap: float, idle: float) -> None:
        """`parts` chunks `gap` seconds apart, `idle` seconds of silence, and their digest."""
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.send_header("x-release", os.environ.get("LABEL", ""))
        self.end_headers()
        digest = hashlib.sha256()
        for part in range(parts):
            data = b"%08d" % part * 64
            digest.update(data)
            self._chunk(data)
            time.sleep(gap)
        time.sleep(idle)
        self._chunk(digest.hexdigest().encode())
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Silent: a log line a request would be most of its cost."""


def main() -> None:
    ThreadingHTTPServer.request_queue_size = 256
    ThreadingHTTPServer.daemon_threads = True
    server = ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print("listening", flush=True)
    server.serve_forever(poll_interval=0.02)


if __name__ == "__main__":
    main()
