"""The gateway's log of failed requests, under traffic: exact, private, rotated, cheap to read."""

import os
import stat
from collections import Counter
from functools import partial
from pathlib import Path

from backendctl.platforms.base import Breakdown, Routes
from backendctl.platforms.local.meter import EnvoyMeter
from backendctl.platforms.local.supervision import rotate
from tests.local_platform.servers import HALF, Stand
from tests.open_loop import OpenLoop
from tests.waiting import eventually


def breakdown(meter: EnvoyMeter, number: int) -> Breakdown:
    found = meter.sample().arms[number].breakdown
    assert found is not None
    return found


def test_every_failure_is_told_apart_though_the_log_is_rotated_meanwhile(halves: Stand) -> None:
    meter = halves.meter()
    meter.sample()
    mix = (("GET", "/orders/17?status=500"), ("POST", "/carts?status=503"), ("GET", "/fine"))
    failed: Counter[tuple[str, str]] = Counter()
    for _ in range(3):
        with OpenLoop(halves.url, rps=150, mix=mix) as load:
            load.run(0.4)
        failed.update((outcome.release, outcome.path) for outcome in load.failed)
        # Quiet first: a line that is written between copy and cut would be lost.
        assert eventually(partial(_holds_failures, halves.layout.requests, len(load.failed)))
        assert rotate(halves.layout.requests, limit=0, kept=1)
        meter.sample()
    wanted = {
        number: {
            "GET /orders/{id}": failed[f"r{number}", "/orders/17?status=500"],
            "POST /carts": failed[f"r{number}", "/carts?status=503"],
        }
        for number in (1, 2)
    }
    assert eventually(lambda: {n: breakdown(meter, n).errors for n in (1, 2)} == wanted)


def _holds_failures(log: Path, count: int) -> bool:
    return log.read_bytes().count(b'"status":50') == count


def test_what_the_fallback_answered_is_the_failure_of_the_release_that_died(halves: Stand) -> None:
    meter = halves.meter()
    meter.sample()
    mix = (("GET", "/keep/7?sleep=0.05"),)
    with OpenLoop(halves.url, rps=150, mix=mix) as load:
        load.run(0.5)
        os.kill(halves.pid("release-2-0"), 9)
        load.run(0.2)
    assert load.failed == []
    assert eventually(lambda: breakdown(meter, 2).errors.get("GET /keep/{id}", 0) > 0)
    assert breakdown(meter, 1).errors == {}
    (example,) = meter.failures(2, 1)
    assert (example.status, example.problem) == (200, "release 2 failed it, release 1 answered")


def test_requests_over_the_threshold_are_told_apart(halves: Stand) -> None:
    meter = halves.meter(300.0, 1000.0)
    meter.sample()
    halves.router.apply(Routes({1: 0, 2: 100}))
    halves.get("/report/2026?sleep=1.1")
    halves.get("/report/2027?sleep=0.2")
    assert eventually(lambda: breakdown(meter, 2).slow == {"GET /report/{id}": 1})
    assert breakdown(meter, 2).errors == {}


def test_the_log_holds_no_query_and_no_header_and_is_nobody_elses_to_read(halves: Stand) -> None:
    secret = {"authorization": "Bearer geheim", "cookie": "s=geheim", "x-forwarded-for": "6.6.6.6"}
    halves.get("/orders/1?status=500&token=geheim", secret)
    log = halves.layout.requests
    assert eventually(lambda: b"/orders/1" in log.read_bytes())
    text = log.read_text()
    assert "geheim" not in text
    assert "6.6.6.6" not in text
    for path in (log, halves.layout.client_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_log_goes_on_after_the_gateway_was_killed(halves: Stand) -> None:
    meter = halves.meter()
    meter.sample()
    os.kill(halves.pid("gateway"), 9)
    assert eventually(lambda: halves.router.read() == HALF)
    halves.router.apply(Routes({1: 0, 2: 100}))
    assert halves.get("/orders/1?status=500")[0] == 500
    assert eventually(lambda: breakdown(meter, 2).errors == {"GET /orders/{id}": 1})
