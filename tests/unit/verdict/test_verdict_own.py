"""Metrics that the service counts itself, judged like errors on operations of their own."""

import pytest
from verdict_cases import unguarded

from backendctl.rollout.verdict import (
    ArmBlock,
    Block,
    Decision,
    Judgement,
    Own,
    Plan,
    begin,
    begin_step,
    forecast,
    from_json,
    judge,
    to_json,
    update,
)
from backendctl.rollout.verdict.evidence import Totals

CHECKOUT = Own("checkout", 0.02)
PLAN = unguarded(own=(CHECKOUT,))


def arm(requests: int, counted: tuple[int, int] | None) -> ArmBlock:
    return ArmBlock(requests, 0, counted={} if counted is None else {"checkout": counted})


def judged(
    plan: Plan, candidate: tuple[int, int] | None, stable: tuple[int, int] | None, blocks: int = 1
) -> Judgement:
    """After blocks without any failed request, in which the arms counted these operations."""
    evidence = begin_step(plan, begin(plan), 0, 0.0)
    for i in range(blocks):
        pair = arm(10_000, candidate), arm(90_000, stable)
        block = Block(10.0 * i, 10.0 * (i + 1), *pair)
        evidence = update(plan, evidence, from_json(Block, to_json(block)))
    return judge(plan, evidence, 10.0 * blocks)


def test_a_release_that_does_badly_by_it_is_undone_though_no_request_failed() -> None:
    found = judged(PLAN, (100, 30), (900, 5))
    assert found.decision is Decision.FAIL
    assert found.reason.startswith(
        "candidate did badly by checkout in 30 of 100 operations (30 %), stable 5 of 900 (0.56 %)"
    )
    assert found.numbers["metrics"]["checkout"]["candidate_operations"] == 100


def test_a_release_that_does_well_passes_once_it_is_shown() -> None:
    assert judged(PLAN, (100, 0), (900, 0)).decision is Decision.CONTINUE
    found = judged(PLAN, (1000, 1), (9000, 9), blocks=5)
    assert found.decision is Decision.PASS


def test_its_operations_and_not_the_requests_are_what_counts() -> None:
    found = judged(PLAN, (5, 0), (45, 0))
    assert found.decision is Decision.CONTINUE
    assert "did badly by checkout in 0 of 5 operations" in found.reason


@pytest.mark.parametrize("missing", [(None, (90, 1)), ((10, 0), None), ((1, 2), (90, 1))])
def test_what_was_not_measured_passes_nothing_and_in_the_end_is_invalid(
    missing: tuple[tuple[int, int] | None, tuple[int, int] | None],
) -> None:
    assert judged(PLAN, *missing).decision is Decision.CONTINUE
    assert judged(PLAN, *missing, blocks=400).decision is Decision.INVALID


@pytest.mark.parametrize("counted", [{}, {"checkout": (1, 2)}])
def test_a_release_that_fails_is_undone_though_its_own_metric_cannot_be_read(
    counted: dict[str, tuple[int, int]],
) -> None:
    evidence = begin_step(PLAN, begin(PLAN), 0, 0.0)
    failing = ArmBlock(10_000, 5_000, counted=counted)
    evidence = update(PLAN, evidence, Block(0.0, 10.0, failing, arm(90_000, (900, 5))))
    found = judge(PLAN, evidence, 10.0)
    assert found.decision is Decision.FAIL
    assert found.numbers["unusable_blocks"] == 1
    assert evidence.own["checkout"] == Totals()


def test_one_that_is_not_required_undoes_but_does_not_hold_up() -> None:
    plan = unguarded(own=(Own("checkout", 0.02, required=False),))
    assert judged(plan, (1, 0), (9, 0), blocks=2).decision is Decision.PASS
    assert judged(plan, (100, 30), (900, 5)).decision is Decision.FAIL


def test_one_that_only_the_candidate_counts_is_judged_by_its_limit_alone() -> None:
    plan = unguarded(own=(Own("checkout", 0.02, compared=False),))
    assert judged(plan, (1000, 1), None, blocks=5).decision is Decision.PASS
    assert judged(plan, None, None).decision is Decision.CONTINUE
    found = judged(plan, (100, 30), None)
    assert found.decision is Decision.FAIL
    assert found.reason.startswith("candidate did badly by checkout in 30 of 100 operations (30 %)")
    assert found.numbers["metrics"]["checkout"]["evidence_relative"] == 0.0


def test_without_stable_its_limit_alone_is_the_measure() -> None:
    plan = unguarded(steps=(100,), has_stable=False, own=(CHECKOUT,))
    assert judged(plan, (100, 30), None).decision is Decision.FAIL
    assert judged(plan, (1000, 1), None, blocks=5).decision is Decision.PASS


def test_a_plan_with_it_survives_json_and_can_be_forecast() -> None:
    assert from_json(Plan, to_json(PLAN)) == PLAN
    assert [step.slowest for step in forecast(PLAN, 100.0).steps] == ["errors"]


def test_one_that_is_not_required_and_cannot_be_read_holds_nothing_up() -> None:
    plan = unguarded(own=(Own("checkout", 0.02, required=False),))
    assert judged(plan, None, (900, 0), blocks=5).decision is Decision.PASS
    assert judged(PLAN, None, (900, 0), blocks=5).decision is not Decision.PASS
