"""The machine's clock is set, forward or back, while a rollout is under way or nobody drives it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from backendctl.rollout.history import serving
from backendctl.workflows.rollouts import Means, recover
from tests.fakes.platform import FakeClock, Killed
from tests.unit.rollout.test_rollout_crashes import QUICK, STORIES, Story, points_of

STEPS = (-86_400.0, -3_600.0, 3_600.0, 86_400.0)
"""Seconds."""


class SetClock:
    """A clock that somebody sets: the wall time jumps, durations do not."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.offset = 0.0

    def now(self) -> float:
        return self._clock.now() + self.offset

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def wait(self, seconds: float) -> None:
        self._clock.wait(seconds)


class SetStory(Story):
    """A story whose driver reads a clock that is set at some point."""

    def __init__(self, story: Story) -> None:
        vars(self).update(vars(story))
        self.clock = SetClock(self.fake.clock)

    @property
    def means(self) -> Means:
        return Means(clock=self.clock, probe=self.fake.probe, judge=self.judge)

    def set_at(self, point: int, step: float, kill: bool = False) -> None:
        passed = 0

        def look(name: str) -> None:
            nonlocal passed
            passed += 1
            if passed == point + 1:
                self.clock.offset += step
                if kill:
                    raise Killed

        self.fake.env.point = look


def shape(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(record["kind"], record.get("phase", "")) for record in records]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", ["promoted canary", "convicted blue-green", "rollback"])
def test_a_clock_set_while_a_driver_lives_changes_no_decision(name: str, step: float) -> None:
    make = STORIES[name]
    plain = SetStory(make())
    plain.run()
    store = plain.fake.store
    expected = [shape(store.records(rollout)) for rollout in store.rollouts()]
    for point in range(0, points_of(make), 5):
        story = SetStory(make())
        story.set_at(point, step)
        story.run()
        story.assert_whole()
        store = story.fake.store
        assert [shape(store.records(rollout)) for rollout in store.rollouts()] == expected


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", STORIES)
def test_a_clock_set_between_a_drivers_death_and_recovery_leaves_nothing_half_done(
    name: str, step: float
) -> None:
    make = STORIES[name]
    for point in range(0, points_of(make), 4):
        story = SetStory(make())
        story.set_at(point, step, kill=True)
        with pytest.raises(Killed):
            story.run()
        story.kill_driver()
        outcome = story.recover()
        if outcome is not None:
            assert outcome.result in ("promoted", "restored")
        story.assert_whole()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("phase", ["step", "bake"])
def test_a_rollout_promoted_by_a_person_after_a_clock_was_set_bakes_as_long_as_was_promised(
    phase: str, step: float
) -> None:
    story = SetStory(STORIES["promoted canary"]())

    def look(name: str) -> None:
        store = story.fake.store
        rollout = serving(store).rollout_in_flight
        if rollout is None or name != "append:after":
            return
        if [r["phase"] for r in store.records(rollout) if "phase" in r][-1] == phase:
            raise Killed

    story.fake.env.point = look
    with pytest.raises(Killed):
        story.run()
    story.kill_driver()
    story.clock.offset += step
    began = story.fake.clock.monotonic()
    outcome = recover(
        story.fake.platform, lambda _: None, by="bob", wish="promote", reason="x", means=story.means
    ).outcome
    took = story.fake.clock.monotonic() - began
    assert outcome is not None
    assert outcome.result == "promoted"
    assert QUICK["bake"] <= took <= QUICK["bake"] + 3.0, took
    story.assert_whole()
