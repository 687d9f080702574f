"""What is recorded of the traffic while nobody looks."""

import time

import pytest

from backendctl.platforms.base import WATCHDOG, Platform

from .world import World, eventually

SOON = 40.0
"""Seconds: spans are some ten long, and the first look at a release only begins one."""


@pytest.fixture
def recorded_by_somebody(platform: Platform) -> None:
    """Where nobody records, nothing is on record: the seam says so."""
    if not any(each.name == WATCHDOG and each.running for each in platform.foundation.status()):
        assert platform.meter.history(0.0) == []
        pytest.skip("no watchdog runs in this environment: nobody records")


@pytest.mark.usefixtures("recorded_by_somebody")
def test_every_request_since_a_release_was_first_seen_is_on_record(world: World) -> None:
    began = time.time()
    release = world.up()
    meter, number = world.platform.meter, release.number

    def recorded() -> tuple[int, int]:
        own = [span for span in meter.history(began) if span.number == number]
        assert all(span.start < span.end for span in own)
        assert all(span.latencies.total <= span.requests for span in own)
        return len(own), sum(span.requests for span in own)

    world.serve(**{f"r{number}": 100})
    assert eventually(lambda: recorded()[0] > 0, SOON)
    before = recorded()[1]
    for _ in range(40):
        assert world.get()[0] == 200
    assert eventually(lambda: recorded()[1] == before + 40, SOON), recorded()
    assert all(span.start >= began for span in meter.history(began))
    assert meter.history(time.time() + 60.0) == []
