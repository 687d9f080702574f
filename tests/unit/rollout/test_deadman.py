"""The dead-man's switch: who is left alone, for how long, and who never is."""

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Grant
from backendctl.rollout.deadman import CONFIRM, STUCK, DeadMan, InFlight, Orphan, in_flight
from backendctl.rollout.lease import LEASE
from backendctl.rollout.states import HoldKind
from tests.fakes.platform import Fake, fake_platform

BEGUN = {"kind": "begun", "phase": "step"}
ENDED = {"kind": "outcome", "phase": "done", "ended": "promoted"}


def held(until: float, kind: str = "inconclusive") -> dict[str, object]:
    return {"kind": "block", "phase": "hold", "hold": {"kind": kind, "until": until}}


class World:
    """A store, a clock, and somebody who looks once a second."""

    def __init__(self) -> None:
        self.fake: Fake = fake_platform()
        self.store, self.clock = self.fake.store, self.fake.clock
        self.deadman = DeadMan(self.store, self.clock)
        self.grant: Grant | None = None

    def begin(self, *records: dict[str, object]) -> None:
        """A rollout, driven by somebody who holds the environment from now on."""
        self.grant = self.store.acquire("ann", "deploy", LEASE)
        for record in records:
            self.store.append(self.grant, "0001", record)

    def seconds_until_orphan(self, most: float) -> tuple[float, Orphan | None]:
        """Look once a second; when the rollout was an orphan, and which."""
        began = self.clock.monotonic()
        while self.clock.monotonic() - began <= most:
            found = self.deadman.look()
            if found is not None:
                return self.clock.monotonic() - began, found
            self.clock.wait(1.0)
        return most, None


@pytest.fixture
def world() -> World:
    return World()


def test_nothing_is_an_orphan_in_an_environment_that_is_quiet(world: World) -> None:
    assert world.seconds_until_orphan(3600.0)[1] is None
    world.begin(BEGUN, ENDED)
    assert world.seconds_until_orphan(3600.0)[1] is None


def test_a_driver_that_renews_its_lease_is_never_disturbed(world: World) -> None:
    world.begin(BEGUN)
    for _ in range(200):
        assert world.grant is not None
        world.store.renew(world.grant, LEASE)
        world.clock.wait(5.0)
        assert world.deadman.look() is None


def test_a_dead_driver_is_waited_for_until_its_lease_has_run_out(world: World) -> None:
    world.begin(BEGUN)
    world.store.dead.add("ann")  # known to be dead: somebody at a terminal may recover it at once
    seconds, orphan = world.seconds_until_orphan(60.0)
    assert LEASE + CONFIRM <= seconds <= LEASE + CONFIRM + 2.0
    assert orphan == Orphan("0001", 1, overdue=False)


def test_a_starved_driver_that_renews_late_keeps_its_rollout(world: World) -> None:
    world.begin(BEGUN)
    world.clock.wait(LEASE + 0.5)
    assert world.deadman.look() is None  # lapsed, not yet confirmed
    assert world.grant is not None
    world.store.renew(world.grant, LEASE)
    world.clock.wait(CONFIRM)
    assert world.deadman.look() is None


def test_a_starved_driver_that_still_writes_keeps_its_rollout(world: World) -> None:
    world.begin(BEGUN)
    world.clock.wait(LEASE)
    assert world.deadman.look() is None
    world.clock.wait(CONFIRM)
    assert world.grant is not None
    world.store.append(world.grant, "0001", ENDED)
    assert world.seconds_until_orphan(60.0)[1] is None


def test_an_environment_given_back_in_the_middle_of_a_rollout_is_an_orphan_one_lease_later(
    world: World,
) -> None:
    world.begin(BEGUN)
    assert world.grant is not None
    world.store.release(world.grant)
    seconds, orphan = world.seconds_until_orphan(60.0)
    assert LEASE <= seconds <= LEASE + 1.0
    assert orphan is not None


def test_somebody_who_holds_the_environment_for_a_moment_starts_the_wait_anew(
    world: World,
) -> None:
    world.begin(BEGUN)
    assert world.grant is not None
    world.store.release(world.grant)
    world.deadman.look()
    world.clock.wait(LEASE - 1.0)
    world.store.release(world.store.acquire("bob", "deploy", LEASE))  # between two looks
    assert world.deadman.look() is None
    seconds, _ = world.seconds_until_orphan(60.0)
    assert seconds >= LEASE - 1.0


def test_a_hold_without_a_driver_waits_for_its_own_deadline(world: World) -> None:
    world.begin(BEGUN, held(world.clock.now() + 4000.0))
    seconds, orphan = world.seconds_until_orphan(5000.0)
    assert 4000.0 <= seconds <= 4002.0
    assert orphan == Orphan("0001", 1, overdue=True)


def test_a_hold_whose_driver_lives_is_its_drivers_business(world: World) -> None:
    world.begin(BEGUN, held(world.clock.now() + 10.0))
    for _ in range(20):
        assert world.grant is not None
        world.store.renew(world.grant, LEASE)
        world.clock.wait(5.0)
        assert world.deadman.look() is None


def test_a_hold_that_went_on_is_no_hold_any_more(world: World) -> None:
    world.begin(BEGUN, held(world.clock.now() + 4000.0), {"kind": "command", "phase": "step"})
    assert in_flight(world.store) == InFlight("0001", None)
    seconds, orphan = world.seconds_until_orphan(100.0)
    assert seconds <= LEASE + CONFIRM + 2.0
    assert orphan == Orphan("0001", 1, overdue=False)


def test_a_rollout_that_is_stuck_waits_for_nobody(world: World) -> None:
    assert STUCK == HoldKind.STUCK
    world.begin(BEGUN, held(world.clock.now() + 4000.0, kind="stuck"))
    assert world.seconds_until_orphan(100.0)[1] == Orphan("0001", 1, overdue=False)


def test_a_clock_set_forward_ends_no_hold_early(world: World) -> None:
    world.begin(BEGUN, held(world.clock.now() + 4000.0))
    assert world.seconds_until_orphan(100.0)[1] is None
    world.clock.step(86_400.0)
    assert world.seconds_until_orphan(3800.0)[1] is None
    assert world.seconds_until_orphan(200.0)[1] is not None


def test_a_clock_set_back_keeps_no_hold_waiting(world: World) -> None:
    world.begin(BEGUN, held(world.clock.now() + 100.0))
    assert world.seconds_until_orphan(50.0)[1] is None
    world.clock.step(-86_400.0)
    assert world.seconds_until_orphan(60.0)[1] is not None


def test_what_cannot_be_read_is_raised_and_looked_at_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.begin(BEGUN)
    world.clock.wait(LEASE)

    def unreadable(_: str) -> None:
        raise BackendctlError("journal.corrupt", "a gap")

    with monkeypatch.context() as broken:
        broken.setattr(world.store, "records", unreadable)
        with pytest.raises(BackendctlError):
            world.deadman.look()
    assert world.seconds_until_orphan(60.0)[1] is not None
