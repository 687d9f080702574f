import itertools
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.loadtest.arrivals import arrivals, share

rates = st.floats(min_value=0.0, max_value=5000.0)


@given(
    st.floats(min_value=0.01, max_value=100),
    st.integers(min_value=0, max_value=500),
    rates,
    st.floats(min_value=0.1, max_value=5000.0),
    st.integers(),
)
def test_the_count_is_exact_and_the_times_rise_within_the_stage(
    duration: float, count: int, a: float, b: float, seed: int
) -> None:
    times = list(arrivals(duration, count, a, b, random.Random(seed)))
    assert len(times) == count
    assert times == sorted(times)
    assert all(0 <= t < duration for t in times)


@given(st.integers(0, 10_000), st.integers(1, 17))
def test_the_shares_of_the_workers_sum_to_the_whole_and_differ_by_one_at_most(
    count: int, workers: int
) -> None:
    shares = [share(count, workers, i) for i in range(workers)]
    assert sum(shares) == count
    assert max(shares) - min(shares) <= 1


def test_gaps_at_a_constant_rate_are_those_of_a_poisson_process() -> None:
    times = list(arrivals(100.0, 20_000, 200.0, 200.0, random.Random(7)))
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert statistics.mean(gaps) == pytest.approx(0.005, rel=0.02)
    # An exponential's standard deviation is its mean; even spacing would have none.
    assert statistics.stdev(gaps) == pytest.approx(0.005, rel=0.04)
    per_second = [0] * 100
    for t in times:
        per_second[int(t)] += 1
    assert statistics.variance(per_second) == pytest.approx(200, rel=0.5)


def test_the_streams_of_several_workers_together_are_as_random_as_one() -> None:
    times = sorted(
        t
        for worker in range(4)
        for t in arrivals(100.0, share(20_000, 4, worker), 1.0, 1.0, random.Random(worker))
    )
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert statistics.stdev(gaps) == pytest.approx(0.005, rel=0.04)


def test_a_ramp_offers_as_many_in_each_part_as_its_rates_say() -> None:
    times = list(arrivals(10.0, 40_000, 0.0, 100.0, random.Random(3)))
    # The integral of t over the first half is a quarter of the whole.
    assert sum(t < 5 for t in times) / len(times) == pytest.approx(0.25, abs=0.01)
    down = list(arrivals(10.0, 40_000, 300.0, 100.0, random.Random(3)))
    assert sum(t < 5 for t in down) / len(down) == pytest.approx(0.625, abs=0.01)


def test_the_same_seed_sends_at_the_same_times() -> None:
    def first() -> list[float]:
        return list(arrivals(10.0, 100, 1.0, 2.0, random.Random("1/0")))

    assert first() == first()
