"""Evidence by endpoint, against brute force and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdict_cases import ALL, ERRORS_UNDIVIDED, ONLY_ERRORS, unguarded

from backendctl.rollout.verdict import (
    ArmBlock,
    Block,
    Decision,
    Evidence,
    Plan,
    begin,
    begin_step,
    from_json,
    judge,
    plan_for,
    to_json,
    update,
)
from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.reading import read

NAMES = ("GET /a", "GET /b", "POST /c/{id}")


def arm(requests: int, failures: dict[str, int], slow: dict[str, int] | None = None) -> ArmBlock:
    slow = slow or {}
    late = {"slo_p95": 0, "slo_p99": sum(slow.values()), "stable_p99": 0}
    by = {"errors": failures, "slo_p99": slow}
    return ArmBlock(requests, sum(failures.values()), late, by)


def blocks_of(pairs: list[tuple[ArmBlock, ArmBlock]]) -> list[Block]:
    return [Block(10.0 * i, 10.0 * (i + 1), c, s) for i, (c, s) in enumerate(pairs)]


def seen(plan: Plan, blocks: list[Block]) -> Evidence:
    evidence = begin_step(plan, begin(plan), 0, 0.0)
    for block in blocks:
        evidence = update(plan, evidence, block)
    return evidence


failures = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3), max_size=3)
arms = st.tuples(
    st.builds(arm, st.integers(10, 60), failures), st.builds(arm, st.integers(10, 200), failures)
)


def probability(ratio: float, candidate: int, stable: int, share: float) -> float:
    """Of these arms of failed requests, were the candidate `ratio` times as bad as stable."""
    theta = ratio * share / (ratio * share + 1 - share)
    return theta**candidate * (1 - theta) ** stable


def brute_force(pairs: list[tuple[ArmBlock, ArmBlock]]) -> float:
    """Half the service's evidence and half the weighted mean of the endpoints', by the book."""
    names: list[str] = []
    for c, s in pairs:
        by = {n: c.endpoints["errors"].get(n, 0) + s.endpoints["errors"].get(n, 0) for n in NAMES}
        names += sorted((n for n in NAMES if by[n] and n not in names), key=lambda n: (-by[n], n))

    def mean(counts: list[tuple[int, int, float]]) -> float:
        return float(
            np.mean(
                [
                    math.prod(
                        probability(ratio, c, s, w) / probability(1.0, c, s, w)
                        for c, s, w in counts
                    )
                    for ratio in default.FAIL_RATIOS
                ]
            )
        )

    shares = [c.requests / (c.requests + s.requests) for c, s in pairs]
    whole = mean([(c.errors, s.errors, w) for (c, s), w in zip(pairs, shares, strict=True)])
    weights = [1 / (k + 3) for k in range(1, default.MOST_ENDPOINTS + 1)]
    each = [
        mean(
            [
                (c.endpoints["errors"].get(name, 0), s.endpoints["errors"].get(name, 0), w)
                for (c, s), w in zip(pairs, shares, strict=True)
            ]
        )
        for name in names
    ] + [1.0] * (len(weights) - len(names))
    mixed = sum(v * e for v, e in zip(weights, each, strict=True)) / sum(weights)
    return 0.5 * whole + 0.5 * mixed


@given(st.lists(arms, min_size=1, max_size=6))
def test_the_evidence_is_what_the_formula_says(pairs: list[tuple[ArmBlock, ArmBlock]]) -> None:
    plan = unguarded(weights=ERRORS_UNDIVIDED, by_endpoint=("errors",))
    evidence = seen(plan, blocks_of(pairs))
    reading = read(plan, plan.metrics[0], evidence.tracks[0])
    assert reading.fail_raw == pytest.approx(math.log(brute_force(pairs)), abs=1e-9)


@given(st.lists(arms, min_size=1, max_size=5))
def test_endpoints_survive_json_and_replay_bit_for_bit(
    pairs: list[tuple[ArmBlock, ArmBlock]],
) -> None:
    plan = plan_for(ALL, steps=(10, 50), warm_up=0.0, by_endpoint=("errors", "slo_p99"))
    again = from_json(Plan, to_json(plan))
    blocks = blocks_of(pairs)
    back = [from_json(Block, to_json(block)) for block in blocks]
    assert judge(plan, seen(plan, blocks), 100.0) == judge(again, seen(again, back), 100.0)


def test_blocks_of_an_older_journal_read_as_without_endpoints() -> None:
    assert from_json(ArmBlock, {"requests": 3, "errors": 1, "slow": {}}) == ArmBlock(3, 1)


def test_without_endpoints_nothing_is_spent_on_them() -> None:
    blocks = blocks_of([(arm(100, {"GET /a": 9}), arm(900, {"GET /a": 1}))])
    plain = unguarded(weights=ERRORS_UNDIVIDED)
    numbers = judge(plain, seen(plain, blocks), 10.0).numbers
    assert numbers["evidence"] == pytest.approx(
        math.exp(read(plain, plain.metrics[0], seen(plain, blocks).tracks[0]).fail_relative)
    )
    assert "endpoints" not in numbers["metrics"]["errors"]


def test_the_reason_names_the_endpoint_and_what_both_arms_did_there() -> None:
    plan = unguarded(by_endpoint=("errors",))
    pair = (
        arm(250, {"GET /orders/{id}": 14, "GET /a": 1}),
        arm(2250, {"GET /a": 9}),
    )
    found = judge(plan, seen(plan, blocks_of([pair])), 10.0)
    assert found.decision is Decision.FAIL
    assert found.reason.startswith(
        "GET /orders/{id}: candidate failed 14 requests, stable 0; all endpoints: "
        "candidate failed 15 of 250 requests"
    )
    worst = found.numbers["metrics"]["errors"]["endpoints"]["GET /orders/{id}"]
    assert (worst["candidate_events"], worst["stable_events"]) == (14, 0)


def test_an_endpoint_that_became_slow_is_named() -> None:
    plan = plan_for(ALL, steps=(10,), warm_up=0.0, step_time=60.0, by_endpoint=("slo_p99",))
    pairs = [(arm(300, {}, {"GET /report": 6}), arm(2700, {}, {"GET /a": 4}))] * 30
    found = judge(plan, seen(plan, blocks_of(pairs)), 300.0)
    assert found.decision is Decision.FAIL
    assert found.reason.startswith("GET /report: candidate took longer than")


def test_a_service_that_fails_everywhere_is_not_blamed_on_one_endpoint() -> None:
    plan = unguarded(by_endpoint=("errors",))
    everywhere = {f"GET /{chr(97 + i)}": 2 for i in range(20)}
    found = judge(plan, seen(plan, blocks_of([(arm(250, everywhere), arm(2250, {}))])), 10.0)
    assert found.decision is Decision.FAIL
    assert found.reason.startswith("candidate failed 40 of 250 requests")


def test_more_endpoints_than_have_a_place_count_for_the_service_only() -> None:
    plan = unguarded(by_endpoint=("errors",))
    many = {f"GET /e{i}": 1 for i in range(default.MOST_ENDPOINTS + 9)}
    evidence = seen(plan, blocks_of([(arm(900, {}), arm(900, many)), (arm(900, many), arm(9, {}))]))
    endpoints = evidence.tracks[0].endpoints
    assert len(endpoints.names) == default.MOST_ENDPOINTS
    assert evidence.tracks[0].candidate == len(many)
    told = judge(plan, evidence, 20.0).numbers["metrics"]["errors"]["endpoints"]
    assert len(told) <= default.TOLD_ENDPOINTS


# --- by simulation ----------------------------------------------------------------------------

ENDPOINTS = 20
TRAFFIC = np.array([0.02] + [0.98 / (ENDPOINTS - 1)] * (ENDPOINTS - 1))
GOOD = np.full(ENDPOINTS, 0.005)


def until_convicted(
    random: np.random.Generator, rates: np.ndarray, block: int, limit: int
) -> int | None:
    """Candidate requests, of a tenth of the traffic, until the bare test convicts."""
    plan = plan_for(
        ONLY_ERRORS,
        steps=(10,),
        warm_up=0.0,
        step_time=0.0,
        min_requests=0,
        speed_limit=0.0,
        temper=False,
        mask_outages=False,
        share_tolerance=0.0,
        alpha=0.005,
        weights=ERRORS_UNDIVIDED,
        by_endpoint=("errors",),
    )
    evidence, requests, at = begin_step(plan, begin(plan), 0, 0.0), 0, 0.0
    while requests < limit:
        mine = int(random.binomial(block, 0.1))
        arms = []
        for count, of in ((mine, rates), (block - mine, GOOD)):
            events = random.binomial(random.multinomial(count, TRAFFIC), of)
            arms.append(arm(count, {f"GET /{i}": int(n) for i, n in enumerate(events) if n}))
        evidence = update(plan, evidence, Block(at, at + 10.0, *arms))
        requests, at = requests + mine, at + 10.0
        if judge(plan, evidence, at).decision is Decision.FAIL:
            return requests
    return None


def test_a_broken_endpoint_with_2_percent_of_the_traffic_takes_under_300_candidate_requests() -> (
    None
):
    random = np.random.default_rng(11)
    rates = GOOD.copy()
    rates[0] = 1.0
    found = [until_convicted(random, rates, 100, 3000) for _ in range(101)]
    assert all(n is not None for n in found)
    assert sorted(n for n in found if n is not None)[50] <= 300


def test_twenty_good_endpoints_are_convicted_in_at_most_one_percent() -> None:
    random = np.random.default_rng(12)
    found = [until_convicted(random, GOOD, 2000, 6000) for _ in range(300)]
    assert sum(n is not None for n in found) <= 3
