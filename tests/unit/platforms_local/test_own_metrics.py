"""Measures of the service's own: what commands and Prometheus answer, and what is missing."""

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.platforms import own_metrics
from backendctl.platforms.base import (
    ArmSample,
    Configuration,
    Invocation,
    Latencies,
    Package,
    Processes,
    Release,
    Sample,
)
from backendctl.platforms.own_metrics import OwnMetricsMeter, UnreadError, counts, summed
from backendctl.spec.model import OwnMetric
from tests.waiting import eventually


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_counts_are_read_in_both_forms(good: int, bad: int) -> None:
    assert counts(f"warming up\n{good} {bad}\n") == (good + bad, bad)
    assert counts(json.dumps({"requests": good + bad, "events": bad})) == (good + bad, bad)


@pytest.mark.parametrize(
    "output",
    [
        "",
        "5",
        "5 x",
        "1 2 3",
        "-1 3",
        '{"requests": 1}',
        '{"requests": 1, "events": 2}',
        "{",
        "1.5 2",
    ],
)
def test_anything_else_is_no_count(output: str) -> None:
    with pytest.raises(UnreadError):
        counts(output)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ({"resultType": "scalar", "result": [1.0, "7"]}, 7.0),
        ({"resultType": "vector", "result": [{"value": [1, "2"]}, {"value": [1, "3"]}]}, 5.0),
    ],
)
def test_an_answer_of_prometheus_is_summed(data: dict[str, Any], value: float) -> None:
    assert summed(data) == value


@pytest.mark.parametrize(
    "data",
    [
        {"resultType": "vector", "result": []},
        {"resultType": "vector", "result": [{"value": [1, "NaN"]}]},
        {"resultType": "matrix", "result": []},
        {"resultType": "vector", "result": [{}]},
        {},
    ],
)
def test_no_series_and_no_number_are_not_zero(data: dict[str, Any]) -> None:
    with pytest.raises(UnreadError):
        summed(data)


# --- a meter with them ------------------------------------------------------------------------


class Gateway:
    """Two releases are connected."""

    def sample(self) -> Sample:
        def arm(number: int) -> ArmSample:
            return ArmSample(number, 100, 0, 0, Latencies((), (), 100), 1)

        return Sample(5.0, {1: arm(1), 2: arm(2)})


class Releases:
    """Runs commands as `in_release` does, in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def releases(self) -> list[Release]:
        return [
            Release(n, Package("c", "/c"), Configuration(), Processes(("x",)), 0.0, "me")
            for n in (1, 2)
        ]

    def in_release(self, release: Release, argv: Sequence[str]) -> Invocation:
        return Invocation(tuple(argv), self._folder, {"BACKENDCTL_RELEASE": str(release.number)})


def read(folder: Path, *metrics: OwnMetric) -> dict[int, ArmSample]:
    releases: Any = Releases(folder)
    meter = OwnMetricsMeter(Gateway(), metrics, releases, releases)  # type: ignore[arg-type]
    return dict(meter.sample().arms)


def command(text: str, name: str = "checkout") -> OwnMetric:
    return OwnMetric(name=name, limit=0.02, command=(sys.executable, "-I", "-c", text, "$RELEASE"))


def test_a_command_is_asked_about_each_release_in_its_surroundings(tmp_path: Path) -> None:
    text = "import os, sys; print(10 * int(sys.argv[1]), os.environ['BACKENDCTL_RELEASE'])"
    arms = read(tmp_path, command(text))
    assert arms[1].counted == {"checkout": (11, 1)}
    assert arms[2].counted == {"checkout": (22, 2)}
    assert arms[2].uncounted == {}


def test_a_command_that_fails_leaves_a_reason_and_none_of_its_own_words(tmp_path: Path) -> None:
    arms = read(tmp_path, command("print('7 7'); raise SystemExit('the password is hunter2')"))
    assert arms[1].counted == {}
    assert arms[1].uncounted["checkout"].endswith("ended with status 1")
    missing = read(tmp_path, OwnMetric(name="x", limit=0.1, command=("/no/such/program",)))
    assert "could not be started" in missing[1].uncounted["x"]


def test_output_that_is_no_text_is_no_count_and_stops_no_rollout(tmp_path: Path) -> None:
    arms = read(tmp_path, command(r"import os; os.write(1, b'\xff\xfe\n')"))
    assert arms[1].uncounted["checkout"].startswith("it printed neither")


def test_a_command_that_hangs_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_metrics, "DEADLINE", 0.5)
    text = (
        "import subprocess, sys, pathlib, time\n"
        "child = subprocess.Popen([sys.executable, '-I', '-c', 'import time; time.sleep(60)'])\n"
        "pathlib.Path(sys.argv[1] + '.pid').write_text(str(child.pid))\n"
        "time.sleep(60)"
    )
    began = time.monotonic()
    arms = read(tmp_path, command(text))
    assert time.monotonic() - began < 10
    assert "did not end within" in arms[1].uncounted["checkout"]
    children = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
    assert eventually(lambda: not any(map(_runs, children)))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def prometheus() -> Iterator[str]:
    """Answers `good_7` with 7, and refuses what is no query."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            (query,) = parse_qs(urlsplit(self.path).query)["query"]
            word, _, value = query.partition("_")
            body: Any = {"status": "error", "error": f"parse error: {word}"}
            if word == "odd":
                body = {"odd_list": [], "odd_null": {"status": "success", "data": None}}[query]
            if word in ("all", "bad"):
                result = [{"metric": {}, "value": [1.0, value]}]
                body = {"status": "success", "data": {"resultType": "vector", "result": result}}
            data = json.dumps(body).encode()
            refused = isinstance(body, dict) and body["status"] != "success"
            self.send_response(400 if refused else 200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def query(prometheus: str, requests: str, events: str) -> OwnMetric:
    return OwnMetric(
        name="orders", limit=0.02, prometheus=prometheus, requests=requests, events=events
    )


def test_prometheus_is_asked_for_both_numbers_of_each_release(
    tmp_path: Path, prometheus: str
) -> None:
    arms = read(tmp_path, query(prometheus, "all_4$RELEASE", "bad_$RELEASE"))
    assert arms[1].counted == {"orders": (41, 1)}
    assert arms[2].counted == {"orders": (42, 2)}


def test_a_query_that_prometheus_refuses_is_missing_with_its_reason(
    tmp_path: Path, prometheus: str
) -> None:
    arms = read(tmp_path, query(prometheus, "all_9", "sum("))
    assert arms[1].uncounted["orders"] == "Prometheus refuses the query: parse error: sum("
    gone = read(tmp_path, query("http://127.0.0.1:1", "all_9", "bad_1"))
    assert "cannot be asked" in gone[1].uncounted["orders"]


@pytest.mark.parametrize("odd", ["odd_list", "odd_null"])
def test_an_answer_that_is_not_prometheus_own_is_missing(
    tmp_path: Path, prometheus: str, odd: str
) -> None:
    assert "orders" in read(tmp_path, query(prometheus, "all_9", odd))[1].uncounted
