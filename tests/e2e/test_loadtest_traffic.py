"""The background traffic that proves users notice nothing."""

import os
import signal
import time
from http.client import RemoteDisconnected
from urllib.request import urlopen

import psutil
import pytest

from backendctl.errors import BackendctlError
from backendctl.loadtest.traffic import Traffic, TrafficRequest
from tests.fakes.http_service import http_service
from tests.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("loadtest")]


def send(traffic: Traffic, count: int) -> None:
    """Wait until so many requests have been answered."""
    assert eventually(lambda: traffic.report.count >= count, 20)


def test_every_request_the_server_saw_is_in_the_report_and_the_other_way_round() -> None:
    requests = [
        TrafficRequest("/a"),
        TrafficRequest("/items", "POST", '{"name": "x"}', {"Authorization": "Bearer t"}),
    ]
    with http_service() as service:
        with Traffic(service.url, 100, requests, host="shop.example.com") as traffic:
            send(traffic, 200)
        seen = service.seen()
    report = traffic.report
    assert report.failed == 0
    assert set(seen["hosts"]) == {"shop.example.com"}
    assert report.count == sum(seen["seen"].values())
    assert report.statuses["200"] == seen["seen"]["GET /a"]
    assert (
        report.statuses["201"] == seen["seen"]["POST /items"] == seen["authorization"]["Bearer t"]
    )
    assert sum(s.count for s in report.seconds.values()) == report.count
    assert report.releases == {"1": report.count}
    first = min(s.at for s in report.seconds.values())
    assert report.between(first, first + 1000) == (report.count, 0)
    assert report.count / len(report.seconds) == pytest.approx(100, rel=0.4)


def test_errors_and_closed_connections_are_failures_and_nothing_is_sent_again() -> None:
    with http_service(error_every=10, hang_up_every=25) as service:
        with Traffic(service.url, 150, new_connections=0.5) as traffic:
            send(traffic, 250)
        seen = service.seen()["seen"]
    report = traffic.report
    assert report.count == sum(seen.values())
    hung_up = sum(n for what, n in report.statuses.items() if not what.isdigit())
    assert hung_up == seen["GET hung up"] > 3
    assert report.failed == hung_up + report.statuses["500"]
    assert len(report.failures) == report.failed
    assert {f["new_connection"] for f in report.failures} == {True, False}


def test_the_service_tells_what_it_saw_also_where_the_next_request_would_be_hung_up_on() -> None:
    with http_service(hang_up_every=1) as service:
        with pytest.raises(RemoteDisconnected):
            urlopen(service.url, timeout=10)  # noqa: S310 - loopback
        assert service.seen()["seen"] == {"GET hung up": 1}


def test_a_stalled_server_does_not_slow_the_traffic_down_and_shows_in_its_latencies() -> None:
    with http_service(stall_after=100, stall=1.0) as service, Traffic(service.url, 100) as traffic:
        send(traffic, 300)
    worst = max(max(s.latencies_ms, default=0) for s in traffic.report.seconds.values())
    assert 900 <= worst <= 1500
    counts = [s.count for s in list(traffic.report.seconds.values())[:-1]]
    assert min(counts) > 50


def test_requests_without_an_answer_in_time_are_failures() -> None:
    with http_service(latency=30) as service, Traffic(service.url, 50, timeout=0.3) as traffic:
        send(traffic, 20)
    assert traffic.report.failed == traffic.report.count
    assert traffic.report.statuses["TimeoutError"] == traffic.report.count


def test_a_target_that_is_gone_is_counted_as_failures_not_raised() -> None:
    with http_service() as service:
        gone = service.url
    with Traffic(gone, 50) as traffic:
        send(traffic, 20)
    assert traffic.report.failed == traffic.report.count > 0


def test_traffic_that_died_is_said_and_leaves_no_process() -> None:
    with http_service() as service, pytest.raises(BackendctlError, match="accounted"):  # noqa: PT012, SIM117
        with Traffic(service.url, 50) as traffic:
            send(traffic, 20)
            assert traffic.pid is not None
            os.kill(traffic.pid, signal.SIGKILL)
    assert not [p for p in psutil.Process().children() if "traffic_sender" in p.cmdline()]


def test_an_error_in_the_context_stops_the_traffic_at_once() -> None:
    pids = []
    with http_service() as service, pytest.raises(RuntimeError, match="mine"):  # noqa: PT012, SIM117
        with Traffic(service.url, 50) as traffic:
            pids.append(traffic.pid)
            raise RuntimeError("mine")
    assert not psutil.pid_exists(pids[0])


def test_it_stays_light() -> None:
    with http_service() as service, Traffic(service.url, 200) as traffic:
        send(traffic, 100)
        process = psutil.Process(traffic.pid)
        before, began = process.cpu_times(), time.monotonic()
        send(traffic, traffic.report.count + 500)
        after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    assert used / (time.monotonic() - began) < 0.5
