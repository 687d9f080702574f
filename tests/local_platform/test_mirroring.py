"""Copies of requests under real traffic: what users, the candidate and the meter see of them."""

import http.client
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from backendctl.platforms.base import MIRROR_HEADER, PREVIEW_HEADER, Mirrored, Routes
from tests.local_platform.servers import DEADLINE, Stand
from tests.open_loop import OpenLoop
from tests.waiting import eventually

COPIES_TO_2 = Routes({1: 100}, preview=2, mirror=100)
READS = (("GET", "/keep"), ("GET", "/new"), ("HEAD", "/keep"))
MIXED = (*READS, ("POST", "/keep"), ("DELETE", "/keep"))


@dataclass
class Mirroring(Stand):
    """Release 1 serves everything, and release 2 gets a copy of each read."""

    before: int = 0
    """Originals that the gateway remembers of former tests."""

    def copies(self) -> Mirrored:
        """What the meter says of them since the test began."""
        found = self.meter().sample().arms[2].mirrored
        assert found is not None
        return replace(found, originals=found.originals - self.before)


@pytest.fixture
def mirroring(gateway: Stand) -> Iterator[Mirroring]:
    gateway.up(1)
    gateway.up(2)
    gateway.router.apply(COPIES_TO_2)
    found = Mirroring(gateway.layout, gateway.supervisor, gateway.ports, gateway.at)
    found.before = found.copies().originals
    yield found
    gateway.clear()


def test_the_share_that_was_asked_for_is_copied_and_counted_apart(mirroring: Mirroring) -> None:
    percent, rps, seconds = 30, 150, 4.0
    mirroring.router.apply(Routes({1: 100}, preview=2, mirror=percent))
    with OpenLoop(mirroring.url, rps, MIXED) as load:
        load.run(seconds)
    assert load.failed == []
    assert {outcome.release for outcome in load.outcomes} == {"r1"}
    got = mirroring.counted(2)["requests"]
    assert eventually(lambda: mirroring.copies().copies == got)
    found = mirroring.copies()
    reads = sum(1 for index, _ in zip(itertools.cycle(MIXED), load.outcomes) if index in READS)
    assert abs(found.originals - reads) <= len(MIXED)
    # Five standard deviations of a binomial.
    slack = 5 * (reads * percent / 100 * (1 - percent / 100)) ** 0.5
    assert abs(got - reads * percent / 100) < slack
    assert (found.failures, found.unanswered, found.lost) == (0, 0, 0)
    arms = mirroring.meter().sample().arms
    assert (arms[2].requests, arms[2].errors, arms[2].latencies.total) == (0, 0, 0)
    assert arms[1].requests == len(load.outcomes) == mirroring.counted(1)["requests"]


def test_what_may_change_something_is_never_copied(mirroring: Mirroring) -> None:
    with OpenLoop(mirroring.url, 100, (("POST", "/keep"), ("DELETE", "/new"))) as load:
        load.run(1.0)
    assert load.failed == []
    assert mirroring.counted(1)["requests"] == len(load.outcomes) > 50
    assert mirroring.counted(2)["requests"] == 0
    assert mirroring.copies().originals == 0


def test_neither_websockets_nor_preview_requests_are_copied(mirroring: Mirroring) -> None:
    upgrade = {"connection": "upgrade", "upgrade": "websocket"}
    connection = http.client.HTTPConnection("127.0.0.1", mirroring.port, timeout=5)
    connection.request("GET", "/chat", headers=upgrade)
    assert connection.getresponse().status == 101
    connection.close()
    assert mirroring.get(headers={PREVIEW_HEADER: "1"}) == (200, b"r2")
    assert mirroring.counted(2)["requests"] == 1
    assert (mirroring.copies().copies, mirroring.copies().originals) == (0, 0)


def test_a_copy_has_its_originals_host_and_headers_and_says_that_it_is_one(
    mirroring: Mirroring,
) -> None:
    headers = {"host": "shop.example:8443", "authorization": "Bearer abc", "x-request-id": "r-1"}
    mirroring.get("/echo", headers)
    assert eventually(lambda: mirroring.counted(2)["requests"] == 1)
    original, copy = mirroring.last_headers(1), mirroring.last_headers(2)
    assert copy.pop(MIRROR_HEADER) == "1"
    assert MIRROR_HEADER not in original
    assert copy["host"] == "shop.example:8443"
    assert copy["authorization"] == "Bearer abc"
    assert {name: copy[name] for name in headers} == {name: original[name] for name in headers}


