"""The same numbers through a Prometheus server: now, and for the time before."""

import os
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from backendctl.platforms.base import ArmSample, Routes
from tests.conformance.platforms import counted_by_prometheus
from tests.conformance.world import World
from tests.waiting import eventually

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    target = counted_by_prometheus(os.environ["BACKENDCTL_TEST_PROMETHEUS"])
    folder = tmp_path_factory.mktemp("prometheus")
    with target.open(folder) as platform, World.of(platform, target, folder) as found:
        yield found


def test_prometheus_tells_what_users_saw_and_remembers_it(world: World) -> None:
    one, two = world.up().number, world.up().number
    world.platform.router.apply(Routes({one: 50, two: 50}))
    assert eventually(lambda: counted(world).keys() == {one, two}, 30)
    began, before = time.time(), counted(world)
    with world.users(20, ("GET", "/new"), ("GET", "/new?status=500")) as load:
        load.run(3)
    users = Counter(int(outcome.release) for outcome in load.outcomes)
    failed = Counter(int(outcome.release) for outcome in load.failed)

    def seen() -> dict[int, tuple[int, int]]:
        return {
            number: (arm.requests - before[number].requests, arm.errors - before[number].errors)
            for number, arm in counted(world).items()
        }

    assert eventually(lambda: seen() == {n: (users[n], failed[n]) for n in (one, two)}, 30), seen()
    assert eventually(lambda: remembered(world, began - 30) == users, 60), (
        remembered(world, began - 30),
        users,
    )
    world.platform.meter.leave_out(began - 60, time.time())
    assert world.platform.meter.history(began - 30) == []


def counted(world: World) -> dict[int, ArmSample]:
    return dict(world.platform.meter.sample().arms)


def remembered(world: World, since: float) -> Counter[int]:
    found: Counter[int] = Counter()
    for span in world.platform.meter.history(since):
        found[span.number] += span.requests
    return +found
