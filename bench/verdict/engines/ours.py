"""backendctl's own judge: the very functions that a rollout calls."""

from dataclasses import dataclass

from backendctl.rollout.verdict import (
    Block,
    Decision,
    Limits,
    Plan,
    begin,
    begin_step,
    plan_for,
    update,
)
from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.judge import decide
from bench.verdict.engines.base import COMMON, COMMON_SECONDS, COMMON_WEIGHT, Ending, Setting

ENDINGS = {
    Decision.FAIL: Ending.ROLLED_BACK,
    Decision.INCONCLUSIVE: Ending.INCONCLUSIVE,
    Decision.INVALID: Ending.INCONCLUSIVE,
}


class OurRollout:
    """Steps of a plan, judged after each block of 10 s."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.look = 10.0
        self.shifted = 0.0
        self.evidence = begin_step(plan, begin(plan), 0, self.shifted)

    @property
    def weight(self) -> float:
        return self.plan.steps[self.evidence.step].percent / 100.0

    def see(self, block: Block) -> Ending | None:
        self.evidence = update(self.plan, self.evidence, block)
        decision = decide(self.plan, self.evidence, block.end - self.shifted)
        if decision is Decision.CONTINUE:
            return None
        if decision is not Decision.PASS:
            return ENDINGS[decision]
        following = self.evidence.step + 1
        if following == len(self.plan.steps):
            return Ending.PROMOTED
        self.shifted = block.end
        self.evidence = begin_step(self.plan, self.evidence, following, self.shifted)
        return None


@dataclass(frozen=True)
class Ours:
    """The defaults, and, as in a rollout, what is on record of stable's last hours."""

    schedule: str
    name: str = "backendctl"

    def begin(self, setting: Setting) -> OurRollout:
        common = self.schedule == COMMON
        plan = plan_for(
            setting.limits,
            steps=(round(100 * COMMON_WEIGHT),) if common else None,
            rps=setting.rps,
            reference=setting.history(),
            deadline=COMMON_SECONDS if common else default.DEADLINE,
            share_tolerance=0.0 if setting.sticky else default.SHARE_TOLERANCE,
            by_endpoint=(default.ERRORS,),
        )
        return OurRollout(plan)


@dataclass(frozen=True)
class Plain:
    """The bare test of errors against stable: no guards, alpha undivided, 10 % until decided."""

    name: str = "backendctl, bare test"
    schedule: str = "10 % until decided"
    by_endpoint: bool = False
    """With half of the evidence split over the endpoints."""

    def begin(self, setting: Setting) -> OurRollout:
        plan = plan_for(
            Limits(error_rate=setting.limits.error_rate),
            steps=(10,),
            rps=setting.rps,
            weights={default.ERRORS: (1.0, 0.0)},
            warm_up=0.0,
            step_time=0.0,
            deadline=4 * 3600.0,
            beta=1e-300,
            speed_limit=0.0,
            temper=False,
            mask_outages=False,
            share_tolerance=0.0,
            by_endpoint=(default.ERRORS,) if self.by_endpoint else (),
        )
        return OurRollout(plan)
