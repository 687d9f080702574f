import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.loadtest.histogram import HIGHEST, RELATIVE_ERROR, Histogram

MICROSECOND = 1e-6
seconds = st.floats(min_value=1e-6, max_value=HIGHEST * 0.999)
fractions = st.floats(min_value=0.0, max_value=1.0)


def filled(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


def close(read: float, exact: float) -> bool:
    return abs(read - exact) <= RELATIVE_ERROR * exact + MICROSECOND


@given(st.lists(seconds, min_size=1, max_size=200))
def test_every_order_statistic_is_within_the_stated_error(values: list[float]) -> None:
    histogram = filled(values)
    for rank, exact in enumerate(sorted(values), start=1):
        assert close(histogram.at_rank(rank), exact)


@given(st.lists(seconds, min_size=1, max_size=200), fractions)
def test_a_quantile_is_the_smallest_value_that_enough_do_not_exceed(
    values: list[float], fraction: float
) -> None:
    read = filled(values).quantile(fraction)
    candidates = sorted(values)
    enough = [
        v
        for i, v in enumerate(candidates, start=1)
        if i >= fraction * len(values) - 1e-6 and i - 1 < fraction * len(values) + 1e-6
    ]
    assert any(close(read, v) for v in enough or candidates[:1])


@given(st.lists(seconds, max_size=100), st.lists(seconds, max_size=100))
def test_merging_encoded_parts_is_the_same_as_recording_everything_in_one(
    one: list[float], two: list[float]
) -> None:
    merged = Histogram.from_data(filled(one).to_data())
    merged.merge(Histogram.from_data(filled(two).to_data()))
    assert list(merged.buckets()) == list(filled(one + two).buckets())
    assert merged.count == len(one) + len(two)


def test_fast_and_slow_requests_are_read_as_exactly_as_medium_ones() -> None:
    rng = random.Random(1)
    for centre in (0.0005, 0.002, 0.06, 1.0, 30.0):
        values = [centre * rng.uniform(0.8, 1.2) for _ in range(2000)]
        for fraction in (0.5, 0.95, 0.99):
            exact = sorted(values)[round(fraction * len(values)) - 1]
            assert close(filled(values).quantile(fraction), exact)


def test_durations_beyond_the_range_are_counted_at_its_end() -> None:
    histogram = filled([10 * HIGHEST, -1.0, 0.0])
    assert histogram.count == 3
    assert close(histogram.at_rank(3), HIGHEST)
    assert histogram.at_rank(1) == pytest.approx(MICROSECOND)


def test_counting_above_a_threshold_agrees_with_the_values() -> None:
    values = [0.001 * k for k in range(1, 1001)]
    assert filled(values).above(0.5) == pytest.approx(500, abs=2)


def test_an_empty_histogram_has_no_quantile_and_no_rank() -> None:
    with pytest.raises(ValueError, match="empty"):
        Histogram().quantile(0.5)
    with pytest.raises(ValueError, match="rank"):
        Histogram().at_rank(1)
