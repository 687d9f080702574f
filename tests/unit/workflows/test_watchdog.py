"""The environment's watchdog, on a platform in memory."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Sample, Span
from backendctl.platforms.local.layout import Layout
from backendctl.rollout.deadman import CONFIRM, Orphan
from backendctl.rollout.events import Ended, Event, Shifted
from backendctl.rollout.history import serving
from backendctl.rollout.lease import LEASE
from backendctl.rollout.states import Result
from backendctl.workflows.rollouts import explain_rollout, history, recover
from backendctl.workflows.watchdog import Task, restore_recorded
from backendctl.workflows.watching import (
    LONGEST_WAIT,
    NAME,
    SPAN,
    Recorder,
    log_line,
    pause_after,
    restore,
    watch,
)
from tests.fakes.platform import Fake, Killed, fake_platform
from tests.fakes.rollouts import Desk, means, spec_with


class World:
    """An environment whose first release serves, and what its watchdog says."""

    def __init__(self) -> None:
        self.fake: Fake = fake_platform()
        self.desk = Desk(self.fake, spec_with(steps=(10, 50), hold=600.0))
        assert self.desk.deploy().result == "promoted"
        self.said: list[str] = []

    def die_at(self, share: int) -> None:
        """A second deploy, whose driver is killed once the candidate has that share."""

        def killed(event: object) -> None:
            if isinstance(event, Shifted) and event.weights.get(2) == share:
                raise Killed

        self.desk.on_event = killed
        with pytest.raises(Killed):
            self.desk.deploy()
        self.fake.store.dead.add(self.desk.owner)

    def leave_held(self) -> None:
        """A second deploy, which ends in a hold because nothing can be measured any more."""

        def go_silent(event: object) -> None:
            if isinstance(event, Shifted):
                self.fake.env.meter_down = True

        self.desk.on_event = go_silent
        assert self.desk.deploy().result == "held"
        self.fake.env.meter_down = False

    def watch(self, wait: float = 0.0) -> Orphan:
        return watch(self.fake.store, lambda: None, self.fake.clock, self.said.append, wait)

    def restore(self, orphan: Orphan) -> bool:
        return restore(self.fake.platform, orphan, self.said.append, means(self.fake))

    def assert_restored(self) -> None:
        env, now = self.fake.env, serving(self.fake.store)
        assert (now.stable, now.rollout_in_flight) == (1, None)
        assert env.routes is not None
        assert dict(env.routes.weights) == {1: 100}
        assert self.fake.platform.runtime.running() == [1]
        assert env.broken_rules == []
        assert env.failed == 0


@pytest.fixture
def world() -> World:
    return World()


def test_stable_is_restored_soon_after_the_dead_drivers_lease(world: World) -> None:
    world.die_at(10)
    began = world.fake.clock.monotonic()
    assert world.restore(world.watch())
    assert world.fake.clock.monotonic() - began <= LEASE + CONFIRM + 3.0
    world.assert_restored()


def test_history_and_explain_say_who_restored_it_and_why(world: World) -> None:
    world.die_at(50)
    world.restore(world.watch())
    newest = next(iter(history(world.fake.platform)))
    assert newest.why == (
        "its driver was gone, and nobody recovered it before its lease had run out; "
        "the environment's watchdog took over"
    )
    told = explain_rollout(world.fake.platform, means=means(world.fake))
    assert f"recover: undo by {NAME}" in [line.what for line in told.timeline]
    assert any("restored" in line for line in world.said)


def test_those_who_are_told_of_rollouts_are_told_of_its_end(world: World) -> None:
    world.die_at(10)
    told: list[Event] = []
    listening = replace(means(world.fake), notify=told.append)
    restore(world.fake.platform, world.watch(), world.said.append, listening)
    assert [event.result for event in told if isinstance(event, Ended)] == [Result.RESTORED]


def test_without_what_up_wrote_down_it_says_so_and_tries_again(
    world: World, tmp_path: Path
) -> None:
    world.die_at(10)
    assert not restore_recorded(Layout(tmp_path, "local"), world.watch(), world.said.append)
    assert "cannot be brought to an end" in world.said[0]


def test_a_rollout_that_was_past_its_bake_is_finished(world: World) -> None:
    def killed_while_draining(name: str) -> None:
        if name == "drain:before":
            raise Killed

    world.fake.env.point = killed_while_draining
    with pytest.raises(Killed):
        world.desk.deploy()
    world.fake.env.point = lambda _: None
    world.fake.store.dead.add(world.desk.owner)
    assert world.restore(world.watch())
    assert serving(world.fake.store).stable == 2


def test_a_hold_whose_deadline_passed_is_undone_as_its_policy_says(world: World) -> None:
    world.leave_held()
    began = world.fake.clock.monotonic()
    orphan = world.watch()
    assert orphan.overdue
    assert world.fake.clock.monotonic() - began >= 599.0
    assert world.restore(orphan)
    world.assert_restored()
    newest = next(iter(history(world.fake.platform)))
    assert "nobody decided before the hold's deadline" in newest.why
    told = explain_rollout(world.fake.platform, means=means(world.fake))
    assert f"recover: go-on by {NAME}" in [line.what for line in told.timeline]


def test_a_hold_is_not_ended_before_its_deadline_even_when_asked_to_restore_it(
    world: World,
) -> None:
    world.leave_held()
    until = world.fake.clock.now() + 600.0
    epoch = world.fake.store.epoch()
    assert world.restore(Orphan("0002", epoch, overdue=False))
    assert serving(world.fake.store).rollout_in_flight == "0002"  # a hold is no lapse
    epoch = world.fake.store.epoch()
    assert world.restore(Orphan("0002", epoch, overdue=True))
    assert world.fake.clock.now() >= until - 1.0
    world.assert_restored()


def test_a_person_who_was_quicker_is_not_disturbed(world: World) -> None:
    world.die_at(10)
    orphan = world.watch()
    world.fake.store.acquire("bob", "rollout recover", LEASE)
    before = world.fake.store.records("0002")
    assert world.restore(orphan)
    assert world.fake.store.records("0002") == before
    assert world.said == []


def test_a_person_who_has_come_and_gone_since_is_not_disturbed(world: World) -> None:
    world.die_at(10)
    orphan = world.watch()
    world.fake.store.release(world.fake.store.acquire("bob", "rollout pause", LEASE))
    before = world.fake.store.records("0002")
    assert world.restore(orphan)
    assert world.fake.store.records("0002") == before


def test_a_person_who_takes_over_in_the_middle_has_the_last_word(world: World) -> None:
    world.die_at(10)
    orphan = world.watch()

    def bob_takes_over(name: str) -> None:
        if name == "drain:before":
            world.fake.env.point = lambda _: None
            world.fake.store.acquire("bob", "rollout recover", LEASE, take_over=True)

    world.fake.env.point = bob_takes_over
    assert world.restore(orphan)
    assert world.said == []
    holder = world.fake.store.holder()
    assert holder is not None
    assert holder.owner == "bob"


def test_a_watchdog_killed_at_any_point_of_restoring_is_followed_by_one_that_finishes() -> None:
    for point in itertools.count():
        world = World()
        world.die_at(50)
        orphan = world.watch()
        passed: list[str] = []

        def look(name: str, passed: list[str] = passed, point: int = point) -> None:
            passed.append(name)
            if len(passed) == point + 1:
                raise Killed

        world.fake.env.point = look
        try:
            world.restore(orphan)
        except Killed:
            world.fake.env.point = lambda _: None
            world.fake.store.dead.add(NAME)
            if serving(world.fake.store).rollout_in_flight is not None:
                world.fake.store.dead.clear()
                assert world.restore(world.watch())
        world.assert_restored()
        if point >= len(passed):
            break
    assert point > 15


def test_a_full_disk_is_said_and_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.die_at(10)
    orphan = world.watch()

    def full(*_: object) -> None:
        raise BackendctlError("platform.disk-full", "no space left to write holder.json")

    with monkeypatch.context() as broken:
        broken.setattr(world.fake.store, "acquire", full)
        assert not world.restore(orphan)
    assert "no space left" in world.said[0]
    assert world.restore(world.watch(pause_after(1)))
    world.assert_restored()


def test_waits_between_attempts_grow_and_stay_bounded() -> None:
    assert [pause_after(n) for n in (0, 1, 2, 3)] == [0.0, 1.0, 2.0, 4.0]
    assert pause_after(50) == LONGEST_WAIT


def test_a_store_that_cannot_be_read_for_a_while_is_said_and_looked_at_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.die_at(10)
    holder, failures = world.fake.store.holder, itertools.count()

    def sometimes() -> object:
        if next(failures) < 5:
            raise PermissionError(13, "Permission denied")
        return holder()

    monkeypatch.setattr(world.fake.store, "holder", sometimes)
    assert world.restore(world.watch())
    assert "cannot be read" in world.said[0]
    world.assert_restored()


def test_somebody_who_recovers_first_leaves_the_watchdog_nothing_to_do(world: World) -> None:
    world.die_at(10)
    recover(world.fake.platform, lambda _: None, by="bob", means=means(world.fake))
    began = world.fake.clock.monotonic()

    def two_minutes() -> None:
        if world.fake.clock.monotonic() - began > 120.0:
            raise Killed

    with pytest.raises(Killed):
        watch(world.fake.store, two_minutes, world.fake.clock, world.said.append, 0.0)


def test_a_task_survives_its_command_line() -> None:
    for task in (
        Task(Path("/srv/shop/.backendctl/local"), ("1.2.0", "ab12"), 3, Orphan("0007", 41, True)),
        Task(Path("/srv/shop/.backendctl/local"), ("1.2.0", "ab12"), 0),
    ):
        assert Task.parse(task.arguments) == task
    assert Task.parse(["/srv/x", "1.2.0", "ab12"]) == Task(Path("/srv/x"), ("1.2.0", "ab12"))


def test_the_same_trouble_is_said_once_in_a_while(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    say = log_line(world.fake.clock)
    for _ in range(700):
        say("the disk is full")
        world.fake.clock.wait(1.0)
    assert len(capsys.readouterr().out.splitlines()) == 2


# --- recording --------------------------------------------------------------------------------


def record(world: World, seconds: float) -> list[Span]:
    kept: list[Span] = []
    recorder = Recorder(
        world.fake.platform.meter.sample, kept.extend, world.fake.clock, world.said.append
    )
    began = world.fake.clock.monotonic()
    while world.fake.clock.monotonic() - began <= seconds:
        recorder.turn()
        world.fake.clock.wait(1.0)
    return kept


def test_traffic_is_recorded_in_spans_that_follow_each_other(world: World) -> None:
    kept = record(world, 60.0)
    assert len(kept) == 6
    assert all(a.end == b.start for a, b in itertools.pairwise(kept))
    assert all(span.requests == pytest.approx(50.0 * SPAN, abs=1) for span in kept)


def test_a_span_in_which_the_gateway_cannot_be_asked_is_left_out_and_said(world: World) -> None:
    world.fake.env.meter_down = True
    assert record(world, 30.0) == []
    assert "traffic is not recorded" in world.said[0]
    world.fake.env.meter_down = False
    assert len(record(world, 30.0)) == 3


def test_counters_that_began_anew_are_left_out(world: World) -> None:
    before = record(world, 10.0)
    world.fake.env.counters.clear()
    assert len(before) == 1
    assert all(span.requests >= 0 for span in record(world, 30.0))


def test_a_halted_machine_leaves_a_gap_and_no_long_span(world: World) -> None:
    kept: list[Span] = []

    def look() -> Sample:
        return world.fake.platform.meter.sample()

    recorder = Recorder(look, kept.extend, world.fake.clock, world.said.append)
    recorder.turn()
    world.fake.clock.wait(3600.0)
    recorder.turn()
    assert kept == []
    world.fake.clock.wait(SPAN)
    recorder.turn()
    assert len(kept) == 1


@pytest.mark.parametrize(
    "error",
    [
        BackendctlError("platform.disk-full", "no space left", cause="ENOSPC"),
        OSError("no space left"),
    ],
)
def test_a_disk_that_takes_no_record_stops_nothing(world: World, error: Exception) -> None:
    def full(_: object) -> None:
        raise error

    recorder = Recorder(world.fake.platform.meter.sample, full, world.fake.clock, world.said.append)
    for _ in range(5):
        recorder.turn()
        world.fake.clock.wait(SPAN)
    assert any("no space left" in line for line in world.said)
