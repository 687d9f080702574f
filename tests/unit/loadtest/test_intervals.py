import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.loadtest.intervals import fewest, inflation, ranks, wilson


def binomial_below(n: int, p: float, k: int) -> float:
    """P(Binomial(n, p) < k), by definition."""
    return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k))


@given(st.integers(1, 300), st.sampled_from([0.5, 0.9, 0.95, 0.99]), st.sampled_from([0.025, 0.01]))
def test_ranks_are_the_tightest_that_keep_the_risk(n: int, p: float, risk: float) -> None:
    low, high = ranks(n, p, risk, risk)
    if low is None:
        assert binomial_below(n, p, 1) > risk
    else:
        assert binomial_below(n, p, low) <= risk
        assert low == n or binomial_below(n, p, low + 1) > risk
    if high is None:
        assert 1 - binomial_below(n, p, n) > risk
    else:
        assert 1 - binomial_below(n, p, high) <= risk + 1e-12
        assert high == 1 or 1 - binomial_below(n, p, high - 1) > risk - 1e-12


def test_ranks_of_millions_of_requests_are_found_and_near_the_normal_approximation() -> None:
    low, high = ranks(4_000_000, 0.99, 0.025, 0.025)
    assert low is not None
    assert high is not None
    spread = 1.96 * math.sqrt(4_000_000 * 0.99 * 0.01)
    assert low == pytest.approx(3_960_000 - spread, abs=3)
    assert high == pytest.approx(3_960_000 + spread, abs=3)


def test_an_upper_end_for_p99_needs_368_requests() -> None:
    assert fewest(0.99, 0.025) == 368
    assert ranks(367, 0.99, 0.025, 0.025)[1] is None
    assert ranks(368, 0.99, 0.025, 0.025)[1] == 368


def test_no_requests_say_nothing() -> None:
    assert ranks(0, 0.95, 0.025, 0.025) == (None, None)
    assert wilson(0, 0, 0.025, 0.025) == (0.0, 1.0)


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_encloses_the_measured_rate_and_stays_within_0_and_1(hits: int, n: int) -> None:
    hits = min(hits, n)
    low, high = wilson(hits, n, 0.025, 0.025)
    assert 0 <= low <= hits / n + 1e-12
    assert hits / n - 1e-12 <= high <= 1


def test_wilson_agrees_with_a_published_value() -> None:
    # Newcombe 1998, table I: 81 of 263, 95 %.
    low, high = wilson(81, 263, 0.025, 0.025)
    assert low == pytest.approx(0.2553, abs=5e-4)
    assert high == pytest.approx(0.3662, abs=5e-4)


def test_the_intervals_of_a_percentile_cover_it_as_often_as_they_say() -> None:
    rng = random.Random(11)
    repeats, n, p = 1000, 800, 0.95
    truth = -math.log(1 - p)
    below = above = 0
    low, high = ranks(n, p, 0.025, 0.025)
    assert low is not None
    assert high is not None
    for _ in range(repeats):
        values = sorted(rng.expovariate(1) for _ in range(n))
        below += truth < values[low - 1]
        above += truth > values[high - 1]
    # 2.5 % each, plus three standard deviations of this simulation.
    assert below / repeats <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / repeats)
    assert above / repeats <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / repeats)
    assert below + above > 0


def test_the_intervals_of_an_error_rate_cover_it_as_often_as_they_say() -> None:
    rng = random.Random(5)
    repeats, n, rate = 2000, 1000, 0.01
    missed = 0
    for _ in range(repeats):
        hits = sum(rng.random() < rate for _ in range(n))
        low, high = wilson(hits, n, 0.025, 0.025)
        missed += not low <= rate <= high
    assert 0 < missed / repeats <= 0.065


def test_independent_seconds_are_hardly_inflated_and_bursts_are() -> None:
    rng = random.Random(2)
    sizes = [200] * 60
    independent = [sum(rng.random() < 0.05 for _ in range(200)) for _ in sizes]
    bursts = [100 if i % 10 == 0 else 0 for i in range(60)]
    assert inflation(independent, sizes) < 2.0
    assert inflation(bursts, sizes) > 20


def test_dependence_longer_than_a_second_is_found_in_longer_batches() -> None:
    sizes = [100] * 64
    slow_spell = [8 if 16 <= i < 32 else 4 for i in range(64)]
    assert inflation(slow_spell, sizes) > 2 * inflation(slow_spell[:8] * 8, sizes)


def test_too_few_seconds_do_not_widen() -> None:
    assert inflation([50, 0, 0], [100, 100, 100]) == 1.0
