"""Numbers per release on every platform, against what its users themselves counted."""

import http.client
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from backendctl.platforms.base import ArmSample, Platform, Routes

from .platforms import Target
from .world import World, eventually


@dataclass
class Pair:
    """Two releases that are up and share the traffic."""

    world: World
    one: int
    two: int

    def arms(self) -> dict[int, ArmSample]:
        return dict(self.world.platform.meter.sample().arms)

    def share(self, two: int) -> None:
        self.world.platform.router.apply(Routes({self.one: 100 - two, self.two: two}))

    def since(self, before: dict[int, ArmSample], number: int) -> ArmSample:
        """What a release counted since that sample; only differences mean anything."""
        old, new = before[number], self.arms()[number]
        return replace(
            new,
            requests=new.requests - old.requests,
            errors=new.errors - old.errors,
            refused=new.refused - old.refused,
            masked=new.masked - old.masked,
        )


@pytest.fixture(scope="module")
def standing(
    platform: Platform, target: Target, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    with World.of(platform, target, tmp_path_factory.mktemp("pair")) as world:
        one, two = world.up(replicas=2), world.up(replicas=2)
        yield Pair(world, one.number, two.number)


@pytest.fixture
def pair(standing: Pair) -> Pair:
    standing.share(50)
    return standing


def counted(world: World, number: int, wanted: Callable[[ArmSample], bool]) -> ArmSample:
    """The release's sample once it is as wanted: a gateway may show times a moment late."""
    assert eventually(lambda: wanted(world.platform.meter.sample().arms[number]), 30), (
        world.platform.meter.sample().arms[number]
    )
    return world.platform.meter.sample().arms[number]


def test_requests_and_errors_of_both_arms_are_exact_across_changes_of_weight(pair: Pair) -> None:
    before = pair.arms()
    mix = (("GET", "/new?status=500"), ("POST", "/keep"), ("GET", "/new?status=404"))
    with pair.world.users(45, *mix) as load:
        for two in (20, 50, 100):
            load.run(1)
            pair.share(two)
        load.run(1)
    users = Counter(int(outcome.release) for outcome in load.outcomes)
    failed = Counter(int(outcome.release) for outcome in load.failed)
    refused = Counter(int(each.release) for each in load.outcomes if each.status == 404)
    assert min(users[pair.one], users[pair.two]) > 20
    for number in (pair.one, pair.two):
        arm = pair.since(before, number)
        assert (arm.requests, arm.errors, arm.masked) == (users[number], failed[number], 0)
        assert arm.refused == refused[number]


def test_times_are_counted_over_and_under_their_edges(pair: Pair) -> None:
    pair.share(0)
    # Whole before it is looked at: what earlier scenarios took may still be on its way.
    before = counted(pair.world, pair.one, lambda arm: arm.latencies.total == arm.requests)
    for _ in range(12):
        pair.world.get("/new")
    for _ in range(4):
        pair.world.get("/new?sleep=1.2")
    total = before.latencies.total + 16
    after = counted(pair.world, pair.one, lambda arm: arm.latencies.total == total)
    assert after.latencies.edges_ms == before.latencies.edges_ms

    def slower(threshold: float) -> int:
        return after.latencies.slower_than(threshold) - before.latencies.slower_than(threshold)

    assert slower(1000) == 4
    assert slower(3000) == 0
    assert list(after.latencies.at_most) == sorted(after.latencies.at_most)


def test_every_connected_release_is_in_the_sample_with_its_healthy_processes(pair: Pair) -> None:
    pair.share(0)
    assert eventually(lambda: {n: a.healthy for n, a in pair.arms().items()} == pair_of_two(pair))


def pair_of_two(pair: Pair) -> dict[int, int]:
    return {pair.one: 2, pair.two: 2}


def test_streams_in_flight_do_not_look_like_failures(pair: Pair) -> None:
    before = pair.arms()
    with pair.world.users(15, ("GET", "/new?stream=10")) as load:
        load.run(0.5)
        seen = [pair.since(before, number) for number in (pair.one, pair.two) for _ in range(5)]
    assert load.failed == []
    assert {(arm.errors, arm.masked) for arm in seen} == {(0, 0)}


def test_clients_that_hang_up_do_not_look_like_failures(pair: Pair) -> None:
    before = pair.arms()
    connections = [pair.world.connection() for _ in range(8)]
    for connection in connections:
        pair.world.ask(connection, "/new?sleep=1")
    threading.Event().wait(0.3)
    for connection in connections:
        connection.close()
    with pair.world.users(20, ("GET", "/new")) as load:
        load.run(1.2)
    assert load.failed == []
    for number in (pair.one, pair.two):
        arm = pair.since(before, number)
        assert (arm.errors, arm.masked) == (0, 0)


def test_a_response_that_was_cut_short_is_an_error_of_its_release(world: World) -> None:
    one, two = world.up().number, world.up().number
    world.platform.router.apply(Routes({one: 0, two: 100}))
    before = world.platform.meter.sample().arms
    connection = world.connection()
    world.ask(connection, "/new?stream=20&cut=1")
    with pytest.raises((http.client.IncompleteRead, OSError)):
        connection.getresponse().read()
    counted(world, two, lambda arm: arm.errors == before[two].errors + 1)
    assert world.platform.meter.sample().arms[one].errors == before[one].errors


def test_a_release_that_comes_back_is_never_counted_twice(world: World) -> None:
    """Counters may begin anew, or go on; they may not jump."""
    one, two = world.up().number, world.up().number
    router, meter = world.platform.router, world.platform.meter
    router.apply(Routes({one: 50, two: 50}))
    for _ in range(20):
        world.get("/new")
    before = meter.sample().arms[two]
    router.apply(Routes({one: 100}))
    router.disconnect(two)
    assert two not in meter.sample().arms
    router.connect(two, 30)
    router.apply(Routes({one: 100, two: 0}))
    again = meter.sample().arms[two]
    assert again.requests <= before.requests
    router.apply(Routes({one: 0, two: 100}))
    for _ in range(5):
        world.get("/new")
    assert meter.sample().arms[two].requests == again.requests + 5
