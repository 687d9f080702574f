"""A release that answers 4xx where stable does not: no limit says so, the comparison does."""

import numpy as np

from backendctl.rollout.verdict import (
    ArmBlock,
    Block,
    Decision,
    Judgement,
    Limits,
    begin,
    begin_step,
    judge,
    plan_for,
    update,
)

PLAN = plan_for(Limits(0.01, refusals=True), steps=(25,), rps=50.0, step_time=60.0)


def judged(stable: float, candidate: float, seed: int, blocks: int = 60) -> Judgement:
    """At 50 requests a second, these shares of them refused; no request fails."""
    random = np.random.default_rng(seed)
    evidence = begin_step(PLAN, begin(PLAN), 0, 0.0)
    found = judge(PLAN, evidence, 0.0)
    for i in range(blocks):
        ours, theirs = int(random.poisson(125)), int(random.poisson(375))
        arms = [
            ArmBlock(n, 0, refused=int(random.binomial(n, share)))
            for n, share in ((ours, candidate), (theirs, stable))
        ]
        evidence = update(PLAN, evidence, Block(10.0 * i, 10.0 * (i + 1), *arms))
        found = judge(PLAN, evidence, 10.0 * (i + 1))
        if found.decision in (Decision.FAIL, Decision.PASS):
            break
    return found


def test_an_endpoint_that_is_gone_is_found_and_told_in_words() -> None:
    found = judged(0.002, 0.055, seed=1)
    assert found.decision is Decision.FAIL
    assert found.reason.startswith("candidate refused (4xx) ")


def test_refusals_that_both_arms_give_alike_hold_nothing_up() -> None:
    decisions = [judged(0.1, 0.1, seed).decision for seed in range(30)]
    assert decisions == [Decision.PASS] * 30


def test_where_they_are_not_asked_for_they_count_for_nothing() -> None:
    plan = plan_for(Limits(0.01), steps=(25,), rps=50.0)
    assert "refusals" not in [metric.name for metric in plan.metrics]
