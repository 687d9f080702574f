"""Decisions in the situations that matter, and the words that go with them."""

import random
from collections.abc import Sequence

import pytest
from verdict_cases import ALL, ERRORS_UNDIVIDED, ONLY_ERRORS, arm, block, judged, seen, unguarded

from backendctl.rollout.verdict import (
    ArmBlock,
    Block,
    Decision,
    Evidence,
    Judgement,
    Plan,
    begin,
    begin_step,
    judge,
    plan_for,
    update,
)


def steady(count: int, candidate: tuple[int, int], stable: tuple[int, int] | None) -> list[Block]:
    return [block(i, candidate, stable) for i in range(count)]


def whole(plan: Plan, per_step: Sequence[list[Block]]) -> tuple[Judgement, Evidence]:
    """Judge after the blocks of each step; stops where a step does not pass."""
    evidence, shift = begin(plan), 0.0
    made = None
    for index, blocks in enumerate(per_step):
        evidence = begin_step(plan, evidence, index, shift)
        for each in blocks:
            moved = Block(shift + each.start, shift + each.end, each.candidate, each.stable)
            evidence = update(plan, evidence, moved)
        elapsed = (evidence.newest or shift) - shift
        made = judge(plan, evidence, elapsed)
        shift += elapsed
        if made.decision is not Decision.PASS:
            break
    assert made is not None
    return made, evidence


PLAN = plan_for(ALL, rps=100.0)


def test_a_release_whose_every_request_fails_is_convicted_within_90_seconds_of_warm_up() -> None:
    for count in range(1, 13):
        made = judged(PLAN, steady(count, (50, 50), (950, 5)))
        if made.decision is Decision.FAIL:
            break
    assert made.decision is Decision.FAIL
    assert 30 + 60 < count * 10 <= 30 + 90
    assert "candidate failed" in made.reason
    assert "(100 %)" in made.reason
    assert "limit 100" in made.reason


def test_the_reason_names_the_metric_that_decided_and_both_arms_numbers() -> None:
    slow = [
        Block(
            b.start, b.end, ArmBlock(50, 0, {"slo_p95": 9, "slo_p99": 9, "stable_p99": 9}), b.stable
        )
        for b in steady(30, (50, 0), (950, 0))
    ]
    made = judged(PLAN, slow)
    assert made.decision is Decision.FAIL
    assert made.reason.startswith(
        "candidate took longer than the bound from stable's own p99 (800 ms) in 243 of"
    )
    assert "stable 0 of 25,650 (0 %)" in made.reason


def test_nothing_is_convicted_by_its_warm_up() -> None:
    warm = [block(i, (50, 50), (950, 5)) for i in range(3)]
    good = [block(i, (50, 0), (950, 5)) for i in range(3, 9)]
    made = judged(PLAN, warm + good)
    assert made.numbers["metrics"]["errors"]["candidate_events"] == 0
    assert made.numbers["warm_up_blocks"] == 3
    assert made.decision is Decision.PASS


def test_a_block_that_spans_the_shift_does_not_count() -> None:
    plan = plan_for(ONLY_ERRORS, steps=(50,), warm_up=0.0)
    evidence = begin_step(plan, begin(plan), 0, 5.0)
    evidence = update(plan, evidence, block(0, (50, 50), (50, 0)))
    assert evidence.candidate == 0
    evidence = update(plan, evidence, block(1, (50, 0), (50, 0)))
    assert evidence.candidate == 50


