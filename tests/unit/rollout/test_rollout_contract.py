"""Migrations that wait for the end of the bake: never while an older release can still serve."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from backendctl.migrations.revisions import Revision, Tool
from backendctl.platforms.base import SchemaRange
from backendctl.rollout.verdict import Decision
from backendctl.spec.model import Strategy
from backendctl.workflows.rollouts import Means, Outcome, recover
from tests.fakes.judges import ScriptedJudge
from tests.fakes.platform import Behaviour, Killed, fake_platform
from tests.fakes.rollouts import Desk, spec_with

QUICK = {"steps": (50,), "warm_up": 0.0, "step_time": 3.0, "bake": 3.0, "deadline": 30.0}
SCHEMA = SchemaRange("a", "b", Tool.ALEMBIC, (Revision("a"), Revision("b", ("a",))))


class Story:
    """Release 1 serves; release 2 has a contract migration and no other."""

    def __init__(self, judge: ScriptedJudge, strategy: Strategy) -> None:
        self.fake = fake_platform()
        self.desk = Desk(self.fake, spec_with(**QUICK))
        self.strategy = strategy
        self.means = Means(clock=self.fake.clock, probe=self.fake.probe)
        self.desk.deploy(means=replace(self.means, judge=ScriptedJudge()))
        self.means = replace(self.means, judge=judge)
        self.applied = 0

    def deploy(self) -> Outcome:
        made = self.fake.make_release(schema=SCHEMA)
        processes = replace(made.processes, contract=("alembic", "upgrade", "head"))
        made = replace(made, processes=processes)
        return self.desk.roll_out(made, self.desk.lease(), self.strategy, means=self.means)

    def look(self, name: str) -> None:
        if name == "job:before":
            assert self.fake.platform.runtime.running() == [2]
            assert self.fake.env.connected == {2}
            self.applied += 1

    def watch(self, kill_at: int = -1) -> list[str]:
        passed: list[str] = []

        def point(name: str) -> None:
            self.look(name)
            passed.append(name)
            if len(passed) == kill_at + 1:
                raise Killed

        self.fake.env.point = point
        return passed

    def recover(self) -> Outcome | None:
        self.fake.env.point = self.look
        self.fake.store.dead.add(self.desk.owner)
        self.fake.clock.wait(2.0)
        return recover(self.fake.platform, lambda _: None, by="bob", means=self.means).outcome


GOOD, BAD = ScriptedJudge(), ScriptedJudge(says=((0, Decision.FAIL),))
STORIES: dict[str, Callable[[], Story]] = {
    f"{word} {strategy}": lambda judge=judge, strategy=strategy: Story(judge, strategy)  # type: ignore[misc]
    for word, judge in (("good", GOOD), ("bad", BAD))
    for strategy in Strategy
}


@pytest.mark.parametrize("name", STORIES)
def test_it_is_applied_after_a_promotion_and_only_then(name: str) -> None:
    story = STORIES[name]()
    story.watch()
    done = story.deploy()
    assert done.result == ("promoted" if name.startswith("good") else "restored")
    assert story.applied == (1 if done.result == "promoted" else 0)


@pytest.mark.parametrize("name", STORIES)
def test_killed_at_any_point_and_recovered_it_is_applied_if_promoted(name: str) -> None:
    whole = STORIES[name]()
    points = whole.watch()
    whole.deploy()
    for point in range(len(points)):
        story = STORIES[name]()
        story.watch(kill_at=point)
        with pytest.raises(Killed):
            story.deploy()
        outcome = story.recover()
        if outcome is not None and outcome.result == "restored":
            assert story.applied == 0, point
        if outcome is not None and outcome.result == "promoted":
            assert story.applied in (1, 2), point  # half done is done again
        assert story.fake.env.failed == 0


def test_one_that_fails_leaves_the_release_serving_and_is_told() -> None:
    story = Story(GOOD, Strategy.BLUE_GREEN)
    story.fake.env.behaviours[2] = Behaviour(migration_status=1)
    done = story.deploy()
    assert (done.result, done.serving) == ("promoted", 2)
    (note,) = done.notes
    assert "could not run the contract migration of release 2" in note
    assert "ended with status 1" in note
