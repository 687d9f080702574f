"""Dispersion: clusters are found, independent and steadily bad events are left alone."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.rollout.verdict.dispersion import Bursts, Dispersion, Split, unseen
from backendctl.rollout.verdict.parameters import RUNNING_SIGMAS

pairs = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=40)


@given(pairs)
def test_the_split_from_sums_is_the_split_from_its_terms(drawn: list[tuple[int, int]]) -> None:
    blocks = [(x, x + y) for x, y in drawn]
    split = Split()
    for x, t in blocks:
        split = split.after(x, t, 10.0, 10.0)
    total = sum(t for _, t in blocks)
    p = (sum(x for x, _ in blocks) + 0.5) / (total + 1.0)
    squares = sum((x - p * t) ** 2 for x, t in blocks)
    expected = p * (1 - p) * (total - sum(t * t for _, t in blocks) / total) if total else 0.0
    if split.value() != 1.0:
        assert split.value() == pytest.approx(squares / expected)
    elif expected > 0.0:  # no more than chance may make of it
        q = p * (1 - p)
        variance = 2 * q * q * sum(t * t for _, t in blocks) + max(0.0, q * (1 - 6 * q)) * total
        assert squares / expected <= 1.0 + RUNNING_SIGMAS * variance**0.5 / expected + 1e-9


@given(pairs)
def test_bursts_from_sums_are_bursts_from_their_terms(drawn: list[tuple[int, int]]) -> None:
    blocks = [(x, x + y + 1) for x, y in drawn]
    bursts = Bursts()
    for x, t in blocks:
        bursts = bursts.after(x, t, 10.0, 10.0)
    terms = h = 0.0
    for (x, t), (y, u) in pairwise(blocks):
        weight = 1 / (1 / t + 1 / u)
        terms, h = terms + (weight * (x / t - y / u)) ** 2, h + weight
    p = (sum(x for x, _ in blocks) + 0.5) / (sum(t for _, t in blocks) + 1.0)
    if bursts.value() != 1.0:
        assert bursts.value() == pytest.approx(terms / (p * (1 - p) * h))


def run(seed: int, cluster: int = 1, ratio: float = 1.0, late: bool = False) -> Dispersion:
    """60 blocks of 10 s, 250 of 1,000 requests for the candidate, 8 clusters of errors a block."""
    draw, dispersion = random.Random(seed), unseen(1.0)
    for index in range(60):
        worse = ratio if not late or index >= 30 else 1.0
        mine = cluster * sum(draw.random() < 2 * worse / 250 for _ in range(250))
        theirs = cluster * sum(draw.random() < 6 / 750 for _ in range(750))
        dispersion = dispersion.after(mine, theirs, 250, 10.0, 60.0)
    return dispersion


def test_independent_errors_are_left_alone() -> None:
    assert sum(run(seed).value == 1.0 for seed in range(40)) >= 36
    assert all(run(seed).value < 4.0 for seed in range(40))


def test_clusters_are_found() -> None:
    assert all(run(seed, cluster=10).value > 5.0 for seed in range(40))


def test_a_steadily_bad_release_is_not_taken_for_a_bursty_one() -> None:
    assert all(run(seed, ratio=10.0).value < 3.0 for seed in range(40))


def test_a_release_that_turns_bad_once_is_taken_for_less_bursty_than_one_that_comes_and_goes() -> (
    None
):
    once, often = unseen(1.0), unseen(1.0)
    for index in range(60):
        once = once.after(20 if index >= 30 else 2, 6, 250, 10.0, 60.0)
        often = often.after(20 if index % 12 >= 6 else 2, 6, 250, 10.0, 60.0)
    assert once.value < 20.0
    assert often.value > 2.0 * once.value


def test_it_is_never_below_that_of_history_and_its_peak_is_kept() -> None:
    dispersion = unseen(4.0).after(1, 9, 100, 10.0, 60.0)
    assert dispersion.value == 4.0
    assert dispersion.begin_step().past == 4.0
    assert dispersion.peak == 4.0


def test_windows_without_requests_or_events_say_nothing() -> None:
    dispersion = unseen(1.0)
    for _ in range(20):
        dispersion = dispersion.after(0, 0, 0, 10.0, 60.0)
    assert dispersion.value == 1.0