def test_a_good_release_passes_each_step_no_sooner_than_its_minimum_time() -> None:
    good = [steady(9, (500 * s // 50, 0), (1000 - 500 * s // 50, 5)) for s in (5, 25, 50)]
    made, evidence = whole(PLAN, good)
    assert made.decision is Decision.PASS
    assert evidence.step == 2
    assert "shown to be" in made.reason
    early = judged(PLAN, steady(8, (50, 0), (950, 5)))
    assert early.decision is Decision.CONTINUE
    assert "80 s of at least 90 s" in early.reason


def test_zero_errors_on_both_arms_are_certified_against_the_limit() -> None:
    plan = plan_for(ONLY_ERRORS, steps=(50,))
    made = judged(plan, steady(12, (60, 0), (60, 0)))
    assert made.decision is Decision.PASS
    assert made.numbers["metrics"]["errors"]["certificate_relative"] == 1.0


def test_too_few_requests_hold_at_the_deadline_and_say_what_is_missing() -> None:
    made = judged(
        plan_for(ONLY_ERRORS, rps=0.1),
        [block(i, (i % 2, 0), (1 - i % 2, 0)) for i in range(360)],
        3600.0,
    )
    assert made.decision is Decision.INCONCLUSIVE
    assert "no verdict within 60 min" in made.reason
    assert "more candidate requests needed" in made.reason


def test_no_traffic_at_all_is_inconclusive_never_a_pass() -> None:
    made = judged(plan_for(ONLY_ERRORS, rps=0.0), steady(360, (0, 0), (0, 0)), 3600.0)
    assert made.decision is Decision.INCONCLUSIVE
    assert "no traffic" in made.reason


def test_a_meter_that_says_nothing_is_invalid_at_the_deadline() -> None:
    made = judged(plan_for(ONLY_ERRORS, rps=100.0), [], 3600.0)
    assert made.decision is Decision.INVALID


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda b: Block(b.start, b.end, None, b.stable), "candidate's counters are missing"),
        (lambda b: Block(b.start, b.end, b.candidate, None), "stable's counters are missing"),
        (lambda b: Block(b.start, b.end, arm(-3), b.stable), "went backwards"),
        (
            lambda b: Block(b.start, b.end, arm(5, 6), b.stable),
            "more events of errors (6) than requests (5)",
        ),
        (lambda b: Block(b.start, b.end, ArmBlock(5, 0), b.stable), "was not measured"),
        (lambda b: Block(0.0, 10.0, b.candidate, b.stable), "times overlap"),
    ],
)
def test_counts_that_cannot_be_used_are_invalid_once_they_persist(broken, says) -> None:  # type: ignore[no-untyped-def]
    good = steady(9, (50, 0), (950, 5))
    bad = [broken(block(i, (50, 0), (950, 5))) for i in range(9, 15)]
    once = judged(PLAN, good + bad[:1], 100.0)
    assert once.decision is Decision.CONTINUE
    assert says in once.reason
    made = judged(PLAN, good + bad, 150.0)
    assert made.decision is Decision.INVALID
    assert says in made.reason
    recovered = judged(PLAN, good + bad[:2] + [block(11, (50, 0), (950, 5))], 120.0)
    assert recovered.decision is Decision.PASS


def test_old_data_do_not_pass() -> None:
    good = steady(9, (50, 0), (950, 5))
    assert judged(PLAN, good, 91.0).decision is Decision.PASS
    made = judged(PLAN, good, 300.0)
    assert made.decision is Decision.CONTINUE
    assert "the newest measurement is 4 min old" in made.reason or "210 s old" in made.reason


def test_a_share_of_requests_that_was_not_asked_for_is_invalid_once_it_persists() -> None:
    made = judged(PLAN, steady(12, (100, 0), (900, 5)))
    assert made.decision is Decision.INVALID
    assert "should get 5 % of requests but was counted with 10.0 %" in made.reason
    assert judged(PLAN, steady(12, (52, 0), (948, 5))).decision is Decision.PASS
    sticky = plan_for(ALL, rps=100.0, share_tolerance=0.0)
    assert judged(sticky, steady(12, (100, 0), (900, 5))).decision is Decision.PASS


def test_when_stable_breaks_the_limit_too_the_candidate_is_held_not_convicted() -> None:
    plan = plan_for(ONLY_ERRORS, rps=100.0, steps=(50,))
    draw = random.Random(7)
    blocks = [
        block(i, (500, sum(draw.random() < 0.03 for _ in range(500))),
              (500, sum(draw.random() < 0.03 for _ in range(500))))
        for i in range(360)
    ]  # fmt: skip
    evidence = begin_step(plan, begin(plan), 0, 0.0)
    for each in blocks:
        evidence = update(plan, evidence, each)
        assert judge(plan, evidence, each.end).decision is not Decision.FAIL
    made = judge(plan, evidence, 3600.0)
    assert made.decision is Decision.INCONCLUSIVE
    assert "stable breaks the limit as well" in made.reason


def test_a_candidate_much_worse_than_a_broken_stable_is_still_convicted() -> None:
    made = judged(plan_for(ONLY_ERRORS, rps=100.0), steady(40, (50, 10), (950, 30)))
    assert made.decision is Decision.FAIL


def test_a_release_over_the_limit_is_convicted_though_stable_is_close_behind() -> None:
    """Stable at 0.9 %, candidate at 1.5 %: the ratio alone would take much longer."""
    plan = plan_for(ONLY_ERRORS, rps=1000.0, steps=(50,))
    made = judged(plan, steady(60, (5000, 75), (5000, 45)))
    assert made.decision is Decision.FAIL


