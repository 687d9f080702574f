"""Counters to blocks: what a decreasing counter, a missing arm or a lost sample becomes."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from backendctl.platforms.base import ArmSample, Latencies, Sample
from backendctl.rollout.observe import block_between, own_p99
from backendctl.rollout.verdict import Block

EDGES = (10.0, 300.0, 1000.0)
THRESHOLDS = {"slo_p95": 0.3, "slo_p99": 1.0}


def arm(number: int, fast: int, medium: int, slow: int, errors: int, masked: int) -> ArmSample:
    total = fast + medium + slow
    return ArmSample(
        number,
        total,
        errors,
        masked,
        Latencies(EDGES, (fast, fast + medium, fast + medium), total),
        1,
    )


counts = st.integers(0, 10_000)
arms = st.builds(arm, st.just(1), counts, counts, counts, counts, counts)


def between(first: ArmSample | None, last: ArmSample | None) -> tuple[Block, str]:
    def sample(it: ArmSample | None) -> Sample:
        return Sample(0.0, {} if it is None else {1: it})

    return block_between(
        sample(first),
        sample(last),
        start=0.0,
        end=1.0,
        candidate=1,
        stable=None,
        thresholds=THRESHOLDS,
    )


def grown(first: ArmSample, more: ArmSample) -> ArmSample:
    return replace(
        first,
        requests=first.requests + more.requests,
        errors=first.errors + more.errors,
        masked=first.masked + more.masked,
        latencies=Latencies(
            EDGES,
            tuple(
                a + b for a, b in zip(first.latencies.at_most, more.latencies.at_most, strict=True)
            ),
            first.latencies.total + more.latencies.total,
        ),
    )


@given(arms, arms)
def test_a_block_is_what_was_added(first: ArmSample, more: ArmSample) -> None:
    block, problem = between(first, grown(first, more))
    assert problem == ""
    assert block.candidate is not None
    assert block.candidate.errors == more.errors + more.masked
    assert block.candidate.requests == max(more.requests, more.errors + more.masked)
    expected = more.latencies.slower_than(300.0)
    assert block.candidate.slow["slo_p95"] == expected


@given(arms, arms)
def test_any_counter_that_fell_makes_the_arm_missing_never_negative(
    first: ArmSample, last: ArmSample
) -> None:
    def bands(it: ArmSample) -> list[int]:
        kept = it.latencies.at_most
        return [*kept, *(it.latencies.total - count for count in kept)]

    counters = [(a.requests, a.errors, a.masked, *bands(a)) for a in (first, last)]
    fell = any(new < old for old, new in zip(*counters, strict=True))
    block, problem = between(first, last)
    assert (block.candidate is None) == fell
    assert bool(problem) == fell
    if block.candidate is not None:
        assert block.candidate.requests >= block.candidate.errors >= 0
        assert all(0 <= n <= block.candidate.requests for n in block.candidate.slow.values())


def test_an_arm_that_appears_or_vanishes_within_a_block_is_missing() -> None:
    it = arm(1, 5, 0, 0, 0, 0)
    for pair in ((None, it), (it, None), (None, None)):
        block, problem = between(*pair)
        assert block.candidate is None
        assert "no counters of release 1" in problem


def test_a_lost_sample_makes_both_arms_missing_and_says_whose() -> None:
    sample = Sample(0.0, {1: arm(1, 5, 0, 0, 0, 0), 2: arm(2, 5, 0, 0, 0, 0)})
    block, problem = block_between(
        sample, None, start=0.0, end=1.0, candidate=1, stable=2, thresholds={}
    )
    assert block.candidate is None
    assert block.stable is None
    assert "the candidate" in problem
    assert "stable" in problem


def test_changed_histogram_edges_are_a_new_series() -> None:
    first = arm(1, 5, 0, 0, 0, 0)
    last = replace(grown(first, first), latencies=Latencies((10.0,), (10,), 10))
    assert between(first, last)[0].candidate is None


def test_own_p99_is_the_smallest_edge_that_99_percent_kept() -> None:
    assert own_p99(Latencies(EDGES, (980, 991, 1000), 1000)) == 0.3
    assert own_p99(Latencies(EDGES, (990, 991, 1000), 1000)) == 0.01


def test_own_p99_is_unknown_with_few_requests_or_a_tail_beyond_the_last_edge() -> None:
    assert own_p99(Latencies(EDGES, (99, 99, 99), 99)) is None
    assert own_p99(Latencies(EDGES, (900, 950, 980), 1000)) is None
