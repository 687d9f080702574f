"""A rollout whose journal is on a disk that fills up, or turns read-only, at every record."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Grant
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.store import LocalStore
from backendctl.rollout.history import serving
from backendctl.rollout.lease import LEASE, held
from backendctl.rollout.records import check
from backendctl.spec.model import Strategy
from backendctl.workflows.rollouts import Means, Outcome, recover, run_rollout
from tests.fakes.judges import ScriptedJudge
from tests.fakes.platform import Fake, fake_platform
from tests.fakes.rollouts import spec_with
from tests.faults.test_store_faults import Disk, disk

__all__ = ["disk"]
pytestmark = pytest.mark.faults

SPEC = spec_with(steps=(10, 50), warm_up=0.0, step_time=3.0, bake=3.0, deadline=30.0)
BREAKS = {
    "full": (Disk.fill, "platform.disk-full"),
    "read-only": (Disk.make_read_only, "platform.permission"),
}


class BreakingStore(LocalStore):
    """Breaks its disk right before one record of the second rollout."""

    written = 0
    breaks_at = -1
    disk_breaks: Callable[[], None]

    def append(self, grant: Grant, rollout: str, record: Mapping[str, Any]) -> None:
        if rollout != "0001":
            self.written += 1
            if self.written == self.breaks_at:
                self.disk_breaks()
        super().append(grant, rollout, record)


class World:
    """The fake platform with the real store of this machine."""

    def __init__(self, folder: Path) -> None:
        made = fake_platform()
        self.store = BreakingStore(Layout(folder, "local"), made.clock)
        platform = replace(made.platform, store=self.store)
        self.fake = Fake(platform, made.env, made.clock, self.store)  # type: ignore[arg-type]
        self.means = Means(clock=made.clock, probe=self.fake.probe, judge=ScriptedJudge())

    def deploy(self) -> Outcome:
        with held(self.store, "ann", "deploy", clock=self.fake.clock) as lease:
            return run_rollout(
                self.fake.platform,
                SPEC,
                self.fake.add_release(lease.grant, migrate=True),
                Strategy.CANARY,
                lambda _: None,
                lease=lease,
                by="ann",
                means=self.means,
            )

    def assert_whole(self) -> None:
        env, now = self.fake.env, serving(self.store)
        assert now.rollout_in_flight is None
        assert now.stable is not None
        assert env.routes is not None
        assert dict(env.routes.weights) == {now.stable: 100}
        assert self.fake.platform.runtime.running() == [now.stable]
        assert (env.failed, env.broken_rules) == (0, [])
        for rollout in self.store.rollouts():
            assert check(self.store.records(rollout), self.means.judge) == []


@pytest.fixture
def worlds(disk: Disk) -> Iterator[Callable[[], World]]:
    """New worlds, one after the other on the same small disk."""

    def make() -> World:
        disk.make_good()
        folder = disk.folder / "world"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        world = World(folder)
        assert world.deploy().result == "promoted"
        return world

    return make


@pytest.mark.parametrize("how", BREAKS)
def test_a_disk_that_breaks_at_any_record_stops_the_rollout_whole_and_it_is_recovered(
    disk: Disk, worlds: Callable[[], World], how: str
) -> None:
    breaks, code = BREAKS[how]
    whole = worlds()
    assert whole.deploy().result == "promoted"
    assert whole.store.written > 15
    for record in range(1, whole.store.written + 1):
        world = worlds()
        world.store.disk_breaks = lambda: breaks(disk)
        world.store.breaks_at = record
        with pytest.raises(BackendctlError) as caught:
            world.deploy()
        assert caught.value.code == code
        if record > 1:
            assert_says_where_things_stand(caught.value, world)
        routes = world.fake.env.routes
        world.fake.clock.wait(2 * LEASE)
        assert world.fake.env.routes == routes
        assert world.fake.env.failed == 0
        disk.make_good()
        recover(world.fake.platform, lambda _: None, by="bob", means=world.means)
        world.assert_whole()


def assert_says_where_things_stand(error: BackendctlError, world: World) -> None:
    assert error.next[0].startswith("backendctl rollout")
    if "could not be given back: " in error.message:  # its last records fitted in the last page
        assert serving(world.store).rollout_in_flight is None
        return
    assert "is in phase" in error.state
    begun = ("the rollout's journal cannot be written: ", "the lease cannot be renewed: ")
    assert error.message.startswith(begun)
