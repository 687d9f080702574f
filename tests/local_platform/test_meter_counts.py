"""Numbers per release, against what the releases and the users themselves counted."""

import os
import socket
import time
from collections import Counter

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Routes
from backendctl.platforms.envoy_times import STANDARD_EDGES_MS
from tests.local_platform.servers import HALF, HOST, Stand
from tests.open_loop import OpenLoop
from tests.waiting import eventually


def test_errors_and_requests_of_both_arms_are_exact_across_changes_of_weight(
    halves: Stand,
) -> None:
    meter = halves.meter()
    mix = (("GET", "/new?status=500"), ("POST", "/keep"), ("GET", "/keep"))
    with OpenLoop(halves.url, rps=200, mix=mix) as load:
        for routes in (Routes({1: 80, 2: 20}, fallback=1), HALF, Routes({1: 0, 2: 100})):
            load.run(0.5)
            halves.router.apply(routes)
        load.run(0.5)
    users = Counter(outcome.release for outcome in load.outcomes)
    failed = Counter(outcome.release for outcome in load.failed)
    arms = meter.sample().arms
    for number in (1, 2):
        counted = halves.counted(number)
        arm, name = arms[number], f"r{number}"
        assert (arm.requests, arm.errors, arm.masked) == (users[name], failed[name], 0)
        assert (counted["requests"], counted["errors"]) == (users[name], failed[name])
        assert arm.latencies.total == arm.requests


def test_what_the_fallback_hides_counts_against_the_release_that_died(halves: Stand) -> None:
    with OpenLoop(halves.url, rps=150, mix=(("GET", "/keep?sleep=0.02"), ("GET", "/new"))) as load:
        load.run(0.7)
        os.kill(halves.pid("release-2-0"), 9)
        load.run(1.0)
    answered = Counter(outcome.release for outcome in load.outcomes)
    arms = halves.meter().sample().arms
    assert load.failed == []
    assert sum(arm.requests for arm in arms.values()) == len(load.outcomes)
    assert arms[2].healthy == 0
    assert arms[2].masked == arms[2].requests - answered["r2"] > 0
    assert arms[1].masked == 0


def test_streams_in_flight_do_not_look_like_failures(halves: Stand) -> None:
    meter = halves.meter()
    with OpenLoop(halves.url, rps=40, mix=(("GET", "/new?stream=10"),)) as load:
        assert eventually(lambda: halves.counted(2)["requests"] >= 8)
        arms = [meter.sample().arms[2] for _ in range(20)]
    assert load.failed == []
    assert [(arm.errors, arm.masked) for arm in arms] == [(0, 0)] * 20


def test_a_response_cut_short_is_an_error_of_its_release(halves: Stand) -> None:
    halves.router.apply(Routes({1: 0, 2: 100}))
    with OpenLoop(halves.url, rps=40, mix=(("GET", "/new?stream=40"),)) as load:
        assert eventually(lambda: halves.counted(2)["requests"] >= 5)
        halves.router.apply(Routes({1: 100, 2: 0}))
        os.kill(halves.pid("release-2-0"), 9)
    cut = [outcome for outcome in load.outcomes if outcome.status is None]
    arms = halves.meter().sample().arms
    assert len(cut) >= 5
    assert arms[2].errors == len(cut)
    assert arms[1].errors == 0


def test_requests_with_no_healthy_release_are_errors_and_not_masked(halves: Stand) -> None:
    for number in (1, 2):
        halves.supervisor.stop(f"release-{number}-0")
    meter = halves.meter()
    assert eventually(lambda: all(a.healthy == 0 for a in meter.sample().arms.values()))
    before = meter.sample().arms
    with OpenLoop(halves.url, rps=100, mix=(("GET", "/new"),)) as load:
        load.run(0.3)
    after = meter.sample().arms
    errors = sum(after[n].errors - before[n].errors for n in (1, 2))
    assert errors == len(load.outcomes) == len(load.failed)
    assert [after[n].masked - before[n].masked for n in (1, 2)] == [0, 0]


def test_clients_that_hang_up_do_not_look_like_failures(halves: Stand) -> None:
    connections = [socket.create_connection((HOST, halves.port), 5) for _ in range(10)]
    for connection in connections:
        connection.sendall(b"GET /?sleep=0.5 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert eventually(lambda: sum(halves.counted(n)["requests"] for n in (1, 2)) == 10)
    for connection in connections:
        connection.close()
    with OpenLoop(halves.url, rps=50, mix=(("GET", "/new"),)) as load:
        load.run(0.3)
    arms = halves.meter().sample().arms
    assert load.failed == []
    assert [(arm.errors, arm.masked) for arm in arms.values()] == [(0, 0), (0, 0)]


def test_latencies_tell_the_threshold_exactly(halves: Stand) -> None:
    halves.router.apply(Routes({1: 100, 2: 0}))
    for _ in range(10):
        halves.get("/")
    for _ in range(5):
        halves.get("/?sleep=0.26")
    found = halves.meter(60, 250).sample().arms[1].latencies
    assert found.total == 15
    assert found.slower_than(60) == 5
    assert found.slower_than(250) == 5
    assert found.slower_than(1000) == 0
    assert set(map(float, STANDARD_EDGES_MS)) <= set(found.edges_ms)


def test_a_sample_is_complete_at_once_and_cheap(halves: Stand) -> None:
    meter = halves.meter()
    for _ in range(20):
        halves.get()
    began = time.perf_counter()
    arms = meter.sample().arms
    seconds = time.perf_counter() - began
    assert sum(arm.requests for arm in arms.values()) == 20
    assert sum(arm.latencies.total for arm in arms.values()) == 20
    assert seconds < 0.25


def test_counters_start_again_with_the_gateway_and_that_is_visible(halves: Stand) -> None:
    meter = halves.meter()
    for _ in range(20):
        halves.get()
    before = meter.sample().arms
    os.kill(halves.pid("gateway"), 9)
    assert eventually(lambda: halves.router.read() == HALF)
    after = meter.sample().arms
    assert sum(arm.requests for arm in before.values()) == 20
    assert sum(arm.requests for arm in after.values()) == 0


def test_a_gateway_that_is_gone_is_said_and_never_counted_as_zero(gateway: Stand) -> None:
    gateway.supervisor.stop("gateway")
    with pytest.raises(BackendctlError) as raised:
        gateway.meter().sample()
    assert raised.value.code == "platform.gateway"
