"""Copies of read-only requests before the first weight, on the fake platform."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from backendctl.cli.rollout_events import Lines
from backendctl.cli.rollout_live import Picture
from backendctl.cli.rollout_told import sample_lines
from backendctl.platforms.base import (
    ArmSample,
    Latencies,
    Mirrored,
    PersonCommand,
    Routes,
    Sample,
)
from backendctl.rollout.copying import added, copied_between, copies_in_words
from backendctl.rollout.events import (
    BlockObserved,
    CopiesCounted,
    Event,
    MirroringEnded,
    PhaseChanged,
    Shifted,
)
from backendctl.rollout.explain import explain
from backendctl.rollout.history import summary
from backendctl.rollout.judge import shipped
from backendctl.rollout.observations import Copied
from backendctl.rollout.records import check, fold
from backendctl.rollout.samples import from_record
from backendctl.rollout.states import Copies, Phase, Word
from backendctl.rollout.verdict import ArmBlock, Block, Judgement
from backendctl.spec.model import Strategy
from backendctl.workflows.rollouts import Means, Outcome
from tests.fakes.judges import ScriptedJudge
from tests.fakes.platform import Behaviour, Fake, fake_platform
from tests.fakes.rollouts import Desk, spec_with

QUICK = {"steps": (10, 50), "warm_up": 0.0, "step_time": 3.0, "bake": 3.0, "deadline": 30.0}


class OnlyCopies(ScriptedJudge):
    """The shipped verdict for copies, told by their alpha; what follows passes."""

    def __getattr__(self, name: str) -> Any:
        return getattr(shipped(), name)

    def begin(self, plan: Any) -> Any:
        return shipped().begin(plan) if plan.alpha < 0.005 else super().begin(plan)

    def begin_step(self, plan: Any, evidence: Any, step: int, at: float | None = None) -> Any:
        if plan.alpha < 0.005:
            return shipped().begin_step(plan, evidence, step, at)
        return super().begin_step(plan, evidence, step, at)

    def update(self, plan: Any, evidence: Any, block: Block) -> Any:
        if plan.alpha < 0.005:
            return shipped().update(plan, evidence, block)
        return super().update(plan, evidence, block)

    def judge(self, plan: Any, evidence: Any, elapsed_in_step: float) -> Judgement:
        if plan.alpha < 0.005:
            return shipped().judge(plan, evidence, elapsed_in_step)
        return super().judge(plan, evidence, elapsed_in_step)


class Story:
    """A release that serves, and the next one tried on copies first."""

    def __init__(self, rps: float = 200.0, **rollout: Any) -> None:
        self.fake: Fake = fake_platform(rps)
        self.desk = Desk(self.fake, spec_with(**{**QUICK, "mirror": 10, **rollout}))
        self.judge = OnlyCopies()
        self.deploy(Behaviour())
        self.began = len(self.desk.events)

    def deploy(self, behaviour: Behaviour, **more: Any) -> Outcome:
        number = len(self.fake.store.releases()) + 1
        self.fake.env.behaviours[number] = behaviour
        lease = self.desk.lease()
        release = self.fake.add_release(lease.grant)
        means = Means(clock=self.fake.clock, probe=self.fake.probe, judge=self.judge)
        return self.desk.roll_out(release, lease, **{"means": means, **more})

    @property
    def events(self) -> list[Event]:
        return self.desk.events[self.began :]

    @property
    def rollout(self) -> str:
        return self.fake.store.rollouts()[-1]

    @property
    def mirrors(self) -> list[int | None]:
        """What was applied of copying, in order."""
        return [routes.mirror for routes in self.fake.env.applied]

    def steps(self) -> int:
        """Of users' traffic to the candidate."""
        return sum(isinstance(event, Shifted) for event in self.events)


@pytest.mark.parametrize("strategy", Strategy)
def test_a_good_release_is_tried_on_copies_and_then_goes_on(strategy: Strategy) -> None:
    story = Story()
    outcome = story.deploy(Behaviour(), strategy=strategy)
    assert outcome.result == "promoted"
    (ended,) = [event for event in story.events if isinstance(event, MirroringEnded)]
    assert ended.copies.requests == pytest.approx(60 * 200 * 0.8 * 0.1, rel=0.1)
    assert ended.copies.failed == 0
    assert not ended.copies.problem
    applied = story.fake.env.applied
    place = next(n for n, routes in enumerate(applied) if routes.mirror == 10)
    assert applied[place] == Routes({1: 100}, preview=2, mirror=10)
    assert applied[place + 1] == Routes({1: 100}, preview=2)
    assert [routes.mirror for routes in applied[place + 1 :]] == [None] * len(applied[place + 1 :])


