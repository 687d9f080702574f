"""The pure machine under every order of events that hypothesis can think of."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from backendctl.platforms.base import Condition
from backendctl.rollout import machine
from backendctl.rollout.intents import (
    Apply,
    Contract,
    Disconnect,
    EnsureReady,
    Inspect,
    Intent,
    Migrate,
    Mirror,
    Stop,
)
from backendctl.rollout.observations import (
    Command,
    Copied,
    Health,
    Measured,
    Observation,
    Outcome,
    TakenOver,
    Tick,
)
from backendctl.rollout.scripts import share_in
from backendctl.rollout.states import (
    HoldKind,
    Kind,
    Mirroring,
    Phase,
    Result,
    RolloutPlan,
    State,
)
from backendctl.rollout.verdict import ArmBlock, Block, Decision, Judgement, Limits, plan_for

STABLE, CANDIDATE = 1, 2
VERDICT = plan_for(Limits(0.01), steps=(10, 50), warm_up=0.0, step_time=10.0, deadline=100.0)
BAKE = plan_for(
    Limits(0.01), steps=(100,), has_stable=False, warm_up=0.0, step_time=20.0, deadline=120.0
)


MIRRORING = Mirroring(
    10,
    30.0,
    1.0,
    plan_for(Limits(0.01), steps=(10,), warm_up=0.0, step_time=30.0, deadline=30.0),
)


def plan_of(kind: Kind, *, migrate: bool = True, hold: bool = True) -> RolloutPlan:
    canary = kind is Kind.CANARY
    return RolloutPlan(
        kind=kind,
        candidate=CANDIDATE,
        stable=None if kind is Kind.FIRST else STABLE,
        served=() if kind is Kind.FIRST else (STABLE,),
        steps=(10, 50) if canary else (),
        verdict=VERDICT if canary else None,
        bake_verdict=None if kind is Kind.ROLLBACK else BAKE,
        migrate=migrate and kind is not Kind.ROLLBACK,
        block=1.0,
        bake=0.0 if kind is Kind.ROLLBACK else 20.0,
        hold_deadline=600.0,
        hold_on_inconclusive=hold,
        ready_deadline=60.0,
        drain_deadline=30.0,
        migrate_deadline=60.0,
        smoke_paths=("/readyz",),
        spec_digest="0",
        begun_by="ann",
        contract=migrate and kind not in (Kind.FIRST, Kind.ROLLBACK),
    )


@dataclass
class SaysNext:
    """A judge that says what the test wants next."""

    decision: Decision = Decision.CONTINUE

    def begin(self, plan: Any) -> Any:
        return (plan, -1)

    def begin_step(self, plan: Any, evidence: Any, step: int, at: float | None = None) -> Any:
        assert step == evidence[1] + 1, "steps are begun once each and in order"
        assert evidence[0] is plan
        return (plan, step)

    def update(self, plan: Any, evidence: Any, block: Block) -> Any:
        assert evidence[0] is plan, "evidence belongs to the plan it was begun with"
        return evidence

    def judge(self, plan: Any, evidence: Any, elapsed_in_step: float) -> Judgement:
        return Judgement(self.decision, f"said {self.decision}", {})


ARM = ArmBlock(100, 0, {})


class AnyOrder(RuleBasedStateMachine):
    """Feeds the machine; keeps its own, simpler picture of the world to hold it against."""

    @initialize(
        kind=st.sampled_from([*Kind, Kind.CANARY, Kind.CANARY]),
        hold=st.booleans(),
        stable=st.sampled_from([*[Condition.READY] * 6, Condition.STOPPED, Condition.CRASHING]),
        passes=st.sampled_from([-1, 0, 1, 2, 2, 2]),
        approvals=st.sampled_from([(), (), (50,), (100,), (10, 100)]),
        mirror=st.sampled_from([None, MIRRORING]),
    )
    def begin(
        self,
        kind: Kind,
        hold: bool,
        stable: Condition,
        passes: int,
        approvals: tuple[int, ...],
        mirror: Mirroring | None,
    ) -> None:
        self.copying = False
        self.approved = 0
        self.judge = SaysNext()
        self.now = 1000.0
        self.stable_condition = stable
        self.log: list[tuple[float, Observation]] = []
        self.decisions: list[Decision] = []
        self.seen_ready = False
        self.passes = 0
        self.stopped: list[int] = []
        self.full_since: float | None = None
        self.began = self.now
        mirror = mirror if kind in (Kind.CANARY, Kind.BLUE_GREEN) else None
        self.plan = replace(plan_of(kind, hold=hold), approvals=approvals, mirror=mirror)
        self.state, intents = machine.begin(self.plan, self.now)
        self.check_intents(intents)
        for _ in range(passes + 1):  # a head start, so that late phases are visited as often
            self.effects_succeed()
            if passes > 0 and self.state.phase is Phase.MIRROR and self.state.mirroring:
                self.now += MIRRORING.seconds
                self.copies_end(Decision.CONTINUE, True)
                self.effects_succeed()
            if not self.state.ended and kind is Kind.CANARY and self.state.stage < 2:
                self.block_ends(Decision.PASS, True, 100)

    # --- what may happen ---

    def feed(self, observation: Observation) -> None:
        before = self.state
        self.state, intents = machine.step(before, observation, self.now, self.judge)
        self.log.append((self.now, observation))
        self.check_intents(intents)
        self.check_transition(before)

    @precondition(lambda self: self.state.queue)
    @rule(ready=st.sampled_from([Condition.READY, Condition.READY, Condition.CRASHING]))
    def intent_succeeds(self, ready: Condition) -> None:
        head = self.state.queue[0]
        self.now += 0.1
        condition = None
        if isinstance(head, Inspect | EnsureReady):
            condition = ready if isinstance(head, Inspect) else Condition.READY
            if head.number == STABLE and isinstance(head, Inspect):
                condition = self.stable_condition
            if head.number == CANDIDATE:
                self.seen_ready = condition is Condition.READY
        if isinstance(head, Stop):
            self.stopped.append(head.number)
        full = isinstance(head, Apply) and head.weights.get(CANDIDATE) == 100
        if full and self.full_since is None:
            self.full_since = self.now
        if isinstance(head, Apply) and not full:
            self.full_since = None
        if isinstance(head, Apply | Mirror):
            self.copying = isinstance(head, Mirror)
        self.feed(Outcome(self.state.serial, True, condition=condition))

    @precondition(lambda self: self.state.queue)
    @rule()
    def effects_succeed(self) -> None:
        while self.state.queue:
            self.intent_succeeds(Condition.READY)

    @precondition(lambda self: self.state.queue)
    @rule()
    def intent_fails(self) -> None:
        self.now += 0.1
        self.feed(Outcome(self.state.serial, False, "platform.gateway", "no"))

    @rule(behind=st.integers(1, 3), ok=st.booleans())
    def late_outcome(self, behind: int, ok: bool) -> None:
        before = self.state
        self.feed(Outcome(self.state.serial - behind, ok, "bug", "late"))
        assert self.state == before

    @rule(
        decision=st.sampled_from(Decision),
        candidate=st.booleans(),
        requests=st.sampled_from([0, 100]),
    )
    def block_ends(self, decision: Decision, candidate: bool, requests: int) -> None:
        self.now += 1.0
        self.judge.decision = decision
        arm = replace(ARM, requests=requests) if candidate else None
        before = self.state
        self.decisions.append(decision)
        self.feed(
            Measured(Block(self.now - 1, self.now, arm, ARM), "" if candidate else "no counters")
        )
        if decision is Decision.PASS and before.phase is Phase.STEP and not before.queue:
            self.passes += 1
        if candidate or before.override is not None or before.plan.kind is Kind.FIRST:
            return
        assert self.state.stage == before.stage
        assert before.phase is self.state.phase or self.state.phase not in (
            Phase.PROMOTE,
            Phase.DRAIN,
        ), "a block without the candidate's numbers promoted it"

    @rule(decision=st.sampled_from(Decision), counted=st.booleans())
    def copies_end(self, decision: Decision, counted: bool) -> None:
        """Copies convict or do nothing; without counts they do nothing."""
        self.now += 1.0
        missing = not counted
        self.judge.decision = Decision.CONTINUE if missing else decision
        self.decisions.append(self.judge.decision)
        arm = None if missing else ARM
        before = self.state
        self.feed(Copied(Block(self.now - 1, self.now, arm, arm), problem="none" * missing))
        after = self.state
        if before.phase is not Phase.MIRROR or before.queue:
            assert after == before
            return
        assert after.passed is None
        assert after.weights == before.weights
        convicted = not missing and decision is Decision.FAIL
        assert (after.phase is Phase.ABORT) == convicted
        over = self.now - before.entered >= MIRRORING.seconds
        assert bool(after.queue) == (over or convicted)

    @rule(condition=st.sampled_from(Condition), restarts=st.sampled_from([0, 0, 0, 1]))
    def health_is_seen(self, condition: Condition, restarts: int) -> None:
        self.now += 0.5
        self.feed(Health(condition, restarts, "", ("last line",)))

    @rule(
        verb=st.sampled_from(["pause", "resume", "approve", "promote", "abort", "dance"]),
        by=st.sampled_from(["bob", machine.SIGNAL]),
    )
    def person_speaks(self, verb: str, by: str) -> None:
        self.now += 0.1
        hold = self.state.hold
        if verb == "approve" and hold is not None and hold.kind is HoldKind.APPROVAL:
            self.approved = max(self.approved, share_in(self.state, hold.back))
        self.feed(Command(verb, by, "because", self.state.commands))

    @rule(seconds=st.sampled_from([0.5, 10.0, 30.0, 150.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.feed(Tick())

    @rule(choice=st.sampled_from(["undo", "go-on"]))
    def driver_is_replaced(self, choice: Any) -> None:
        self.now += 20.0
        self.feed(TakenOver("bob", choice, "it died"))

    # --- what must hold ---

    def check_intents(self, intents: tuple[Intent, ...]) -> None:
        assert len(intents) <= 1
        for intent in intents:
            assert intent == self.state.queue[0]
            if isinstance(intent, Apply):
                self.check_routes(intent)
            if isinstance(intent, Mirror):
                assert self.state.phase is Phase.MIRROR
                assert self.seen_ready or self.state.connected
                assert dict(self.state.weights) == {STABLE: 100}
            if isinstance(intent, Stop | Disconnect):
                assert not self.copying, "requests are still copied to it"
                assert not self.state.mirroring
            if isinstance(intent, Stop | Disconnect):
                assert self.state.weights.get(intent.number, 0) == 0, "it still has weight"
            if isinstance(intent, Stop) and intent.number == STABLE:
                self.check_stable_may_stop()
            if isinstance(intent, Migrate | Contract):
                assert self.plan.kind is not Kind.ROLLBACK
            if isinstance(intent, Contract):
                # Whatever used what it takes away is gone, and nothing leads back.
                assert self.state.phase is Phase.DRAIN
                assert self.state.weights == {CANDIDATE: 100}
                assert self.state.queue == (intent,)

    def check_routes(self, intent: Apply) -> None:
        """Invariant 1: weights sum to 100 and rise only for a release seen ready."""
        if intent.weights:
            assert sum(intent.weights.values()) == 100
        else:
            assert self.plan.stable is None
        share = intent.weights.get(CANDIDATE, 0)
        if share > self.state.weights.get(CANDIDATE, 0):
            assert self.seen_ready
            assert self.state.connected
            asked = [each for each in self.plan.approvals if share >= each]
            assert not asked or self.approved >= max(asked)

    def check_stable_may_stop(self) -> None:
        """Invariant 2: stable is warm until the candidate has baked at 100 %."""
        assert self.state.phase is Phase.DRAIN
        assert self.full_since is not None
        if self.plan.kind is not Kind.ROLLBACK:
            assert self.now - self.full_since >= self.plan.bake

    def check_transition(self, before: State) -> None:
        after = self.state
        if before.phase in machine.NO_RETURN:
            allowed = {before.phase, Phase.DONE, Phase.RESTORED, Phase.HOLD}
            assert after.phase in allowed
        if after.phase is Phase.PROMOTE and before.phase is not Phase.PROMOTE:
            self.check_promotion(before)

    def check_promotion(self, before: State) -> None:
        """Invariant 3: a canary is promoted by its verdicts or by a named person."""
        if self.plan.kind is not Kind.CANARY or not self.state.comparable:
            return
        if self.state.override is not None:
            assert self.state.override.by
            return
        assert self.passes >= len(self.plan.steps) - 1
        by_pass = self.judge.decision is Decision.PASS
        resumed = before.hold is not None and before.hold.back is Phase.PROMOTE
        taken = before.phase is Phase.PROMOTE
        assert by_pass or resumed or taken

    @invariant()
    def ended_means_whole(self) -> None:
        state = self.state
        if state.result is Result.PROMOTED and not state.notes:
            assert dict(state.weights) == {CANDIDATE: 100}
        if state.result is Result.RESTORED:
            expected = {} if self.plan.stable is None else {STABLE: 100}
            if not state.notes:
                assert {n: w for n, w in state.weights.items() if w} == expected
            assert STABLE not in self.stopped
        if state.ended:
            assert not state.queue

    @invariant()
    def requests_are_copied_before_the_first_weight_only(self) -> None:
        assert self.state.mirroring == self.copying
        share = self.state.candidate_share
        if self.copying:
            assert share == 0
            assert self.state.phase in (Phase.MIRROR, Phase.ABORT, Phase.HOLD)
            stuck = self.state.hold is not None and self.state.hold.kind is HoldKind.STUCK
            assert self.state.phase is not Phase.HOLD or stuck

    @invariant()
    def a_hold_has_a_deadline(self) -> None:
        if self.state.phase is Phase.HOLD:
            assert self.state.hold is not None
            assert self.state.hold.until == self.state.hold.since + self.plan.hold_deadline
            assert not self.state.queue
        else:
            assert self.state.hold is None

    @invariant()
    def work_or_watching_goes_on(self) -> None:
        assert self.state.ended or self.state.queue or self.state.observing

    def teardown(self) -> None:
        """Always ends, in promoted or restored: effects work, the candidate is well, time passes.

        And invariant 7: the same observations fold to the same state.
        """
        if not hasattr(self, "state"):
            return
        for _ in range(200):
            if self.state.ended:
                break
            if self.state.queue:
                self.stable_condition = Condition.READY
                self.intent_succeeds(Condition.READY)
            else:
                self.health_is_seen(Condition.READY, self.state.restarts)  # the driver looks again
                self.time_passes(60.0)
                self.block_ends(Decision.CONTINUE, True, 100)
                self.copies_end(Decision.CONTINUE, True)
        assert self.state.ended
        self.judge_again()

    def judge_again(self) -> None:
        state, _ = machine.begin(self.plan, self.began)
        judge = SaysNext()
        decisions = iter(self.decisions)
        for at, observation in self.log:
            if isinstance(observation, Measured | Copied):
                judge.decision = next(decisions)
            state, _ = machine.step(state, observation, at, judge)
        assert state == self.state


AnyOrderTest = AnyOrder.TestCase
AnyOrderTest.settings = settings(
    max_examples=200,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def observe(state: State, *observations: Observation, now: float = 1000.0) -> State:
    for observation in observations:
        state, _ = machine.step(state, observation, now, SaysNext())
    return state


def ready(state: State, until: Phase) -> State:
    """Effects succeed until the phase is reached and its own are through."""
    while state.phase is not until or state.queue:
        assert not state.ended
        if not state.queue:
            state, _ = machine.step(
                state,
                Measured(Block(0, 1, ARM, ARM)),
                state.entered + 1.0,
                SaysNext(Decision.PASS),
            )
            continue
        state = observe(state, Outcome(state.serial, True, condition=Condition.READY))
    return state


def canary_at_a_step() -> State:
    return ready(machine.begin(plan_of(Kind.CANARY), 1000.0)[0], Phase.STEP)


def test_a_short_unreadiness_is_forgiven_and_a_long_one_is_not() -> None:
    state = canary_at_a_step()
    state = observe(state, Health(Condition.UNREADY, 0), now=1000.0)
    state = observe(state, Health(Condition.READY, 0), now=1003.0)
    state = observe(state, Health(Condition.UNREADY, 0), now=1004.0)
    assert state.phase is Phase.STEP
    state = observe(state, Health(Condition.UNREADY, 0), now=1009.0)
    assert state.phase is Phase.ABORT
    assert state.why is not None
    assert state.why.code == "release.not-ready"


def test_a_candidate_is_not_undone_for_an_outage_that_stable_has_too() -> None:
    state = canary_at_a_step()
    for at in range(1000, 1100):
        state = observe(state, Health(Condition.UNREADY, 0, stable_unready=True), now=float(at))
    assert state.phase is Phase.STEP
    assert state.unready_since is not None  # it does not count as healthy either
    state = observe(state, Health(Condition.UNREADY, 0), now=1105.0)
    assert state.phase is Phase.ABORT


@pytest.mark.parametrize("before", [Phase.STEP, Phase.PROMOTE])
def test_a_candidate_found_unready_right_before_a_shift_gets_nothing(before: Phase) -> None:
    state = machine.begin(plan_of(Kind.CANARY), 1000.0)[0]
    while not (state.phase is before and isinstance(state.queue[0], Inspect)):
        if state.queue:
            done = Outcome(state.serial, True, condition=Condition.READY)
            state = observe(state, done, now=state.entered)
        else:
            block, judge = Measured(Block(0, 1, ARM, ARM)), SaysNext(Decision.PASS)
            state, _ = machine.step(state, block, state.entered, judge)
    had = state.candidate_share
    state = observe(state, Outcome(state.serial, True, condition=Condition.CRASHING))
    assert state.phase is Phase.ABORT
    assert state.candidate_share == had


def test_one_restart_of_the_candidate_is_a_crash_though_it_is_ready_again() -> None:
    state = observe(canary_at_a_step(), Health(Condition.READY, 1, "exit 1", ("boom",)))
    assert state.phase is Phase.ABORT
    assert state.why is not None
    assert state.why.tail == ("boom",)


def test_a_candidate_that_fails_on_hold_is_undone_there() -> None:
    state = observe(canary_at_a_step(), Command("pause", "bob", "look"))
    assert state.phase is Phase.HOLD
    judged, _ = machine.step(
        state, Measured(Block(0, 1, ARM, ARM)), 1001.0, SaysNext(Decision.FAIL)
    )
    assert judged.phase is Phase.ABORT
    passed, _ = machine.step(
        state, Measured(Block(0, 1, ARM, ARM)), 1001.0, SaysNext(Decision.PASS)
    )
    assert passed.phase is Phase.HOLD


def test_a_pause_before_the_first_shift_keeps_users_away_until_resumed() -> None:
    state = machine.begin(plan_of(Kind.CANARY), 1000.0)[0]
    state = ready(observe(state, Command("pause", "bob", "wait")), Phase.HOLD)
    assert state.candidate_share == 0
    state = ready(observe(state, Command("resume", "bob", "go")), Phase.STEP)
    assert state.candidate_share == 10


def test_an_approval_is_awaited_before_the_share_it_guards_and_only_approve_gives_it() -> None:
    plan = replace(plan_of(Kind.CANARY), approvals=(10,))
    state = ready(machine.begin(plan, 1000.0)[0], Phase.HOLD)
    assert state.hold is not None
    assert state.hold.kind is HoldKind.APPROVAL
    assert state.candidate_share == 0
    resumed = observe(state, Command("resume", "bob", "go"))
    assert resumed.phase is Phase.HOLD
    assert "approval" in resumed.notes[-1]
    state = ready(observe(state, Command("approve", "bob", "looked at the preview")), Phase.STEP)
    assert state.candidate_share == 10


def test_who_skips_the_judgement_does_not_skip_the_approval() -> None:
    plan = replace(plan_of(Kind.CANARY), approvals=(100,))
    state = ready(machine.begin(plan, 1000.0)[0], Phase.STEP)
    state = observe(state, Command("promote", "ann", "a hotfix"))
    for _ in range(2):
        assert state.hold is not None
        assert (state.hold.kind, state.hold.back) == (HoldKind.APPROVAL, Phase.PROMOTE)
        assert state.candidate_share < 100
        state = observe(state, Command("promote", "ann", "now", 1))
    state = ready(observe(state, Command("approve", "bob", "agreed", 2)), Phase.BAKE)
    assert state.candidate_share == 100


def test_a_resumed_pause_still_waits_for_the_approval_of_what_comes_next() -> None:
    plan = replace(plan_of(Kind.CANARY), approvals=(10,))
    state = observe(machine.begin(plan, 1000.0)[0], Command("pause", "bob", "wait"))
    state = ready(state, Phase.HOLD)
    state = observe(state, Command("resume", "bob", "go"))
    assert state.hold is not None
    assert state.hold.kind is HoldKind.APPROVAL


def test_a_hold_nobody_decides_is_undone_at_its_deadline() -> None:
    state = observe(canary_at_a_step(), Command("pause", "bob", "look"), now=1000.0)
    assert observe(state, Tick(), now=1599.0).phase is Phase.HOLD
    assert observe(state, Tick(), now=1600.0).phase is Phase.ABORT


def test_an_abort_after_the_bake_comes_too_late_and_says_so() -> None:
    state = machine.begin(plan_of(Kind.ROLLBACK), 1000.0)[0]
    while state.phase is not Phase.DRAIN:
        state = observe(state, Outcome(state.serial, True, condition=Condition.READY))
    state = observe(state, Command("abort", "bob", "no"))
    assert state.phase is Phase.DRAIN
    assert "too late" in state.notes[0]


def test_a_stuck_abort_is_tried_again_on_takeover() -> None:
    state = observe(canary_at_a_step(), Command("abort", "bob", "no"))
    state = observe(state, Outcome(state.serial, False, "platform.gateway", "down"))
    assert state.hold is not None
    assert state.hold.kind is HoldKind.STUCK
    state = observe(state, TakenOver("bob", "undo"))
    assert state.phase is Phase.ABORT
    while not state.ended:
        state = observe(state, Outcome(state.serial, True, condition=Condition.READY))
    assert state.result is Result.RESTORED


def test_a_promotion_out_of_a_stuck_abort_ends_the_copying_before_it_waits_for_an_approval() -> (
    None
):
    plan = replace(plan_of(Kind.CANARY), mirror=MIRRORING, approvals=(100,))
    state = ready(machine.begin(plan, 1000.0)[0], Phase.MIRROR)
    state = observe(state, TakenOver("bob", "undo"))
    state = observe(state, Outcome(state.serial, False, "platform.gateway", "down"))
    assert state.hold is not None
    assert (state.hold.kind, state.mirroring) == (HoldKind.STUCK, True)
    state = observe(state, Command("promote", "bob", "a hotfix"))
    state = ready(state, Phase.HOLD)
    assert state.hold is not None
    assert (state.hold.kind, state.mirroring) == (HoldKind.APPROVAL, False)


@pytest.mark.parametrize("verb", ["abort", "promote"])
def test_a_takeover_does_the_pending_intent_anew_and_no_longer_hears_the_old_driver(
    verb: str,
) -> None:
    state = observe(canary_at_a_step(), Command(verb, "bob", "why"))
    old = state.serial
    state, intents = machine.step(state, TakenOver("bob", "go-on"), 1000.0, SaysNext())
    assert intents == state.queue[:1]
    assert observe(state, Outcome(old, True, condition=Condition.READY)) == state


@pytest.mark.parametrize("hold", [True, False])
def test_no_verdict_by_the_deadline_follows_the_policy(hold: bool) -> None:
    plan = plan_of(Kind.CANARY, hold=hold)
    state = ready(machine.begin(plan, 1000.0)[0], Phase.STEP)
    block = Measured(Block(0, 1, None, None), "no counters")
    state, _ = machine.step(state, block, state.entered + 100.0, SaysNext(Decision.INVALID))
    assert state.phase is (Phase.HOLD if hold else Phase.ABORT)
