"""A constant stream of user requests in the background, every one of them accounted for.

Proves that users notice nothing while releases change: a process of its own sends requests at a
constant mean rate (Poisson), retries nothing, and reports what became of each. Some requests
use connections kept alive, some open a new one, as users do.
"""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from backendctl.errors import BackendctlError

RELEASE_HEADER = "x-backendctl-release"
"""Response header in which a gateway or service may say which release answered."""
READY_DEADLINE = 30.0
KEPT_FAILURES = 1000
"""Failures described one by one; all are counted."""


@dataclass(frozen=True, slots=True)
class TrafficRequest:
    """One kind of request; each kind is sent equally often."""

    path: str = "/"
    method: str = "GET"
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class TrafficSecond:
    """Requests that were due in one second."""

    at: float
    """Its beginning, seconds since the epoch."""
    count: int = 0
    failed: int = 0
    releases: Counter[str] = field(default_factory=Counter)
    """Requests by the release that answered; absent where nothing says so."""
    failed_releases: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    """From the moment each was due, in the order of their ends; answered requests only."""

    def latency_ms(self, fraction: float) -> float | None:
        """A quantile of this second's latencies."""
        if not self.latencies_ms:
            return None
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


@dataclass(slots=True)
class TrafficReport:
    """Everything that was sent so far. `count` is exact: every request is ok or failed."""

    rps: float
    count: int = 0
    failed: int = 0
    """No answer, or a status of 400 and above."""
    statuses: Counter[str] = field(default_factory=Counter)
    """By status, or by the kind of failure where there was none."""
    releases: Counter[str] = field(default_factory=Counter)
    seconds: dict[int, TrafficSecond] = field(default_factory=dict)
    """By whole seconds since the start."""
    failures: list[Mapping[str, Any]] = field(default_factory=list)
    """The first of them: at, method, path, what, release, new_connection."""
    late_ms: float = 0.0
    """The most a request was sent later than it was due."""

    def to_data(self) -> dict[str, Any]:
        data = asdict(self)
        for second in data["seconds"].values():
            del second["latencies_ms"]
        return data

    def between(self, began: float, ended: float) -> tuple[int, int]:
        """Requests and failures due between two moments (seconds since the epoch), by second."""
        chosen = [s for s in self.seconds.values() if began <= s.at < ended]
        return sum(s.count for s in chosen), sum(s.failed for s in chosen)


class Traffic:
    """Sends as long as the context lasts::

    with Traffic(url, rps=150, requests=[TrafficRequest("/items")]) as traffic:
        ...
    assert traffic.report.failed == 0
    """

    def __init__(
        self,
        target: str,
        rps: float,
        requests: Sequence[TrafficRequest] = (TrafficRequest(),),
        *,
        new_connections: float = 0.2,
        host: str = "",
        timeout: float = 10.0,
        seed: int = 1,
        release_header: str = RELEASE_HEADER,
    ) -> None:
        """`new_connections` is the share of requests that open a connection of their own; `host`
        what requests name as their Host, where that is not the target's."""
        self._target = target.rstrip("/")
        self._config = {
            "target": self._target,
            "headers": {"Host": host} if host else {},
            "rps": rps,
            "requests": [asdict(each) for each in requests],
            "new_connections": new_connections,
            "timeout": timeout,
            "seed": seed,
            "release_header": release_header.lower(),
        }
        self._timeout = timeout
        self.report = TrafficReport(rps)
        """Up to date to about a second while it runs; exact once stopped."""
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._ready = threading.Event()
        self._ended = False
        self._began = 0.0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.stop()
        else:
            self._kill()

    def start(self) -> None:
        """Start sending; returns when the first request is about to be sent."""
        if urlsplit(self._target).scheme != "http":
            raise BackendctlError("usage", "background traffic goes to http:// targets only")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "backendctl.loadtest.traffic_sender"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="traffic", daemon=True)
        self._reader.start()
        if self._process.stdin is not None:
            # Over standard input, because headers may hold a token.
            self._process.stdin.write(json.dumps(self._config) + "\n")
            self._process.stdin.flush()
        if not self._ready.wait(READY_DEADLINE):
            self._kill()
            raise BackendctlError("loadtest.invalid", "the traffic source did not start")

    @property
    def pid(self) -> int | None:
        """The sending process; None when it is not running."""
        return None if self._process is None else self._process.pid

    def stop(self) -> TrafficReport:
        """Send no more, wait for the answers still due, and give the exact report."""
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return self.report
        try:
            if process.stdin is not None:
                process.stdin.close()
            reader.join(self._timeout + 10)
        finally:
            self._kill()
        if not self._ended:
            raise BackendctlError(
                "loadtest.invalid",
                "the traffic source ended before it had accounted for its requests",
                state=f"{self.report.count} requests were accounted for until then",
            )
        return self.report

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None and not pipe.closed:
                    pipe.close()
            self._process = None

    def _read(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            return
        try:
            for line in process.stdout:
                self._merge(json.loads(line))
        except ValueError:
            return  # the pipe was closed under us: stopped in a hurry

    def _merge(self, news: Mapping[str, Any]) -> None:
        if news["say"] == "began":
            self._began = time.time()
            self._ready.set()
            return
        report = self.report
        for due, latency, status, release, new, path, method, what in news["requests"]:
            number = int(due)
            second = report.seconds.get(number)
            if second is None:
                second = report.seconds[number] = TrafficSecond(self._began + number)
            failed = status >= 400 or status == 0
            second.count += 1
            second.failed += failed
            report.statuses[str(status) if status else what] += 1
            if release:
                report.releases[release] += 1
                second.releases[release] += 1
                second.failed_releases[release] += failed
            if status:
                second.latencies_ms.append(latency)
            if failed and len(report.failures) < KEPT_FAILURES:
                report.failures.append(
                    {
                        "at": self._began + due,
                        "method": method,
                        "path": path,
                        "what": str(status) if status else what,
                        "release": release,
                        "new_connection": bool(new),
                    }
                )
            report.failed += failed
            report.count += 1
        report.late_ms = max(report.late_ms, news["late_ms"])
        self._ended = self._ended or news["say"] == "ended"
