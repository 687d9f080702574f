"""A process of the load generator: `python -m backendctl.loadtest.agent master|worker FOLDER`.

Locust as a library: one master, one or more workers, on one machine or on many. The master takes
commands from whoever started it through an inherited socket and passes the workers' counts back,
one JSON object a line. When its starter is gone, every process ends by itself.

Commands: `{"do": "stage", "order": {...}}`, `{"do": "users", "count": n, "rate": r}`,
`{"do": "finish", "drain": seconds}`, `{"do": "quit"}`.
Reports: `{"say": "ready"}`, `{"say": "delta", "worker": name, "stages": {...}, "in_flight": n,
"cpu": percent of a core or null, "at": time}`, `{"say": "final", "worker": name, "count": n}`,
`{"say": "missing", "worker": name, "at": host}`.
"""

import locust  # first: it replaces blocking sockets by gevent's

# ruff: isort: split
import argparse
import contextlib
import gc
import json
import logging
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import gevent
from gevent.queue import Queue
from locust.env import Environment
from locust.util.load_locustfile import load_locustfile

from backendctl.loadtest.arrivals import share
from backendctl.loadtest.generator import Generator, GeneratorPlan, Order
from backendctl.loadtest.measurement import Outcome
from backendctl.loadtest.processes import LINK_VARIABLE, come_first
from backendctl.platforms.base import INDEX_VARIABLE
from backendctl.shipped import shipped

LOCUSTFILE = "locustfile.py"
FLUSH = 1.0
"""Seconds between reports of a worker."""

log = logging.getLogger("backendctl.loadtest")


