"""The driver dies, or is told to stop, at every single point; the environment must come out whole.

Points are before and after each journal append and each effect. `Killed` is kill -9: no handler of
ours runs. Afterwards another process recovers.
"""

import itertools
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from backendctl import interrupts
from backendctl.errors import BackendctlError
from backendctl.platforms.base import Release
from backendctl.rollout.events import (
    Aborting,
    BlockObserved,
    Event,
    IntentBegun,
    PhaseChanged,
    Shifted,
)
from backendctl.rollout.history import serving
from backendctl.rollout.records import check
from backendctl.rollout.verdict import Decision
from backendctl.spec.model import Strategy
from backendctl.workflows.rollouts import Means, Outcome, recover, run_rollback
from tests.fakes.judges import ScriptedJudge
from tests.fakes.platform import Behaviour, Killed, fake_platform
from tests.fakes.rollouts import Desk, spec_with

QUICK = {"steps": (10, 50), "warm_up": 0.0, "step_time": 3.0, "bake": 3.0, "deadline": 30.0}


class Story:
    """An environment in which a rollout is about to happen, made anew for each point."""

    def __init__(
        self,
        judge: ScriptedJudge,
        run: Callable[["Story"], Outcome],
        behaviour: Behaviour,
        mirror: int | None = None,
    ) -> None:
        self.judge = ScriptedJudge()
        self.fake = fake_platform()
        self.desk = Desk(self.fake, spec_with(**QUICK, mirror=mirror, mirror_time=3.0))
        self.deploy()
        self.fake.env.behaviours[2] = behaviour
        self.judge = judge
        self._run = run

    @property
    def means(self) -> Means:
        return Means(clock=self.fake.clock, probe=self.fake.probe, judge=self.judge)

    def deploy(self, strategy: Strategy = Strategy.CANARY) -> Outcome:
        lease = self.desk.lease()
        release = self.fake.add_release(lease.grant, migrate=True)
        return self.desk.roll_out(release, lease, strategy, means=self.means)

    def run(self) -> Outcome:
        return self._run(self)

    def rollback(self) -> Outcome:
        spec, told = self.desk.spec, self.desk.on_event
        return run_rollback(self.fake.platform, spec, told, by=self.desk.owner, means=self.means)

    def interrupt_at(self, point: int, error: Callable[[], BaseException]) -> list[str]:
        """Raise `error` at that point, counted from now; returns the names of points passed."""
        passed: list[str] = []

        def look(name: str) -> None:
            passed.append(name)
            if len(passed) == point + 1:
                raise error()

        self.fake.env.point = look
        return passed

    def kill_driver(self) -> None:
        self.fake.env.point = lambda name: None
        self.fake.store.dead.add(self.desk.owner)
        self.fake.clock.wait(2.0)

    def recover(self) -> Outcome | None:
        return recover(self.fake.platform, lambda _: None, by="bob", means=self.means).outcome

    def assert_whole(self) -> None:
        """Exactly the release that the journals say serves runs, and no user noticed."""
        env, now = self.fake.env, serving(self.fake.store)
        assert now.rollout_in_flight is None
        assert now.stable is not None
        assert env.routes is not None
        assert dict(env.routes.weights) == {now.stable: 100}
        assert env.routes.mirror is None
        assert self.fake.platform.runtime.running() == [now.stable]
        assert env.connected == {now.stable}
        assert env.broken_rules == []
        assert env.failed == 0
        # What the last driver decided is what its journal says, whenever it was interrupted.
        last = self.fake.store.rollouts()[-1]
        if last != "0001":  # which another verdict had judged
            assert check(self.fake.store.records(last), self.judge) == []


def canary(story: Story) -> Outcome:
    return story.deploy()


def blue_green(story: Story) -> Outcome:
    return story.deploy(Strategy.BLUE_GREEN)


def there_and_back(story: Story) -> Outcome:
    judge, story.judge = story.judge, ScriptedJudge()
    point, story.fake.env.point = story.fake.env.point, lambda name: None
    story.deploy()
    story.judge, story.fake.env.point = judge, point
    return story.rollback()


