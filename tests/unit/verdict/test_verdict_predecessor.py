"""After a switch no stable arm serves: the release is held to what its predecessor did."""

from collections.abc import Iterator

import numpy as np
import pytest

from backendctl.rollout.verdict import (
    ArmBlock,
    Block,
    Decision,
    Limits,
    Plan,
    Reference,
    begin,
    begin_step,
    judge,
    plan_for,
    update,
)
from backendctl.rollout.verdict.processes import rate_upper

LIMIT = 0.01
ONLY_ERRORS = Limits(LIMIT)
BLOCK = 10.0


def bake_plan(requests: int, events: int, dispersion: float = 1.0) -> Plan:
    """A bake of five minutes, as planning makes it."""
    return plan_for(
        ONLY_ERRORS,
        steps=(100,),
        has_stable=False,
        reference=Reference(requests, {"errors": events}, {"errors": dispersion}),
        warm_up=30.0,
        step_time=270.0,
        deadline=3900.0,
    )


def bake(plan: Plan, counts: Iterator[tuple[int, int]]) -> tuple[bool, float]:
    """Whether five minutes of a bake convict the release, and after how many seconds."""
    evidence = begin_step(plan, begin(plan), 0, 0.0)
    for place, (requests, errors) in zip(range(30), counts, strict=False):
        end = (place + 1) * BLOCK
        evidence = update(plan, evidence, Block(end - BLOCK, end, ArmBlock(requests, errors), None))
        if judge(plan, evidence, end).decision is Decision.FAIL:
            return True, end
    return False, 30 * BLOCK


def traffic(rng: np.random.Generator, rps: float, rate: float) -> Iterator[tuple[int, int]]:
    while True:
        requests = int(rng.poisson(rps * BLOCK))
        yield requests, int(rng.binomial(requests, rate))


def convicted(
    runs: int, rps: float, before: float, ratio: float, history: int, seed: int
) -> tuple[float, float]:
    """(share of releases convicted, median seconds of those), with a history drawn each time."""
    rng = np.random.default_rng(seed)
    seconds = []
    for _ in range(runs):
        plan = bake_plan(history, int(rng.binomial(history, before)))
        failed, at = bake(plan, traffic(rng, rps, min(1.0, before * ratio)))
        if failed:
            seconds.append(at)
    return len(seconds) / runs, float(np.median(seconds)) if seconds else float("nan")


def test_the_bound_is_a_multiple_of_the_upper_bound_of_what_was_before() -> None:
    metric = bake_plan(100_000, 300).metrics[0]
    assert metric.predecessor_limit == pytest.approx(2.0 * rate_upper(300, 100_000, 0.95))
    assert metric.limit == LIMIT


def test_the_bound_is_no_less_than_a_tenth_of_the_limit_and_no_more_than_it() -> None:
    assert bake_plan(1_000_000, 0).metrics[0].predecessor_limit == LIMIT / 10
    assert bake_plan(100_000, 900).metrics[0].predecessor_limit is None
    assert bake_plan(100, 0).metrics[0].predecessor_limit is None  # too little is known
    without = plan_for(ONLY_ERRORS, steps=(100,), has_stable=False)
    assert without.metrics[0].predecessor_limit is None
    assert without.metrics[0].convicts_over == LIMIT


def test_a_stable_arm_that_serves_is_the_better_comparison() -> None:
    plan = plan_for(ONLY_ERRORS, rps=100.0, reference=Reference(100_000, {"errors": 10}))
    assert all(metric.predecessor_limit is None for metric in plan.metrics)


def test_what_is_certified_is_what_it_was_without_a_predecessor() -> None:
    without = plan_for(
        ONLY_ERRORS, steps=(100,), has_stable=False, warm_up=30.0, step_time=270.0, deadline=3900.0
    )
    assert bake_plan(1_000_000, 100).steps == without.steps


@pytest.mark.parametrize(
    ("before", "ratio", "history"),
    [(0.0, 1.0, 3_000), (0.0005, 1.0, 3_000), (0.003, 1.0, 100_000), (0.003, 1.5, 100_000)],
)
def test_a_release_like_its_predecessor_is_hardly_ever_convicted(
    before: float, ratio: float, history: int
) -> None:
    share, _ = convicted(100, 100.0, before, ratio, history, seed=1)
    assert share <= 0.01


def test_ten_times_its_predecessor_is_found_though_the_limit_allows_it() -> None:
    share, seconds = convicted(40, 100.0, 0.0005, 10.0, 100_000, seed=2)
    assert share >= 0.95
    assert seconds <= 120.0
    plan = plan_for(ONLY_ERRORS, steps=(100,), has_stable=False, warm_up=30.0, step_time=270.0)
    rng = np.random.default_rng(3)
    unaware = [bake(plan, traffic(rng, 100.0, 0.005))[0] for _ in range(20)]
    assert not any(unaware)  # which the limit alone would have let pass


def test_the_reason_names_what_was_before() -> None:
    plan = bake_plan(100_000, 80)
    evidence = begin_step(plan, begin(plan), 0, 0.0)
    for place in range(30):
        end = (place + 1) * BLOCK
        evidence = update(plan, evidence, Block(end - BLOCK, end, ArmBlock(1000, 8), None))
    made = judge(plan, evidence, 300.0)
    assert made.decision is Decision.FAIL
    assert "stable before it 80 of 100,000 (0.08 %)" in made.reason
    assert LIMIT / 10 < made.numbers["metrics"]["errors"]["predecessor_limit"] < LIMIT / 4