def test_a_candidate_that_fails_every_copy_is_seen_by_the_meter_and_by_no_user(
    mirroring: Mirroring,
) -> None:
    mirroring.say(2, status=500)
    with OpenLoop(mirroring.url, 100, READS) as load:
        load.run(1.0)
    assert load.failed == []
    assert eventually(lambda: mirroring.copies().copies == len(load.outcomes))
    found = mirroring.copies()
    assert found.failures == found.copies
    assert (found.unanswered, found.lost) == (0, 0)
    # What the gateway logs of a failure of stable is written after all that came before it.
    mirroring.say(1, status=500)
    mirroring.get("/last")
    assert eventually(lambda: "/last" in mirroring.layout.requests.read_text())
    assert "rel-2" not in mirroring.layout.requests.read_text()
    assert mirroring.meter().failures(2, 5) == ()


def test_a_candidate_that_hangs_delays_and_fails_no_user_and_its_copies_end_in_time(
    mirroring: Mirroring,
) -> None:
    mirroring.say(2, sleep=60)
    slowest = 0.0
    rounds = 600
    connection = http.client.HTTPConnection("127.0.0.1", mirroring.port, timeout=10)
    for _ in range(rounds):  # more than may hang at a time
        began = time.monotonic()
        connection.request("GET", "/keep")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"r1")
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 1.0
    assert eventually(lambda: mirroring.copies().unanswered > 100, 2 * DEADLINE)
    found = mirroring.copies()
    assert (found.originals, found.failures) == (rounds, 0)
    assert found.lost > 0, "no more than so many hang at a time"


def test_a_candidate_that_is_gone_fails_no_user(mirroring: Mirroring) -> None:
    mirroring.supervisor.stop("release-2-0")
    with OpenLoop(mirroring.url, 100, READS) as load:
        load.run(1.0)
    assert load.failed == []
    assert eventually(lambda: mirroring.copies().lost == len(load.outcomes))
    assert (mirroring.copies().copies, mirroring.copies().failures) == (0, 0)


def test_nothing_is_copied_after_apply_has_ended_it_and_drain_waits_for_no_copy(
    mirroring: Mirroring,
) -> None:
    mirroring.say(2, sleep=60)
    mirroring.get()
    assert eventually(lambda: mirroring.counted(2)["requests"] == 1)
    mirroring.router.apply(Routes({1: 100, 2: 0}))
    began = time.monotonic()
    assert mirroring.router.drain(2, deadline=5)
    assert time.monotonic() - began < 2
    for _ in range(20):
        assert mirroring.get() == (200, b"r1")
    assert mirroring.counted(2)["requests"] == 1


def test_turning_it_on_and_off_under_load_loses_no_request(mirroring: Mirroring) -> None:
    router = mirroring.router
    with OpenLoop(mirroring.url, rps=100) as load:
        for _ in range(5):
            router.apply(Routes({1: 100}, preview=2))
            assert router.read() == Routes({1: 100}, preview=2)
            load.run(0.2)
            router.apply(COPIES_TO_2)
            assert router.read() == COPIES_TO_2
            load.run(0.2)
        router.apply(Routes({1: 50, 2: 50}, preview=2, fallback=1))
        load.run(0.5)
    assert load.failed == []
    assert Counter(outcome.release for outcome in load.outcomes)["r2"] > 0


def test_sessions_that_stick_are_copied_too(mirroring: Mirroring) -> None:
    from backendctl.platforms.local.router import EnvoyRouter

    sticky = EnvoyRouter(mirroring.layout, mirroring.at.__getitem__, sticky=True)
    sticky.apply(COPIES_TO_2)
    assert sticky.read() == COPIES_TO_2
    for cookie in ({}, {"cookie": "backendctl-session=abc"}):
        assert mirroring.get(headers=cookie) == (200, b"r1")
    assert eventually(lambda: mirroring.copies().copies == 2)
    assert mirroring.copies().originals == 2


def test_it_ends_when_the_candidate_is_forgotten(mirroring: Mirroring) -> None:
    mirroring.supervisor.stop("release-2-0")
    mirroring.router.disconnect(2)
    assert mirroring.router.read() == Routes({1: 100})
    assert mirroring.get() == (200, b"r1")
    assert json.dumps(sorted(mirroring.meter().sample().arms)) == "[1]"