PASSES, FAILS = ScriptedJudge(), ScriptedJudge(says=((0, Decision.FAIL),))
FAILS_LATE = ScriptedJudge(says=((1, Decision.FAIL),))
STORIES: dict[str, Callable[[], Story]] = {
    "promoted canary": lambda: Story(PASSES, canary, Behaviour()),
    "convicted canary": lambda: Story(FAILS_LATE, canary, Behaviour()),
    "dying candidate": lambda: Story(PASSES, canary, Behaviour(dies_after=5.0)),
    "promoted blue-green": lambda: Story(PASSES, blue_green, Behaviour()),
    "convicted blue-green": lambda: Story(FAILS, blue_green, Behaviour()),
    "promoted canary with copies": lambda: Story(PASSES, canary, Behaviour(), 10),
    "promoted blue-green with copies": lambda: Story(PASSES, blue_green, Behaviour(), 10),
    "convicted by copies": lambda: Story(FAILS, canary, Behaviour(), 10),
    "rollback": lambda: Story(PASSES, there_and_back, Behaviour()),
}


def points_of(make: Callable[[], Story]) -> int:
    story = make()
    passed = story.interrupt_at(-2, Killed)
    story.run()
    return len(passed)


@pytest.mark.parametrize("name", STORIES)
def test_killed_at_any_point_and_recovered_it_ends_whole(name: str) -> None:
    make = STORIES[name]
    points = points_of(make)
    assert points > 30
    for point in range(points):
        story = make()
        story.interrupt_at(point, Killed)
        with pytest.raises(Killed):
            story.run()
        story.kill_driver()
        outcome = story.recover()
        if outcome is not None:
            assert outcome.result in ("promoted", "restored"), (point, outcome)
        story.assert_whole()
        assert story.recover() is None


@pytest.mark.parametrize("name", STORIES)
def test_told_to_stop_at_any_point_it_leaves_the_environment_whole(name: str) -> None:
    make = STORIES[name]
    for point in range(points_of(make)):
        story = make()
        story.interrupt_at(point, KeyboardInterrupt)
        try:
            outcome = story.run()
            assert outcome.result in ("promoted", "restored")
        except KeyboardInterrupt:
            assert serving(story.fake.store).rollout_in_flight is None  # before it was recorded
        story.assert_whole()


def test_killed_again_while_recovering_it_still_ends_whole() -> None:
    make = STORIES["promoted canary"]
    for first, second in itertools.product(range(8, points_of(make), 9), range(0, 30, 2)):
        story = make()
        story.interrupt_at(first, Killed)
        with pytest.raises(Killed):
            story.run()
        story.kill_driver()
        story.interrupt_at(second, Killed)
        try:
            story.recover()
        except Killed:
            story.fake.store.dead.add("bob")
            story.fake.env.point = lambda name: None
            story.recover()
        story.assert_whole()


def test_a_second_signal_leaves_at_once_and_says_how_to_go_on() -> None:
    story = STORIES["promoted canary"]()
    count = itertools.count()

    def twice(name: str) -> None:
        if next(count) in (40, 43):
            raise KeyboardInterrupt

    story.fake.env.point = twice
    with pytest.raises(BackendctlError) as left:
        story.run()
    assert left.value.code == "interrupted"
    assert left.value.next == ("backendctl rollout recover",)
    story.kill_driver()
    story.recover()
    story.assert_whole()


def test_a_driver_that_was_replaced_writes_and_does_nothing_more() -> None:
    story = STORIES["promoted canary"]()
    count = itertools.count()
    store, env = story.fake.store, story.fake.env
    applied_at_takeover: list[int] = []

    def replace_driver(name: str) -> None:
        if next(count) == 40:
            store.acquire("bob", "rollout recover", 15.0, take_over=True)
            applied_at_takeover.append(len(env.applied))

    env.point = replace_driver
    with pytest.raises(BackendctlError) as stopped:
        story.run()
    assert stopped.value.code == "rollout.fenced"
    assert len(env.applied) == applied_at_takeover[0]


def test_an_unforeseen_error_undoes_the_rollout_and_is_not_hidden() -> None:
    story = STORIES["promoted canary"]()
    router = story.fake.platform.router
    calls = itertools.count()
    apply = router.apply

    def breaks_once(*arguments: object) -> None:
        if next(calls) == 2:
            raise ZeroDivisionError("not foreseen")
        apply(*arguments)  # type: ignore[arg-type]

    router.apply = breaks_once  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError, match="not foreseen"):
        story.run()
    story.assert_whole()
    assert serving(story.fake.store).stable == 1