def main() -> None:
    parser = argparse.ArgumentParser(prog="backendctl.loadtest.agent")
    parser.add_argument("role", choices=("master", "worker"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--host", required=True, help="where the master listens")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--index", type=int, default=int(os.environ.get(INDEX_VARIABLE, "0")))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    _raise_file_limit()
    come_first()
    gevent.spawn(_end_with_starter, os.getppid())
    # The first process of a pod hears no signal that it has not asked for.
    gevent.signal_handler(signal.SIGTERM, os._exit, 128 + signal.SIGTERM)
    plan = GeneratorPlan.read(options.folder)
    environment = _environment(plan)
    if options.role == "master":
        _Master(environment, plan, options.host, options.port).run()
    else:
        _Worker(environment, plan, options.host, options.port, options.index).run()


def _environment(plan: GeneratorPlan) -> Environment:
    """Locust's environment with our users, or the project's own in place of the closed loop's."""
    users, _ = load_locustfile(str(shipped("loadtests") / LOCUSTFILE))
    if plan.locustfile:
        del users["ClosedLoop"]
        own, shapes = load_locustfile(plan.locustfile)
        if shapes:
            log.warning("%s: its load shape is not used, the profile is", plan.locustfile)
        if not own:
            log.error("%s has no user class", plan.locustfile)
            sys.exit(2)
        users.update(own)
    users["OpenLoop"].fixed_count = plan.workers
    for kind in users.values():
        for name in ("network_timeout", "connection_timeout"):
            if hasattr(kind, name):
                setattr(kind, name, plan.request_timeout)
        if plan.host:
            _bear(kind, plan.host)
    return Environment(
        user_classes=list(users.values()),
        events=locust.events,
        host=plan.target,
        stop_timeout=0.0,
    )


def _bear(kind: Any, host: str) -> None:
    """Make every request of these users name that host, unless they name one themselves."""
    if hasattr(kind, "default_headers"):
        kind.default_headers = {"Host": host, **(kind.default_headers or {})}
        return
    begin = kind.on_start

    def on_start(user: Any) -> None:
        if hasattr(user, "client"):  # users of another protocol have none, or one without headers
            user.client.headers.setdefault("Host", host)
        begin(user)

    kind.on_start = on_start


def _raise_file_limit() -> None:
    """A request in flight is an open file; allow as many as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, 65_536)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _end_with_starter(starter: int) -> None:
    while os.getppid() == starter:
        gevent.sleep(0.5)
    os._exit(1)


class _Master:
    """Passes commands to the workers and their counts to the starter."""

    def __init__(self, environment: Environment, plan: GeneratorPlan, host: str, port: int) -> None:
        self._plan = plan
        self._link = socket.socket(fileno=int(os.environ[LINK_VARIABLE]))
        self._runner = environment.create_master_runner(host, port)
        self._names: dict[str, str] = {}
        """By what Locust calls them, once they have said their names."""
        for kind in ("delta", "final"):
            self._runner.register_message(kind, self._pass_on)

    def run(self) -> None:
        while len(self._runner.clients.ready) < self._plan.workers:
            gevent.sleep(0.02)
        self._workers = sorted(node.id for node in self._runner.clients.ready)
        self._runner.start(self._plan.workers, self._plan.workers)
        gevent.spawn(self._watch)
        self._say({"say": "ready"})
        for line in self._link.makefile("r"):
            if not self._obey(json.loads(line)):
                break
        self._runner.quit()

    def _obey(self, command: dict[str, Any]) -> bool:
        match command["do"]:
            case "stage":
                for index, worker in enumerate(self._workers):
                    order = dict(command["order"])
                    order["count"] = share(order["count"], len(self._workers), index)
                    self._runner.send_message("stage", order, worker)
            case "users":
                wanted = self._plan.workers + command["count"]
                gevent.spawn(self._runner.start, wanted, command["rate"])
            case "finish":
                self._runner.send_message("finish", {"drain": command["drain"]})
            case "quit":
                return False
        return True

    def _pass_on(self, msg: Any, **_: Any) -> None:
        self._names[msg.node_id] = msg.data["worker"]
        self._say({"say": msg.type, **msg.data})

    def _watch(self) -> None:
        while True:
            for node in self._runner.clients.missing:
                host = node.id.rpartition("_")[0]  # where it runs; in a cluster, its pod
                name = self._names.get(node.id, "a worker")
                self._say({"say": "missing", "worker": name, "at": host})
            gevent.sleep(1.0)

    def _say(self, report: dict[str, Any]) -> None:
        self._link.sendall(json.dumps(report).encode() + b"\n")


class _Worker:
    """Sends requests as ordered and reports every second."""

    def __init__(
        self, environment: Environment, plan: GeneratorPlan, host: str, port: int, index: int
    ) -> None:
        self._name = f"worker {index}"
        self._generator = Generator(plan, index)
        self._orders: Queue[Order] = Queue()
        self._used, self._looked = time.process_time(), time.monotonic()
        # How the users, whom Locust makes, find what they work with.
        vars(environment).update(generator=self._generator, orders=self._orders)
        environment.events.request.add_listener(self._record_own)  # type: ignore[no-untyped-call]
        self._runner = environment.create_worker_runner(host, port)
        self._runner.register_message("stage", self._stage)
        self._runner.register_message("finish", self._finish, concurrent=True)

    def run(self) -> None:
        gc.collect()
        gc.freeze()  # what is loaded now stays: later collections need not look at it
        gevent.spawn(self._report)
        self._runner.greenlet.join()

    def _stage(self, msg: Any, **_: Any) -> None:
        order = Order(**msg.data)
        if order.open_loop:
            self._orders.put(order)
        else:
            self._generator.close_loop(order)

    def _report(self) -> None:
        while True:
            gevent.sleep(FLUSH)
            self._flush(self._cpu())

    def _flush(self, cpu: float | None = None) -> None:
        stages = self._generator.recorder.take()
        body = {
            "worker": self._name,
            "stages": stages,
            "in_flight": self._generator.in_flight,
            "cpu": cpu,
            "at": time.time(),
        }
        self._runner.send_message("delta", body)

    def _cpu(self) -> float:
        """Percent of a core used since the last call; of a moment it would say nothing."""
        used, now = time.process_time(), time.monotonic()
        share = (used - self._used) / (now - self._looked)
        self._used, self._looked = used, now
        return 100 * share

    def _finish(self, msg: Any, **_: Any) -> None:
        deadline = time.monotonic() + msg.data["drain"]
        while self._generator.in_flight and time.monotonic() < deadline:
            gevent.sleep(0.02)
        self._generator.give_up()
        self._flush()
        count = self._generator.recorder.count
        self._runner.send_message("final", {"worker": self._name, "count": count})

    def _record_own(
        self,
        request_type: str,
        name: str,
        response_time: float,
        response: Any = None,
        exception: BaseException | None = None,
        start_time: float | None = None,
        **_: Any,
    ) -> None:
        """Requests of the project's own users: each was sent when its user came to it."""
        seconds = (response_time or 0.0) / 1000
        began = (time.time() - seconds) if start_time is None else start_time
        now = self._generator.closed_at(time.monotonic() - (time.time() - began))
        if now is None:
            return
        stage, second = now
        status = int(getattr(response, "status_code", 0) or 0)
        outcome = Outcome.OK
        if exception is not None:
            cause = getattr(exception, "original", exception)
            timed_out = isinstance(cause, gevent.Timeout | TimeoutError)
            outcome = Outcome.TIME_OUT if timed_out else Outcome.FAILED
        recorder = self._generator.recorder
        recorder.scheduled(stage)
        recorder.started(stage, 0.0)
        recorder.ended(stage, second, f"{request_type} {name}", outcome, status, seconds, seconds)


if __name__ == "__main__":
    main()
