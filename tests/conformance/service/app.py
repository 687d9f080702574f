"""The service under test: standard library only, its behaviour set by variables.

EXIT_AT_START=n   ends with that status before it listens
READY=no          never becomes ready
DIE_AFTER=s       ends with status 9 after so many seconds
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
from urllib.parse import urlsplit

VERSION = "one"
INSTANCE = uuid.uuid4().hex
"""Of this process: in a container its number is always the same."""


working = threading.Semaphore(0)
"""One for each request that is being answered; idle connections do not count."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        working.release()
        try:
            self.respond()
        finally:
            working.acquire()

    def respond(self) -> None:
        path = urlsplit(self.path).path
        if path == "/readyz":
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
        self.end_headers()
        self.wfile.write(data)

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
