"""Where sessions stay with a release, a few heavy users are on one arm by chance."""

import numpy as np

from backendctl.rollout.verdict import (
    ArmBlock,
    Block,
    Decision,
    Limits,
    begin,
    begin_step,
    judge,
    plan_for,
    update,
)
from backendctl.rollout.verdict.parameters import SLO_P95, SLO_P99, STABLE_P99, STICKY_FAIL_WEIGHTS

LIMITS = Limits(0.01, p95_s=0.3, p99_s=1.0, stable_p99_s=0.5)
RUNS = 60


def convicted(seed: int, *, sticky: bool) -> bool:
    """A good release at 10 %: five users make all slow requests, 0.2 % of 100 a second."""
    more = {"weights": STICKY_FAIL_WEIGHTS, "share_tolerance": 0.0} if sticky else {}
    plan = plan_for(LIMITS, steps=(10,), rps=100.0, **more)
    random = np.random.default_rng(seed)
    on_candidate = int((random.random(5) < 0.1).sum())
    evidence = begin_step(plan, begin(plan), 0, 0.0)
    for i in range(90):
        ours = int(random.poisson(2.0 * on_candidate / 5))
        theirs = int(random.poisson(2.0 * (5 - on_candidate) / 5))
        arms = [
            ArmBlock(n, 0, dict.fromkeys(plan.thresholds, slow))
            for n, slow in ((100, min(ours, 100)), (900, theirs))
        ]
        evidence = update(plan, evidence, Block(10.0 * i, 10.0 * (i + 1), *arms))
        if judge(plan, evidence, 10.0 * (i + 1)).decision is Decision.FAIL:
            return True
    return False


def test_latency_is_judged_by_its_limits_alone() -> None:
    plan = plan_for(LIMITS, steps=(10,), rps=100.0, weights=STICKY_FAIL_WEIGHTS)
    weights = {metric.name: metric.relative_weight for metric in plan.metrics}
    assert STABLE_P99 not in weights
    assert (weights[SLO_P95], weights[SLO_P99]) == (0.0, 0.0)
    assert sum(m.relative_weight + m.absolute_weight for m in plan.metrics) == 1.0


def test_heavy_users_of_a_slow_endpoint_convict_by_comparison_but_not_by_the_limits() -> None:
    assert sum(convicted(seed, sticky=False) for seed in range(RUNS)) >= 3
    assert sum(convicted(seed, sticky=True) for seed in range(RUNS)) == 0
