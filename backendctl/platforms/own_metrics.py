"""Measures of the service's own, read beside the gateway's counters: `[metrics.NAME]`.

A command or two PromQL queries say how a release has done since it started: how many operations
there were and how many of them were bad. They are judged as requests and errors are. A measure
that cannot be read is said to be missing, with the reason, and never taken for zero.
"""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

from backendctl.errors import BackendctlError
from backendctl.platforms.base import (
    ArmSample,
    FailedRequest,
    Meter,
    Release,
    Runtime,
    Sample,
    Span,
    Store,
)
from backendctl.spec.model import OwnMetric

DEADLINE = 5.0
"""Seconds a command or query may take: a block is not much longer."""
_RELEASE = "$RELEASE"
_AT_ONCE = 8
_SAID = 200
"""Characters of a command's own complaint that are passed on."""


class UnreadError(Exception):
    """A measure could not be read; the text says why, without secrets."""


class OwnMetricsMeter:
    """A Meter that adds the service's own measures to each release's sample."""

    def __init__(
        self, meter: Meter, metrics: Sequence[OwnMetric], runtime: Runtime, store: Store
    ) -> None:
        self._meter = meter
        self._metrics = tuple(metrics)
        self._runtime = runtime
        self._store = store

    def sample(self) -> Sample:
        found = self._meter.sample()
        if not self._metrics:
            return found
        releases = {release.number: release for release in self._store.releases()}
        wanted = [(number, each) for number in found.arms for each in self._metrics]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            read = pool.map(lambda pair: self._read(pair[1], releases.get(pair[0])), wanted)
            values = dict(zip(((n, m.name) for n, m in wanted), read, strict=True))
        arms = {number: _with(arm, number, values) for number, arm in found.arms.items()}
        return Sample(found.at, arms)

    def failures(self, number: int, limit: int) -> Sequence[FailedRequest]:
        return self._meter.failures(number, limit)

    def history(self, since: float) -> Sequence[Span]:
        return self._meter.history(since)

    def leave_out(self, start: float, end: float) -> None:
        self._meter.leave_out(start, end)

    def _read(self, metric: OwnMetric, release: Release | None) -> "tuple[int, int] | str":
        if release is None:
            return "the release is not recorded"
        try:
            if metric.command:
                return counts(self._output_of(metric, release))
            return by_promql(lambda query: ask(metric.prometheus, query), metric, release.number)
        except UnreadError as error:
            return str(error)

    def _output_of(self, metric: OwnMetric, release: Release) -> str:
        """The command's output, run with the release's own code and environment."""
        argv = [word.replace(_RELEASE, str(release.number)) for word in metric.command]
        try:
            call = self._runtime.in_release(release, argv)
            process = subprocess.Popen(
                list(call.argv),
                cwd=call.directory,
                env={**call.environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # may hold anything: it is not ours to show
                text=True,
                errors="replace",
                process_group=0,
            )
        except (OSError, BackendctlError) as error:
            raise UnreadError(f"{argv[0]} could not be started: {error}") from error
        with process:
            try:
                output, _ = process.communicate(timeout=DEADLINE)
            except subprocess.TimeoutExpired as error:
                raise UnreadError(f"{argv[0]} did not end within {DEADLINE:g} s") from error
            finally:
                with suppress(ProcessLookupError):  # what it has started ends with it
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode != 0:
            raise UnreadError(f"{argv[0]} ended with status {process.returncode}")
        return output


def _with(
    arm: ArmSample, number: int, values: Mapping[tuple[int, str], "tuple[int, int] | str"]
) -> ArmSample:
    own = {name: value for (n, name), value in values.items() if n == number}
    return replace(
        arm,
        counted={name: value for name, value in own.items() if not isinstance(value, str)},
        uncounted={name: value for name, value in own.items() if isinstance(value, str)},
    )


# --- answers ----------------------------------------------------------------------------------


def counts(output: str) -> tuple[int, int]:
    """(operations, bad ones) from `{"requests": 120, "events": 3}` or, as good and bad, `117 3`.

    The last line counts. Raises UnreadError for anything else.
    """
    lines = output.strip().splitlines() or [""]
    line = lines[-1].strip()
    try:
        if line.startswith("{"):
            body = json.loads(line)
            return _sound(body["requests"], body["events"])
        good, bad = line.split()
        return _sound(int(good) + int(bad), int(bad))
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadError(
            'it printed neither two numbers, good and bad, nor {"requests": N, "events": M}'
        ) from error


def _sound(requests: object, events: object) -> tuple[int, int]:
    if not isinstance(requests, int) or not isinstance(events, int):
        raise UnreadError(f"its counts are no whole numbers: {requests!r}, {events!r}"[:_SAID])
    if not 0 <= events <= requests:
        raise UnreadError(f"it counts {events} bad ones of {requests}")
    return requests, events


def by_promql(query: Callable[[str], float], metric: OwnMetric, number: int) -> tuple[int, int]:
    """Both numbers of a release by PromQL; events first, so that they are never the more."""
    events = round(query(metric.events.replace(_RELEASE, str(number))))
    return _sound(max(events, round(query(metric.requests.replace(_RELEASE, str(number))))), events)


def ask(prometheus: str, query: str) -> float:
    """The value of an instant query, summed over its series. Raises UnreadError."""
    import httpx

    try:
        answer = httpx.get(
            f"{prometheus.rstrip('/')}/api/v1/query", params={"query": query}, timeout=DEADLINE
        )
        body = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise UnreadError(f"Prometheus cannot be asked: {type(error).__name__}") from error
    if not isinstance(body, dict) or body.get("status") != "success":
        told = body.get("error") if isinstance(body, dict) else None
        said = str(told or f"status {answer.status_code}")[:_SAID]
        raise UnreadError(f"Prometheus refuses the query: {said}")
    data = body.get("data")
    return summed(data if isinstance(data, dict) else {})


def summed(data: Mapping[str, object]) -> float:
    """The sum of an instant vector, or a scalar. No series at all is no number: a query that may
    find none says so itself, with `or vector(0)`."""
    result = data.get("result")
    try:
        if data.get("resultType") == "scalar" and isinstance(result, list):
            values = [float(result[1])]
        elif data.get("resultType") == "vector" and isinstance(result, list):
            values = [float(each["value"][1]) for each in result]
        else:
            raise UnreadError("the query's answer is no vector and no scalar")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise UnreadError("the query's answer cannot be read") from error
    if not values:
        raise UnreadError("the query finds no series; where that means none, add `or vector(0)`")
    total = sum(values)
    if total != total or total in (float("inf"), float("-inf")):
        raise UnreadError(f"the query's answer is {total}")
    return total