@pytest.mark.parametrize("bad", [Behaviour(errors=1.0), Behaviour(hangs=1.0)])
@pytest.mark.parametrize("strategy", Strategy)
def test_a_broken_release_is_undone_before_any_user_sees_it(
    strategy: Strategy, bad: Behaviour
) -> None:
    story = Story()
    outcome = story.deploy(bad, strategy=strategy)
    assert outcome.result == "restored"
    assert outcome.reason.startswith("with copies of users' reads: candidate failed ")
    assert story.steps() == 0
    env = story.fake.env
    assert env.counters.get(2) is None
    assert (env.failed, env.broken_rules) == (0, [])
    assert env.routes == Routes({1: 100})
    records = story.fake.store.records(story.rollout)
    assert check(records, story.judge) == []
    told = explain(
        story.rollout, records, story.judge, from_record(story.fake.store.samples(story.rollout))
    )
    assert list(sample_lines(told)) == ["What it had logged last by then:", "  | listening"]


def test_without_the_key_nothing_is_copied() -> None:
    story = Story(mirror=None)
    assert story.deploy(Behaviour()).result == "promoted"
    assert set(story.mirrors) == {None}
    assert not any(isinstance(event, CopiesCounted) for event in story.events)


def test_a_first_release_and_a_rollback_are_tried_on_no_copies() -> None:
    story = Story()
    assert set(story.mirrors) == {None}
    story.deploy(Behaviour())
    copied = story.mirrors.count(10)
    from backendctl.workflows.rollouts import run_rollback

    means = Means(clock=story.fake.clock, probe=story.fake.probe, judge=story.judge)
    run_rollback(story.fake.platform, story.desk.spec, lambda _: None, by="ann", means=means)
    assert story.mirrors.count(10) == copied == 1


def test_where_stable_does_not_run_there_is_nothing_to_copy() -> None:
    story = Story()
    story.fake.env.behaviours[1].started = None
    assert story.deploy(Behaviour()).result == "promoted"
    assert set(story.mirrors) == {None}


def test_a_release_promoted_on_a_word_is_tried_on_no_copies() -> None:
    story = Story()
    outcome = story.deploy(Behaviour(), override=Word("ann", "an emergency"))
    assert outcome.result == "promoted"
    assert set(story.mirrors) == {None}


@pytest.mark.parametrize("how", ["not counted", "gateway silent"])
def test_missing_counts_are_said_and_neither_convict_nor_hold_it_up(how: str) -> None:
    story = Story()
    story.fake.env.counts_copies = how != "not counted"

    def on_event(event: Event) -> None:
        story.desk.events.append(event)
        if how == "gateway silent":
            story.fake.env.meter_down = story.fake.env.routes == Routes(
                {1: 100}, preview=2, mirror=10
            )

    story.desk.on_event = on_event
    outcome = story.deploy(Behaviour(errors=1.0))
    assert outcome.result == "promoted", "the steps, which the test lets pass, decide"
    told = explain(story.rollout, story.fake.store.records(story.rollout), story.judge)
    (note,) = [note for note in told.notes if "before its first weight" in note]
    assert "nothing is known of the copies" in note
    assert any(line.what == "could not count copies" for line in told.timeline)


@pytest.mark.parametrize(
    ("stable", "candidate", "result"), [(0.3, 0.3, "promoted"), (0.05, 1.0, "restored")]
)
def test_where_stable_breaks_the_limit_too_only_the_comparison_convicts(
    stable: float, candidate: float, result: str
) -> None:
    story = Story()

    def on_event(event: Event) -> None:
        if isinstance(event, PhaseChanged) and event.phase is Phase.MIRROR:
            story.fake.env.behaviours[1].errors = stable

    story.desk.on_event = on_event
    assert story.deploy(Behaviour(errors=candidate)).result == result


@pytest.mark.parametrize(("verb", "result"), [("abort", "restored"), ("promote", "promoted")])
def test_a_person_may_end_it_early(verb: Any, result: str) -> None:
    story = Story(mirror_time=600.0)
    said = False

    def on_event(event: Event) -> None:
        nonlocal said
        story.desk.events.append(event)
        if isinstance(event, CopiesCounted) and not said:
            said = True
            word = PersonCommand(verb, "bob", "enough", event.at)
            story.fake.store.post(event.rollout, word)

    story.desk.on_event = on_event
    began = story.fake.clock.now()
    assert story.deploy(Behaviour()).result == result
    assert story.fake.clock.now() - began < 300
    assert story.fake.env.broken_rules == []
    assert story.mirrors.count(10) == 1


def test_history_explain_and_summary_say_what_came_of_it() -> None:
    story = Story()
    story.deploy(Behaviour())
    records = story.fake.store.records(story.rollout)
    told = explain(story.rollout, records, story.judge)
    words = summary(story.rollout, records).mirrored
    assert "copies of reads: 0 failed (0 %)" in words
    assert f"before its first weight: {words}" in told.notes
    (line,) = [line for line in told.timeline if line.what == "mirrored"]
    assert line.detail == words
    assert line.numbers is not None
    assert line.numbers["failed"] == 0
    assert check(records, story.judge) == []
    assert fold(records, story.judge).copies is not None


