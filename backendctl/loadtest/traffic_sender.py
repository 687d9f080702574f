"""The process behind `Traffic`: `python -m backendctl.loadtest.traffic_sender`.

Reads one JSON line with its configuration, then sends until standard input is closed. Writes one
JSON line a second with what became of each request, and a last one when all have ended. Uses the
standard library's HTTP client, because that one never sends a request a second time.
"""

# ruff: noqa: E402 - gevent replaces blocking sockets before anything else imports them
from gevent import monkey

monkey.patch_all()

# ruff: isort: split
import http.client
import json
import os
import random
import resource
import select
import signal
import socket
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent.fileobject import FileObject

from backendctl.loadtest.processes import come_first

REPORT_SECONDS = 1.0


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end of standard input ends it
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    come_first()
    commands = FileObject(sys.stdin.buffer, "rb")
    sender = _Sender(json.loads(commands.readline()))
    stop = gevent.spawn(commands.read)
    sender.say("began")
    reporter = gevent.spawn(sender.report)
    sending = gevent.spawn(sender.send_until, stop)
    sending.get()
    gevent.wait(list(sender.flying))  # each has its own deadline
    reporter.kill()
    sender.say("ended")


class _Sender:
    def __init__(self, config: dict[str, Any]) -> None:
        target = urlsplit(config["target"])
        self._host = target.hostname or "127.0.0.1"
        self._port = target.port or 80
        self._prefix = target.path
        self._rps = config["rps"]
        self._requests = config["requests"]
        self._headers = config["headers"]
        self._new = config["new_connections"]
        self._header = config["release_header"]
        self.timeout = config["timeout"]
        self._rng = random.Random(config["seed"])  # noqa: S311 - reproducible on purpose
        self._idle: list[http.client.HTTPConnection] = []
        self._done: list[list[Any]] = []
        self._late = 0.0
        self.flying: set[gevent.Greenlet] = set()
        self._began = time.monotonic()

    def send_until(self, stop: gevent.Greenlet) -> None:
        due = 0.0
        self._began = time.monotonic()
        while not stop.ready():
            due += self._rng.expovariate(self._rps)
            wait = self._began + due - time.monotonic()
            if wait > 0:
                stop.join(wait)
                if stop.ready():
                    return
            flight = gevent.spawn(self._send, due)
            self.flying.add(flight)
            flight.link(self.flying.discard)

    def _send(self, due: float) -> None:
        self._late = max(self._late, time.monotonic() - self._began - due)
        request = self._rng.choice(self._requests)
        new = self._rng.random() < self._new
        status, release, what = 0, "", ""
        connection = None
        deadline = gevent.Timeout(self.timeout, TimeoutError("no answer in time"))
        deadline.start()
        try:
            connection = self._connection(new)
            headers = {**self._headers, **request["headers"]}
            if new:
                headers["Connection"] = "close"
            connection.request(
                request["method"], self._prefix + request["path"], request["body"], headers
            )
            response = connection.getresponse()
            response.read()
            status = response.status
            release = response.getheader(self._header) or ""
            if new or response.will_close:
                connection.close()
            else:
                self._idle.append(connection)
        except (OSError, http.client.HTTPException) as error:
            status, what = 0, type(error).__name__
            if connection is not None:
                connection.close()
        finally:
            deadline.close()
        latency = round((time.monotonic() - self._began - due) * 1000, 3)
        where = (request["path"], request["method"])
        self._done.append([round(due, 4), latency, status, release, int(new), *where, what])

    def _connection(self, new: bool) -> http.client.HTTPConnection:
        """A connection for one request; one that the server has closed since is not tried."""
        while self._idle and not new:
            connection = self._idle.pop()
            if connection.sock is not None and not _readable(connection.sock):
                return connection
            connection.close()
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self.timeout)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def report(self) -> None:
        while True:
            gevent.sleep(REPORT_SECONDS)
            self.say("sent")

    def say(self, what: str) -> None:
        done, self._done = self._done, []
        body = {"say": what, "requests": done, "late_ms": round(self._late * 1000, 3)}
        try:
            os.write(1, json.dumps(body).encode() + b"\n")
        except BrokenPipeError:
            os._exit(0)  # whoever started it was killed: nobody reads, on a terminal or elsewhere


def _readable(sock: socket.socket) -> bool:
    """Anything to read on an idle connection is its end."""
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(0))


if __name__ == "__main__":
    main()
