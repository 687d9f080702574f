"""Environments with any history that hypothesis can think of: deploys, rollbacks and recoveries by
process after process, killed or told to stop anywhere, with gateways that fall silent and people
who speak. What holds after each chapter is what users and the next engineer depend on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from backendctl.errors import BackendctlError
from backendctl.rollout.history import serving
from backendctl.rollout.records import check, fold
from backendctl.rollout.verdict import Block, Decision, Judgement
from backendctl.spec.model import Strategy
from backendctl.workflows.rollouts import Means, post_command, recover, run_rollback
from tests.fakes.platform import Behaviour, Killed, fake_platform
from tests.fakes.rollouts import Desk, spec_with

QUICK = {"steps": (10, 50), "warm_up": 0.0, "step_time": 3.0, "bake": 3.0, "deadline": 30.0}
LONGEST_WAIT = 20_000.0
"""Seconds; longer than any hold."""


@dataclass(frozen=True)
class Seen:
    step: int = -1
    blocks: int = 0
    bad: bool = False


class PlainJudge:
    """Fails what has errors, passes the rest after two blocks; forgets nothing in between."""

    def begin(self, plan: Any) -> Any:
        return Seen()

    def begin_step(self, plan: Any, evidence: Any, step: int, at: float | None = None) -> Any:
        return Seen(step)

    def update(self, plan: Any, evidence: Any, block: Block) -> Any:
        arm = block.candidate
        bad = evidence.bad or (arm is not None and arm.errors > 0)
        return replace(evidence, blocks=evidence.blocks + (arm is not None), bad=bad)

    def judge(self, plan: Any, evidence: Any, elapsed_in_step: float) -> Judgement:
        decision = Decision.PASS if evidence.blocks >= 2 else Decision.CONTINUE
        decision = Decision.FAIL if evidence.bad else decision
        return Judgement(decision, f"it looks like {decision}", {})


KILL = st.none() | st.integers(0, 120)
BEHAVIOURS = st.sampled_from(
    [
        Behaviour(),
        Behaviour(),
        Behaviour(errors=0.5),
        Behaviour(ready_after=float("inf")),
        Behaviour(dies_after=6.0),
        Behaviour(migration_status=1),
        Behaviour(smoke="GET / answered 500"),
    ]
)


class AnyHistory(RuleBasedStateMachine):
    @initialize()
    def up(self) -> None:
        self.fake = fake_platform()
        self.specs = {
            mirror: spec_with(**QUICK, mirror=mirror, mirror_time=6.0) for mirror in (None, 10)
        }
        self.spec = self.specs[None]
        self.names = iter(f"engineer-{n}" for n in range(10_000))
        self.stopped = Killed
        self.deploy(Strategy.CANARY, Behaviour(), None, None)

    @property
    def means(self) -> Means:
        return Means(clock=self.fake.clock, probe=self.fake.probe, judge=PlainJudge())

    # --- chapters ---

    @rule(
        strategy=st.sampled_from(Strategy),
        behaviour=BEHAVIOURS,
        kill=KILL,
        mirror=st.sampled_from([None, 10]),
    )
    def deploy(
        self, strategy: Strategy, behaviour: Behaviour, kill: int | None, mirror: int | None
    ) -> None:
        desk = Desk(self.fake, self.specs[mirror], next(self.names))
        number = len(self.fake.store.releases()) + 1
        self.fake.env.behaviours[number] = replace(behaviour)

        def work() -> None:
            lease = desk.lease()
            try:
                release = self.fake.add_release(lease.grant, migrate=True)
                desk.roll_out(release, lease, strategy, means=self.means)
            except BackendctlError:
                self.fake.store.release(lease.grant)
                raise

        self.chapter(desk.owner, work, kill)

    @rule(kill=KILL)
    def roll_back(self, kill: int | None) -> None:
        by = next(self.names)
        platform = self.fake.platform
        self.chapter(
            by,
            lambda: run_rollback(platform, self.spec, lambda _: None, by=by, means=self.means),
            kill,
        )

    @rule(kill=KILL, wish=st.sampled_from([None, None, "abort", "promote"]))
    def recover(self, kill: int | None, wish: Any) -> None:
        by = next(self.names)
        platform = self.fake.platform
        self.chapter(
            by,
            lambda: recover(
                platform, lambda _: None, by=by, wish=wish, reason="asked", means=self.means
            ),
            kill,
        )

    @rule(verb=st.sampled_from(["pause", "resume", "promote", "abort"]), kill=KILL)
    def speak(self, verb: Any, kill: int | None) -> None:
        by = next(self.names)
        platform = self.fake.platform
        self.chapter(
            by,
            lambda: post_command(
                platform, verb, lambda _: None, by=by, reason="asked", means=self.means
            ),
            kill,
        )

    @rule(seconds=st.sampled_from([1.0, 20.0, 600.0]))
    def time_passes(self, seconds: float) -> None:
        self.fake.clock.wait(seconds)

    @rule(kind=st.sampled_from([Killed, KeyboardInterrupt]))
    def processes_stop_by(self, kind: type[BaseException]) -> None:
        self.stopped = kind  # type: ignore[assignment]

    @precondition(lambda self: not self.fake.env.gateway_down)
    @rule(seconds=st.sampled_from([5.0, 20.0, 200.0]))
    def gateway_falls_silent(self, seconds: float) -> None:
        until = self.fake.clock.now() + seconds
        self.fake.env.gateway_down = True

        def mend(_: float) -> None:
            if self.fake.clock.now() >= until:
                self.fake.env.gateway_down = False

        self.fake.clock.on_pass.append(mend)

    def chapter(self, owner: str, work: Callable[[], object], kill: int | None) -> None:
        """Do it; the process may end at that point, and any refusal of ours is an answer."""
        passed = 0

        def look(_: str) -> None:
            nonlocal passed
            passed += 1
            if kill is not None and passed == kill + 1:
                raise self.stopped

        self.fake.env.point = look
        try:
            work()
        except (BackendctlError, Killed, KeyboardInterrupt):
            self.fake.store.dead.add(owner)
        finally:
            self.fake.env.point = lambda name: None

    # --- what holds ---

    @invariant()
    def users_notice_nothing(self) -> None:
        env = self.fake.env
        assert env.broken_rules == []
        dying = {n for n, it in env.behaviours.items() if it.dies_after is not None}
        served = set(env.routes.weights) if env.routes else set()
        assert env.failed == 0 or dying & (served | self.ever_served())

    def ever_served(self) -> set[int]:
        return {n for routes in self.fake.env.applied for n, w in routes.weights.items() if w}

    @invariant()
    def weights_are_whole_and_only_of_the_two_that_take_part(self) -> None:
        routes, now = self.fake.env.routes, serving(self.fake.store)
        if routes is None or now.rollout_in_flight is not None:
            return
        if not self.fake.env.gateway_down:
            given = {number for number, weight in routes.weights.items() if weight}
            assert len(given) == 1 or now.stable is None
            assert routes.mirror is None

    @invariant()
    def journals_replay(self) -> None:
        store = self.fake.store
        for rollout in store.rollouts()[-2:]:
            assert check(store.records(rollout), PlainJudge()) == []

    @invariant()
    def nobody_is_promoted_unseen(self) -> None:
        """By a verdict on numbers, by a person who is named, or because nothing can be judged."""
        store = self.fake.store
        for rollout in store.rollouts()[-1:]:
            state = fold(store.records(rollout), PlainJudge())
            judged = state.plan.kind.value in ("canary", "blue-green")
            if state.result is not None and state.result.value == "promoted" and judged:
                assert state.passed is not None or state.override is not None
                assert state.override is None or state.override.by

    def teardown(self) -> None:
        """Whatever happened, one `recover` later all is whole, and the next deploy works.

        Unless what was promoted dies for good afterwards: then there is nothing to come back to.
        """
        if not hasattr(self, "fake"):
            return
        self.fake.clock.wait(LONGEST_WAIT)
        self.fake.env.gateway_down = False
        self.recover(None, "abort" if serving(self.fake.store).rollout_in_flight else None)
        now, env = serving(self.fake.store), self.fake.env
        if now.stable is not None and env.behaviour(now.stable).dies_after is not None:
            return
        assert now.rollout_in_flight is None
        if now.stable is not None:
            assert env.routes is not None
            assert dict(env.routes.weights) == {now.stable: 100}
            assert self.fake.platform.runtime.running() == [now.stable]
            assert env.connected == {now.stable}
            assert self.fake.store.holder() is None
        before = len(self.fake.store.rollouts())
        self.deploy(Strategy.CANARY, Behaviour(), None, None)
        assert len(self.fake.store.rollouts()) == before + 1
        assert serving(self.fake.store).stable == len(self.fake.store.releases())


AnyHistoryTest = AnyHistory.TestCase
AnyHistoryTest.settings = settings(
    max_examples=40,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
