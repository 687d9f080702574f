"""The service under test: standard library only, its behaviour set by variables.

EXIT_AT_START=n   ends with that status before it listens
READY=no          never becomes ready
DIE_AFTER=s       ends with status 9 after so many seconds

and by the request:

?status=n         answers with that status
?sleep=s          answers after so many seconds; /busy says how many do
?stream=n         answers in n parts, one every 50 ms; with ?cut, it dies after half of them
"""

import hashlib
import json
import os
import signal
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

VERSION = "one"
INSTANCE = uuid.uuid4().hex
"""Of this process: in a container its number is always the same."""


working = threading.Semaphore(0)
"""One for each request that is being answered; idle connections do not count."""


slow: list[str] = []
"""Requests that are being slow."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        working.release()
        try:
            self.respond()
        finally:
            working.acquire()

    do_POST = do_DELETE = do_GET  # noqa: N815 - the library finds them by these names

    def respond(self) -> None:
        where = urlsplit(self.path)
        path, query = where.path, dict(parse_qsl(where.query, keep_blank_values=True))
        if "sleep" in query:
            slow.append(path)
            time.sleep(float(query["sleep"]))
            slow.remove(path)
        if path == "/busy":
            self.answer(200, {"busy": len(slow)})
        elif "stream" in query:
            self.stream(int(query["stream"]), "cut" in query)
        elif "status" in query:
            self.answer(int(query["status"]), {})
        elif path == "/readyz":
            self.answer(503 if os.environ.get("READY") == "no" else 200, {})
        elif path == "/die":
            os._exit(9)
        elif path.startswith("/broken/"):
            self.answer(500, {})
        elif path == "/slow":
            time.sleep(1)
            self.answer(200, about())
        else:
            self.answer(200, about())

    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("x-release", os.environ["BACKENDCTL_RELEASE"])
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def stream(self, parts: int, cut: bool) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.send_header("x-release", os.environ["BACKENDCTL_RELEASE"])
        self.end_headers()
        for part in range(parts):
            if cut and part == parts // 2:
                os._exit(9)
            self.wfile.write(b"4\r\npart\r\n")
            self.wfile.flush()
            time.sleep(0.05)
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def log_message(self, *_arguments: object) -> None:
        return


def about() -> dict[str, object]:
    return {
        "version": VERSION,
        "release": os.environ["BACKENDCTL_RELEASE"],
        "environment": os.environ["BACKENDCTL_ENVIRONMENT"],
        "greeting": os.environ.get("GREETING"),
        "secret": hashlib.sha256(os.environ.get("API_KEY", "").encode()).hexdigest(),
        "arguments": sys.argv[1:],
        "instance": INSTANCE,
    }


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def main() -> None:
    print(f"version {VERSION} starts", flush=True)
    if "EXIT_AT_START" in os.environ:
        print("cannot reach the flux capacitor", file=sys.stderr, flush=True)
        sys.exit(int(os.environ["EXIT_AT_START"]))
    if "DIE_AFTER" in os.environ:
        threading.Timer(float(os.environ["DIE_AFTER"]), lambda: os._exit(9)).start()
    server = ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.05)
    while working.acquire(blocking=False):
        working.release()
        time.sleep(0.01)
    print("bye", flush=True)


if __name__ == "__main__":
    main()
