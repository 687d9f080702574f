import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.report.page import Cell, Fact, Page, Section, Table, render
from backendctl.report.plot import (
    Band,
    IntervalRow,
    Mark,
    Rule,
    Series,
    interval_plot,
    line_plot,
)
from backendctl.report.scale import Scale, log_ticks, nice_ticks, number

finite = st.floats(min_value=-1e9, max_value=1e9)


@given(finite, finite)
def test_ticks_enclose_the_values_in_round_even_steps(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    ticks = nice_ticks(low, high)
    slack = 1e-6 * max(1.0, abs(low), abs(high))
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert 2 <= len(ticks) <= 14


@given(st.floats(1e-4, 1e6), st.floats(1e-4, 1e6))
def test_logarithmic_ticks_enclose_the_values(a: float, b: float) -> None:
    ticks = log_ticks(min(a, b), max(a, b))
    assert ticks[0] <= min(a, b) * 1.001
    assert ticks[-1] >= max(a, b) * 0.999


@given(finite, finite, finite)
def test_every_value_falls_between_the_ends_of_its_scale(a: float, b: float, v: float) -> None:
    position = Scale(min(a, b), max(a, b), 10, 90).at(v)
    assert 10 <= position <= 90


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1200, "1,200"), (0.25, "0.25"), (3.0, "3"), (12.5, "12.5")]
)
def test_labels_are_short(value: float, text: str) -> None:
    assert number(value) == text


def coordinates(svg: str) -> list[float]:
    found = re.findall(r' (?:x1|x2|y1|y2|cx|cy|x|y|width|height)="([^"]+)"', svg)
    for pair in re.findall(r"[ML]([-\w.]+) ([-\w.]+)", svg):
        found += pair
    return [float(each) for each in found]


@given(
    st.lists(st.tuples(st.floats(0, 1e4), st.one_of(st.none(), st.floats(0, 1e7))), max_size=30),
    st.booleans(),
)
def test_any_data_gives_a_drawing_within_its_frame(
    points: list[tuple[float, float | None]], log: bool
) -> None:
    svg = line_plot(
        "t",
        [Series("a", sorted(points, key=lambda p: p[0])), Series("b", [], 2, step=True)],
        x_label="s",
        y_label="ms",
        log_y=log,
        rules=[Rule(10, "limit")],
        bands=[Band(0, 5, "hold")],
        marks=[Mark(1, "shift")],
    )
    assert all(math.isfinite(c) and -1 <= c <= 721 for c in coordinates(svg))


def test_a_gap_in_the_data_is_a_gap_in_the_line() -> None:
    svg = line_plot("t", [Series("a", [(0, 1), (1, None), (2, 1), (3, 1)])], x_label="", y_label="")
    path = re.findall(r'class="line c1" d="([^"]*)"', svg)[0]
    assert path.count("M") == 2
    assert path.count("L") == 1


def test_a_step_holds_its_value_until_the_next() -> None:
    svg = line_plot("t", [Series("a", [(0, 0), (10, 100)], step=True)], x_label="", y_label="")
    path = re.findall(r'class="line c1" d="([^"]*)"', svg)[0]
    corners = re.findall(r"[ML]([\d.]+) ([\d.]+)", path)
    assert len(corners) == 3
    assert corners[0][1] == corners[1][1] != corners[2][1]
    assert corners[1][0] == corners[2][0]


def test_intervals_over_their_limit_lie_beyond_the_line_of_it() -> None:
    svg = interval_plot(
        "t",
        [
            IntervalRow("good", 0.1, 0.2, 0.3, 1.0, "g", "good"),
            IntervalRow("bad", 1.1, 1.2, 1.3, 1.0, "b", "bad"),
            IntervalRow("open", 0.5, 0.6, None, 1.0, "o", "unsure"),
            IntervalRow("none", None, None, None, 1.0, "n"),
        ],
    )
    limit = float(re.findall(r'class="rule" x1="([\d.]+)"', svg)[0])
    dots = {k: float(x) for k, x in re.findall(r'class="dot (\w+)" cx="([\d.]+)"', svg)}
    assert dots["good"] < limit < dots["bad"]
    assert len(dots) == 3
    assert 'aria-label="t. good: g; bad: b; open: o; none: n"' in svg


def test_every_text_of_a_page_is_escaped_and_plots_are_not() -> None:
    evil = "<b>&\"'"
    text = render(
        Page(
            title=evil,
            verdict=evil,
            tone="good",
            summary=[evil],
            facts=[Fact(evil, evil, evil)],
            sections=[
                Section(
                    evil,
                    text=[evil],
                    plots=[interval_plot(evil, [])],
                    tables=[Table(evil, [evil], [[evil], [Cell(evil, "bad", True)]])],
                    folded=True,
                )
            ],
            details=[(evil, evil)],
        )
    )
    assert "<b>" not in text
    assert text.count("<svg") == 1
