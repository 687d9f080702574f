"""Quantities: what a person writes is what is held, exactly, and the other way round."""

import json
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.spec.units import (
    COUNT,
    DURATION,
    FRACTION,
    GROWTH,
    PERCENT,
    RATE,
    SIZE,
    UNITS,
    Unit,
    UnitError,
)

DECIMALS = st.decimals(min_value=0, max_value=10**6, places=3)


@pytest.mark.parametrize(
    ("unit", "written", "held"),
    [
        (DURATION, "300ms", 0.3),
        (DURATION, "5s", 5.0),
        (DURATION, "5m", 300.0),
        (DURATION, "1h30m", 5400.0),
        (DURATION, "1h 30m", 5400.0),
        (DURATION, "1.5 h", 5400.0),
        (DURATION, "7d", 604800.0),
        (DURATION, "2w", 1209600.0),
        (DURATION, "250us", 0.00025),
        (DURATION, "1m500ms", 60.5),
        (DURATION, 0, 0.0),
        (FRACTION, "99.9%", 0.999),
        (FRACTION, "99.99 %", 0.9999),
        (FRACTION, 0.999, 0.999),
        (FRACTION, "0%", 0.0),
        (GROWTH, "250%", 2.5),
        (SIZE, "2 GiB", 2 << 30),
        (SIZE, "2gib", 2 << 30),
        (SIZE, "2Gi", 2 << 30),
        (SIZE, "500MB", 500_000_000),
        (SIZE, "1.5 TB", 1_500_000_000_000),
        (SIZE, "10 B", 10),
        (RATE, "200/s", 200.0),
        (RATE, "200 rps", 200.0),
        (RATE, "12k/min", 200.0),
        (RATE, "36/h", 0.01),
        (RATE, "86400/day", 1.0),
        (RATE, 50, 50.0),
        (COUNT, "5k", 5000),
        (COUNT, "5_000", 5000),
        (COUNT, "1.5M", 1_500_000),
        (COUNT, 12, 12),
        (PERCENT, 25, 25),
        (PERCENT, "25%", 25),
        (PERCENT, "5 %", 5),
    ],
)
def test_what_is_written_is_held(unit: Unit, written: object, held: float) -> None:
    assert unit.parse(written) == held
    assert type(unit.parse(written)) is (int if unit.whole else float)


@pytest.mark.parametrize(
    ("unit", "written"),
    [
        (DURATION, 300),
        (DURATION, "300"),
        (DURATION, "fast"),
        (DURATION, "5 minutes"),
        (DURATION, "-5s"),
        (DURATION, "5S"),
        (DURATION, ""),
        (DURATION, True),
        (FRACTION, 99.9),
        (FRACTION, "99.9"),
        (FRACTION, "101%"),
        (FRACTION, -0.1),
        (FRACTION, float("nan")),
        (SIZE, 1024),
        (SIZE, "2 G"),
        (SIZE, "2 gigabytes"),
        (SIZE, "0.5 B"),
        (RATE, "200"),
        (RATE, "200/fortnight"),
        (RATE, float("inf")),
        (COUNT, 1.5),
        (COUNT, "1.0001k"),
        (COUNT, "-3"),
        (COUNT, [3]),
    ],
)
def test_what_is_ambiguous_or_wrong_is_refused(unit: Unit, written: object) -> None:
    with pytest.raises(UnitError):
        unit.parse(written)


@pytest.mark.parametrize(
    ("unit", "held", "written"),
    [
        (DURATION, 0.3, "300ms"),
        (DURATION, 90.0, "1m30s"),
        (DURATION, 5400.0, "1h30m"),
        (DURATION, 0.833, "833ms"),
        (DURATION, 1.5, "1.5s"),
        (DURATION, 604800.0, "7d"),
        (DURATION, 0.0, "0s"),
        (FRACTION, 0.999, "99.9%"),
        (FRACTION, 0.01, "1%"),
        (SIZE, 2 << 30, "2 GiB"),
        (SIZE, 500_000_000, "500 MB"),
        (SIZE, 1025, "1025 B"),
        (RATE, 200.0, "200/s"),
        (COUNT, 5000, "5000"),
    ],
)
def test_what_is_held_is_written_as_a_person_would(unit: Unit, held: float, written: str) -> None:
    assert unit.render(held) == written


@given(st.floats(min_value=0, max_value=1e9, allow_nan=False))
def test_a_duration_written_and_read_again_is_the_same(seconds: float) -> None:
    seconds = round(seconds, 6)
    assert DURATION.parse(DURATION.render(seconds)) == seconds


@given(st.integers(min_value=0, max_value=10**9))
def test_whole_milliseconds_survive_as_text(milliseconds: int) -> None:
    seconds = float(Decimal(milliseconds) / 1000)
    assert DURATION.parse(f"{milliseconds}ms") == seconds
    assert DURATION.parse(DURATION.render(seconds)) == seconds


@given(st.decimals(min_value=0, max_value=1, places=6))
def test_a_percentage_is_held_as_the_number_it_stands_for(fraction: Decimal) -> None:
    held = FRACTION.parse(f"{fraction * 100}%")
    assert held == float(fraction)
    assert FRACTION.parse(FRACTION.render(held)) == held


@given(st.integers(min_value=0, max_value=1 << 60))
def test_a_size_written_and_read_again_is_the_same(size: int) -> None:
    assert SIZE.parse(SIZE.render(size)) == size


@given(st.floats(min_value=0, max_value=1e9, allow_nan=False))
def test_a_rate_written_and_read_again_is_the_same(rate: float) -> None:
    assert RATE.parse(RATE.render(rate)) == rate


@given(st.integers(min_value=0, max_value=10**15))
def test_a_count_written_and_read_again_is_the_same(count: int) -> None:
    assert COUNT.parse(COUNT.render(count)) == count


@given(st.text(max_size=12))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for unit in UNITS:
        try:
            value = unit.parse(text)
        except UnitError:
            continue
        assert value >= 0
        assert re.fullmatch(unit.pattern, text.strip())


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_each_example_in_the_words_for_what_is_accepted_is_accepted(unit: Unit) -> None:
    examples = [json.loads(each) for each in re.findall(r'"[^"]*"', unit.accepted)]
    assert examples
    for each in examples:
        unit.parse(each)
