"""Which requests a release failed, as every platform's meter that can tell says it."""

import time

import pytest

from backendctl.platforms.base import ArmSample, Breakdown

from .world import World, eventually


def breakdown(world: World, number: int) -> Breakdown:
    found: ArmSample = world.platform.meter.sample().arms[number]
    assert found.breakdown is not None
    return found.breakdown


@pytest.fixture(autouse=True)
def told_apart(world: World) -> None:
    """A gateway may be one that cannot tell requests apart: then it says None, and not none."""
    release = world.up()
    if world.platform.meter.sample().arms[release.number].breakdown is None:
        assert list(world.platform.meter.failures(release.number, 10)) == []
        pytest.skip("this platform's gateway does not tell requests apart")


def test_failures_are_told_apart_by_release_and_endpoint(world: World) -> None:
    good, bad = world.up(), world.up()
    meter = world.platform.meter
    meter.sample()
    world.serve(**{f"r{good.number}": 0, f"r{bad.number}": 100})
    for order in (17, 18, 19):
        assert world.get(f"/broken/{order}?token=geheim")[0] == 500
    world.serve(**{f"r{good.number}": 100, f"r{bad.number}": 0})
    assert world.get("/broken/things")[0] == 500
    assert world.get("/")[0] == 200
    assert eventually(lambda: breakdown(world, good.number).errors == {"GET /broken/things": 1})
    assert breakdown(world, bad.number).errors == {"GET /broken/{id}": 3}
    (clients,) = breakdown(world, bad.number).clients.values()
    assert clients == {"GET /broken/{id}": 3}


def test_both_releases_know_a_client_by_the_same_name(world: World) -> None:
    one, two = world.up(), world.up()
    world.platform.meter.sample()
    for mine, other in ((one, two), (two, one)):
        world.serve(**{f"r{mine.number}": 100, f"r{other.number}": 0})
        world.get("/broken/1")
    assert eventually(lambda: bool(breakdown(world, two.number).clients))
    assert list(breakdown(world, one.number).clients) == list(breakdown(world, two.number).clients)


def test_a_client_that_fails_nothing_is_seen_in_a_sample(world: World) -> None:
    release = world.up()
    world.serve(**{f"r{release.number}": 100})
    world.platform.meter.sample()

    def seen() -> bool:
        for _ in range(20):
            world.get("/")
        return bool(breakdown(world, release.number).seen)

    assert eventually(seen)
    assert breakdown(world, release.number).errors == {}


def test_examples_of_failed_requests_hold_no_query_and_no_identifier(world: World) -> None:
    release = world.up()
    world.serve(**{f"r{release.number}": 100})
    began = time.time()
    for order in range(8):
        world.get(f"/broken/{order}?token=geheim")
    meter = world.platform.meter
    assert eventually(lambda: len(meter.failures(release.number, 100)) == 8)
    found = meter.failures(release.number, 5)
    assert [each.endpoint for each in found] == ["GET /broken/{id}"] * 5
    assert {each.status for each in found} == {500}
    assert all(began - 1 < each.at < time.time() + 1 for each in found)
    assert list(found) == sorted(found, key=lambda each: each.at)
    assert "geheim" not in repr(found)