def test_whoever_watches_reads_the_numbers_as_they_grow() -> None:
    story = Story()
    story.deploy(Behaviour())
    lines = Lines()
    told = [text for event in story.events for text in lines.of(event)]
    assert "after 60 s of copies of 10 % of reads" in " ".join(told)
    assert "  trying it on copies of users' reads, at 0 % of users' requests" in told
    growing = [text for text in told if text.startswith("    0 %: ") and "copies of reads" in text]
    assert len(growing) >= 4


def test_the_picture_shows_copies_and_what_is_left() -> None:
    story = Story()
    story.deploy(Behaviour())
    place = max(n for n, each in enumerate(story.events) if isinstance(each, CopiesCounted))
    place -= 5
    picture = Picture(now=lambda: story.events[place].at)
    for event in story.events[: place + 1]:
        picture.take(event)
    written = StringIO()
    console = Console(width=120, file=written)
    console.print(picture.render())
    shown = written.getvalue()
    assert "trying it on copies of users' reads" in shown
    assert "copies of reads: 0 failed (0 %)" in shown
    assert "left" in shown


def test_no_block_of_the_steps_holds_a_copy() -> None:
    story = Story()
    story.deploy(Behaviour())
    blocks = [event.block for event in story.events if isinstance(event, BlockObserved)]
    first = next(block.candidate for block in blocks if block.candidate)
    assert first.requests <= 200 * 0.1 * 3
    phases = [fold(story.fake.store.records(story.rollout), story.judge).phase]
    assert phases == [Phase.DONE]


# --- sums and words ---------------------------------------------------------------------------


def sample(found: Mirrored | None, slow: int = 0, total: int = 1000, at: float = 0.0) -> Sample:
    stable = ArmSample(1, total, 0, 0, Latencies((10_000.0,), (total - slow,), total), 1)
    candidate = ArmSample(2, 0, 0, 0, Latencies((10_000.0,), (0,), 0), 1, mirrored=found)
    return Sample(at, {1: stable, 2: candidate})


def between(first: Sample | None, last: Sample | None) -> Copied:
    return copied_between(first, last, start=0.0, end=1.0, candidate=2, stable=1)


def test_a_block_is_what_was_added() -> None:
    found = between(
        sample(Mirrored(10, 1, 2, 3, 4, 100, 5)), sample(Mirrored(60, 4, 5, 5, 6, 600, 7))
    )
    assert found.block.candidate == ArmBlock(50, 5, refused=3)
    assert found.block.stable == ArmBlock(500, 2)
    assert (found.unanswered, found.lost, found.problem) == (2, 2, "")


def test_requests_that_wait_on_purpose_count_against_neither() -> None:
    """As many originals as requests of stable took longer than a copy may."""
    zero = Mirrored(0, 0, 0, 0, 0, 0, 0)
    found = between(sample(zero), sample(Mirrored(50, 0, 0, 20, 0, 500, 0), 200, 1500))
    assert found.block.candidate == ArmBlock(50, 20)
    assert found.block.stable == ArmBlock(500, 200)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (None, sample(None)),
        (sample(None), sample(None)),
        (Sample(0.0, {}), sample(Mirrored(0, 0, 0, 0, 0, 0, 0))),
        (sample(Mirrored(9, 0, 0, 0, 0, 90, 0)), sample(Mirrored(1, 0, 0, 0, 0, 10, 0))),
        (
            sample(Mirrored(0, 0, 0, 0, 0, 0, 0), total=1000),
            sample(Mirrored(1, 0, 0, 0, 0, 10, 0), total=10),
        ),
    ],
)
def test_what_cannot_be_had_is_missing_and_never_zero(
    first: Sample | None, last: Sample | None
) -> None:
    found = between(first, last)
    assert found.problem
    assert found.block.candidate is None
    assert found.block.stable is None
    sums = added(Copies(5, 1, 0, 0, 0, 50, 0), found)
    assert sums == Copies(5, 1, 0, 0, 0, 50, 0, found.problem)


@pytest.mark.parametrize(
    ("copies", "words"),
    [
        (Copies(), "nothing is known of the copies: no reads came"),
        (
            Copies(120, 2, 0, 0, 0, 1200, 3),
            "120 copies of reads: 2 failed (1.7 %); of 1,200 originals stable failed 3 (0.25 %)",
        ),
        (
            Copies(40, 40, 30, 0, 7, 400, 0, "no counters could be had"),
            "40 copies of reads: 40 failed (100 %), 30 of them no answer in 10 s, "
            "7 more were lost on the way; of 400 originals stable failed 0 (0 %); "
            "not whole: no counters could be had",
        ),
        (
            Copies(0, 0, 0, 0, 60, 600, 0),
            "0 copies of reads: 0 failed (no requests), 60 more were lost on the way; "
            "of 600 originals stable failed 0 (0 %)",
        ),
    ],
)
def test_sums_in_words(copies: Copies, words: str) -> None:
    assert copies_in_words(copies) == words