def test_an_outage_of_both_arms_is_not_counted_against_the_limit() -> None:
    plan = plan_for(ONLY_ERRORS, rps=100.0, steps=(50,))
    good = steady(6, (500, 2), (500, 2))
    outage = [block(i, (500, 250), (500, 250)) for i in range(6, 12)]
    made = judged(plan, good + outage)
    assert made.decision is Decision.CONTINUE
    assert made.numbers["metrics"]["errors"]["outage_blocks"] == 6
    assert made.numbers["metrics"]["errors"]["evidence"] < 1.0


def test_an_outage_does_not_hide_a_candidate_that_does_worse_in_it() -> None:
    plan = plan_for(ONLY_ERRORS, rps=100.0, steps=(50,))
    good = steady(6, (500, 2), (500, 2))
    outage = [block(i, (500, 480), (500, 50)) for i in range(6, 48)]
    assert judged(plan, good + outage).decision is Decision.FAIL


def test_a_first_release_is_judged_by_the_limits_alone() -> None:
    plan = plan_for(ALL, has_stable=False, rps=100.0)
    assert [s.percent for s in plan.steps] == [100]
    assert "stable_p99" not in plan.thresholds
    assert judged(plan, steady(9, (1000, 1), None)).decision is Decision.PASS
    made = judged(plan, steady(12, (1000, 80), None))
    assert made.decision is Decision.FAIL
    assert "the limit is 1 %" in made.reason
    assert "stable" not in made.reason


def test_a_regression_that_appears_at_the_last_step_is_not_outweighed_by_good_steps() -> None:
    good = [steady(60, (500 * s // 50, 0), (1000 - 500 * s // 50, 5)) for s in (5, 25)]
    late = [block(i, (500, 0 if i < 4 else 20), (500, 3)) for i in range(30)]
    made, evidence = whole(PLAN, [*good, late])
    assert evidence.step == 2
    assert made.decision is Decision.FAIL
    assert "since the first step" in made.reason


def test_a_burst_on_the_candidate_stops_the_step_up_before_it_convicts() -> None:
    good = steady(8, (50, 0), (950, 5))
    burst = [block(i, (50, 2), (950, 5)) for i in range(8, 13)]
    made = judged(PLAN, good + burst)
    assert made.decision is Decision.CONTINUE
    assert made.numbers["evidence"] < 10.0 < made.numbers["evidence_without_speed_limit"]
    assert "without the speed limit" in made.reason


def test_comparison_with_an_ageing_stable_does_not_certify() -> None:
    from backendctl.rollout.verdict import reference_from

    history = [Block(10.0 * i, 10.0 * i + 10, None, arm(1000, 1)) for i in range(100)]
    plan = plan_for(ONLY_ERRORS, rps=100.0, steps=(50,), reference=reference_from(history))
    made = judged(plan, steady(40, (500, 4), (500, 5)))
    assert made.decision is not Decision.PASS
    assert (
        made.numbers["metrics"]["errors"]["relative_suspended"]
        == "stable is worse than before the rollout"
    )


def test_without_guards_a_tenfold_error_rate_takes_about_110_candidate_requests() -> None:
    """The anchor of a one-metric test at w = 0.1 and alpha = 0.01: median 110-120."""
    needed = []
    for seed in range(200):
        draw = random.Random(seed)
        plan = unguarded(weights=ERRORS_UNDIVIDED, deadline=1e9)
        evidence = begin_step(plan, begin(plan), 0, 0.0)
        index = requests = 0
        while True:
            nc = sum(draw.random() < 0.1 for _ in range(100))
            ec = sum(draw.random() < 0.05 for _ in range(nc))
            es = sum(draw.random() < 0.005 for _ in range(100 - nc))
            evidence = update(plan, evidence, block(index, (nc, ec), (100 - nc, es)))
            index, requests = index + 1, requests + nc
            if judge(plan, evidence, 0.0).numbers["evidence"] >= 100.0:
                break
        needed.append(requests)
    assert 80 <= sorted(needed)[100] <= 125


def test_steps_come_in_order() -> None:
    evidence = begin(PLAN)
    with pytest.raises(ValueError, match="before the first step"):
        update(PLAN, evidence, block(0, (1, 0), (1, 0)))
    with pytest.raises(ValueError, match="no step"):
        judge(PLAN, evidence, 0.0)
    with pytest.raises(ValueError, match="does not follow"):
        begin_step(PLAN, evidence, 1)


def test_without_a_time_of_the_shift_the_step_begins_with_its_first_block() -> None:
    evidence = seen(PLAN, [block(7, (50, 0), (950, 5))], at=None)
    assert evidence.began == 70.0
    assert evidence.warming == 1
