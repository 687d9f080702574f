"""The whole rule against brute force and exact enumeration, and the properties it must have."""

import json
import math
from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verdict_cases import ALL, ONLY_ERRORS, block, judged, seen, unguarded

from backendctl.rollout.verdict import (
    ArmBlock,
    Block,
    Decision,
    Evidence,
    Judgement,
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

Counts = tuple[int, int, int, int]
"""Candidate's requests and errors, stable's requests and errors."""


def brute_force(plan: Plan, steps: list[list[Counts]]) -> Fraction:
    """The combined fail evidence of errors by its definition, in exact fractions."""
    (metric,) = plan.metrics
    limit = Fraction(metric.limit or 0.0)

    def ratio_part(blocks: list[Counts], ratio: Fraction) -> Fraction:
        product_ = Fraction(1)
        for nc, ec, ns, es in blocks:
            w = Fraction(nc, nc + ns)
            t = ratio * w / (ratio * w + 1 - w)
            product_ *= (t / w) ** ec * ((1 - t) / (1 - w)) ** es
        return product_

    def rate_part(blocks: list[Counts], rate: Fraction) -> Fraction:
        product_ = Fraction(1)
        for nc, ec, _, _ in blocks:
            product_ *= (rate / limit) ** ec * ((1 - rate) / (1 - limit)) ** (nc - ec)
        return product_

    total = Fraction(0)
    for begun, share in enumerate(plan.shares):
        since = [b for blocks in steps[begun:] for b in blocks]
        ratios = [ratio_part(since, Fraction(r)) for r in default.FAIL_RATIOS]
        rates = [rate_part(since, limit * Fraction(m)) for m in default.FAIL_MULTIPLES]
        total += Fraction(share) * (
            Fraction(metric.relative_weight) * sum(ratios) / len(ratios)
            + Fraction(metric.absolute_weight) * sum(rates) / len(rates)
        )
    return total


few = st.tuples(st.integers(1, 40), st.integers(0, 3), st.integers(1, 40), st.integers(0, 3)).map(
    lambda c: (c[0], min(c[1], c[0]), c[2], min(c[3], c[2]))
)


@settings(max_examples=60)
@given(st.lists(st.lists(few, min_size=1, max_size=4), min_size=1, max_size=3))
def test_the_combined_evidence_is_what_its_definition_says(steps: list[list[Counts]]) -> None:
    plan = unguarded(steps=(10, 25, 50))
    evidence, index = begin(plan), 0
    for number, blocks in enumerate(steps):
        evidence = begin_step(plan, evidence, number, None)
        for nc, ec, ns, es in blocks:
            evidence = update(plan, evidence, block(index, (nc, ec), (ns, es)))
            index += 1
    got = judge(plan, evidence, 0.0).numbers
    (metric,) = got["metrics"].values()
    expected = brute_force(plan, steps)
    if metric["stable_breaks_limit"]:
        assert got["evidence"] < float(expected)
    else:
        assert got["evidence"] == pytest.approx(float(expected), rel=1e-6)


def expectation(plan: Plan, sizes: list[tuple[int, int]], pc: float, ps: float) -> float:
    """Exact expectation of the combined evidence, over all outcomes of all blocks."""

    def below(evidence: Evidence, index: int) -> float:
        if index == len(sizes):
            return float(judge(plan, evidence, 0.0).numbers["evidence"])
        nc, ns = sizes[index]
        return math.fsum(
            comb(nc, ec) * pc**ec * (1 - pc) ** (nc - ec)
            * comb(ns, es) * ps**es * (1 - ps) ** (ns - es)
            * below(update(plan, evidence, block(index, (nc, ec), (ns, es))), index + 1)
            for ec, es in product(range(nc + 1), range(ns + 1))
        )  # fmt: skip

    return below(begin_step(plan, begin(plan), 0, 0.0), 0)


@pytest.mark.parametrize("guarded", [False, True], ids=["bare", "with speed limit and mask"])
@pytest.mark.parametrize("rate", [0.001, 0.01])
def test_the_expected_evidence_against_a_release_like_stable_is_at_most_one(
    guarded: bool, rate: float
) -> None:
    plan = unguarded()
    if guarded:
        plan = replace(plan, speed_limit=60.0, mask_outages=True)
    assert expectation(plan, [(1, 6), (2, 4)], rate, rate) <= 1.0 + 1e-9


def test_the_expected_evidence_against_a_worse_release_exceeds_one() -> None:
    assert expectation(unguarded(), [(2, 6), (2, 4)], 0.3, 0.01) > 2.0


counts = st.tuples(st.integers(0, 400), st.integers(0, 6), st.integers(0, 2000), st.integers(0, 12))


def as_blocks(drawn: list[Counts]) -> list[Block]:
    return [
        block(i, (nc, min(ec, nc)), (ns, min(es, ns))) for i, (nc, ec, ns, es) in enumerate(drawn)
    ]


@settings(max_examples=60)
@given(st.lists(counts, max_size=25))
def test_a_rollout_replayed_from_json_gives_the_same_evidence_bit_for_bit(
    drawn: list[Counts],
) -> None:
    plan = plan_for(ALL, rps=20.0)
    evidence = begin_step(plan, begin(plan), 0, 0.0)
    again_plan = from_json(Plan, json.loads(json.dumps(to_json(plan), allow_nan=False)))
    assert again_plan == plan
    again = evidence
    for each in as_blocks(drawn):
        evidence = update(plan, evidence, each)
        stored = json.loads(json.dumps(to_json(again), allow_nan=False))
        journaled = json.loads(json.dumps(to_json(each), allow_nan=False))
        again = update(again_plan, from_json(Evidence, stored), from_json(Block, journaled))
        assert again == evidence
        first, second = judge(plan, evidence, each.end), judge(again_plan, again, each.end)
        assert first == second
        assert from_json(Judgement, json.loads(json.dumps(to_json(first)))) == second


@settings(max_examples=80)
@given(st.lists(counts, min_size=1, max_size=12), st.data())
def test_more_candidate_errors_never_help_the_candidate(
    drawn: list[Counts], data: st.DataObject
) -> None:
    plan = unguarded()
    index = data.draw(st.integers(0, len(drawn) - 1))
    nc, ec, ns, es = drawn[index]
    more = list(drawn)
    more[index] = (nc, ec + data.draw(st.integers(0, 5)), ns, es)
    better, worse = judged(plan, as_blocks(drawn)), judged(plan, as_blocks(more))
    # Every grid point of fail evidence rises with candidate errors, every certificate falls.
    assert worse.numbers["evidence"] >= better.numbers["evidence"] * (1 - 1e-9)
    (b,), (w,) = better.numbers["metrics"].values(), worse.numbers["metrics"].values()
    assert w["certificate"] <= b["certificate"] * (1 + 1e-9)
    order = [Decision.PASS, Decision.CONTINUE, Decision.FAIL]
    assert order.index(worse.decision) >= order.index(better.decision)


@settings(max_examples=60)
@given(st.lists(counts, min_size=2, max_size=10))
def test_what_is_said_does_not_depend_on_how_requests_are_listed_within_a_block(
    drawn: list[Counts],
) -> None:
    """Only counts enter: metric names in another order are the same block."""
    plan = plan_for(ALL, rps=20.0, warm_up=0.0)

    def shuffled(arm: ArmBlock | None) -> ArmBlock | None:
        return None if arm is None else replace(arm, slow=dict(reversed(list(arm.slow.items()))))

    blocks = as_blocks(drawn)
    turned = [
        replace(b, candidate=shuffled(b.candidate), stable=shuffled(b.stable)) for b in blocks
    ]
    assert judged(plan, blocks) == judged(plan, turned)


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(st.none(), st.tuples(st.just(0), st.just(0), st.integers(0, 5000), st.just(0))),
        max_size=30,
    ),
    st.floats(0.0, 1e5),
)
def test_silence_never_passes(drawn: list[Counts | None], elapsed: float) -> None:
    """No request of the candidate, or no counters at all, for however long."""
    plan = plan_for(ALL, rps=20.0, min_requests=0)
    blocks = [
        block(i, None, None) if c is None else block(i, (0, 0), (c[2], 0))
        for i, c in enumerate(drawn)
    ]
    assert judged(plan, blocks, elapsed).decision is not Decision.PASS


@settings(max_examples=40)
@given(st.integers(0, 3), st.integers(0, 10**9), st.integers(0, 10**9))
def test_any_size_of_counts_gives_finite_numbers(kind: int, nc: int, ns: int) -> None:
    plan = plan_for(ONLY_ERRORS, steps=(50,), warm_up=0.0)
    errors = {0: (0, 0), 1: (nc, 0), 2: (0, ns), 3: (nc, ns)}[kind]
    made = judged(plan, [block(i, (nc, errors[0]), (ns, errors[1])) for i in range(3)])
    json.dumps(to_json(made), allow_nan=False)


def test_evidence_starts_at_nothing() -> None:
    plan = plan_for(ALL, rps=100.0)
    numbers = judge(plan, seen(plan, []), 0.0).numbers
    assert numbers["evidence"] == pytest.approx(1.0)
    assert all(m["certificate"] in (None, pytest.approx(1.0)) for m in numbers["metrics"].values())