def test_a_watcher_that_breaks_does_not_break_the_rollout() -> None:
    story = STORIES["promoted canary"]()

    def closed(event: object) -> None:
        if isinstance(event, PhaseChanged):
            raise BrokenPipeError

    story.desk.on_event = closed
    assert story.run().result == "promoted"
    story.assert_whole()


def gateway_down_for(story: Story, seconds: float, when: type[Event]) -> None:
    """From the first such event of the rollout on."""
    env, clock = story.fake.env, story.fake.clock
    until: list[float] = []

    def look(event: Event) -> None:
        if isinstance(event, when) and not until:
            until.append(clock.now() + seconds)
            env.gateway_down = True

    def mend(_: float) -> None:
        if until and clock.now() >= until[0]:
            env.gateway_down = False

    story.desk.on_event = look
    clock.on_pass.append(mend)


@pytest.mark.parametrize("when", [PhaseChanged, IntentBegun, Shifted, BlockObserved])
def test_a_short_gateway_outage_is_waited_out(when: type[Event]) -> None:
    story = STORIES["promoted canary"]()
    gateway_down_for(story, 10.0, when)
    assert story.run().result == "promoted"
    story.assert_whole()


def test_an_api_server_that_is_away_for_a_moment_is_waited_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story = STORIES["promoted canary"]()
    runtime = type(story.fake.platform.runtime)
    start, away = runtime.start, [BackendctlError("missing.cluster", "away")] * 3

    def flaky(self: Any, release: Release) -> None:
        if away:
            raise away.pop()
        start(self, release)

    monkeypatch.setattr(runtime, "start", flaky)
    assert story.run().result == "promoted"
    assert not away
    story.assert_whole()


def test_a_gateway_outage_while_observing_ends_held_with_the_weights_as_they_were() -> None:
    story = STORIES["promoted canary"]()
    gateway_down_for(story, 200.0, Shifted)
    outcome = story.run()
    assert outcome.result == "held"
    assert "counters cannot be had" in outcome.reason
    story.fake.clock.wait(200.0)
    outcome = recover(
        story.fake.platform, lambda _: None, by="bob", wish="abort", means=story.means
    ).outcome
    assert outcome is not None
    assert outcome.result == "restored"
    story.assert_whole()


def test_stable_that_cannot_be_restored_is_said_and_recovered_later() -> None:
    story = STORIES["convicted canary"]()
    gateway_down_for(story, 200.0, Aborting)
    outcome = story.run()
    assert outcome.result == "held"
    assert "stable could not be restored" in outcome.reason
    assert outcome.next[-1] == "backendctl rollout recover"
    story.fake.clock.wait(200.0)
    recovered = story.recover()
    assert recovered is not None
    assert recovered.result == "restored"
    assert "convicted" in recovered.reason or "scripted: fail" in recovered.reason
    story.assert_whole()


def test_the_stories_differ() -> None:
    ends = {name: make().run().result for name, make in STORIES.items()}
    assert ends == {
        "promoted canary": "promoted",
        "convicted canary": "restored",
        "dying candidate": "restored",
        "promoted blue-green": "promoted",
        "convicted blue-green": "restored",
        "promoted canary with copies": "promoted",
        "promoted blue-green with copies": "promoted",
        "convicted by copies": "restored",
        "rollback": "promoted",
    }


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("point", [12, 30, 45])
def test_a_signal_whose_exception_is_lost_in_a_finalizer_still_undoes_the_rollout(
    point: int,
) -> None:
    class Collected:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0)  # bytecode on which the handler runs: what it raises stays in here

    story = STORIES["promoted canary"]()
    count = itertools.count()

    def collect(name: str) -> None:
        if next(count) == point:
            Collected()

    story.fake.env.point = collect
    former = signal.signal(signal.SIGTERM, interrupts.receive)
    try:
        outcome = story.run()
    finally:
        signal.signal(signal.SIGTERM, former)
        interrupts.heed()
    assert outcome.result == "restored"
    assert outcome.signalled
    story.assert_whole()
