"""Guards on their own."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdict_cases import ONLY_ERRORS

from backendctl.rollout.verdict import plan_for
from backendctl.rollout.verdict.guards import (
    Background,
    Share,
    Spread,
    has_aged,
    limit_speed,
    unseen,
)

PLAN = plan_for(ONLY_ERRORS, steps=(10,))
NATS = -math.log(PLAN.alpha)


def brute_pearson(blocks: list[tuple[int, int]]) -> float:
    used = [(x, t) for x, t in blocks if t]
    p = (sum(x for x, _ in used) + 0.5) / (sum(t for _, t in used) + 1.0)
    return sum((x - p * t) ** 2 / (p * (1 - p) * t) for x, t in used)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=40))
def test_pearsons_statistic_from_sums_is_the_one_from_its_terms(
    drawn: list[tuple[int, int]],
) -> None:
    blocks = [(x, x + y) for x, y in drawn]
    spread = Spread()
    for hits, trials in blocks:
        spread = spread.after(hits, trials)
    statistic, _, freedom = spread.pearson()
    if spread.blocks >= 2:
        assert statistic == pytest.approx(brute_pearson(blocks), abs=1e-6)
        assert freedom == spread.blocks - 1


def dispersed(cluster: int, seed: int, ratio: float = 1.0) -> float:
    draw, dispersion = random.Random(seed), unseen(1.0)
    share = 0.25 * ratio / (0.25 * ratio + 0.75)
    for _ in range(60):
        arms = [draw.random() < share for _ in range(8)]
        dispersion = dispersion.after(1.0, cluster * sum(arms), cluster * len(arms))
    return dispersion.value


def test_clusters_are_found_and_independent_errors_left_alone() -> None:
    alone = [dispersed(1, seed) for seed in range(40)]
    assert sum(v == 1.0 for v in alone) >= 36
    assert all(dispersed(10, seed) > 5.0 for seed in range(40))


def test_a_steadily_bad_release_is_not_taken_for_a_bursty_one() -> None:
    assert sum(dispersed(1, seed, ratio=10.0) == 1.0 for seed in range(40)) >= 36


def test_dispersion_is_never_below_that_of_history() -> None:
    assert unseen(4.0).after(4.0, 1, 10).value == 4.0


@given(st.lists(st.floats(-50.0, 50.0), min_size=1, max_size=60))
def test_the_speed_limit_holds_over_any_stretch_of_time(gains: list[float]) -> None:
    """In any stretch log E rises by at most the allowance of that time plus what was saved."""
    credit, passed = 0.0, []
    for gain in gains:
        (out,), credit = limit_speed(PLAN, credit, 10.0, (gain,))
        assert out <= gain
        assert credit >= 0.0
        passed.append(out)
    rate, most = NATS * 10.0 / 60.0, NATS / 3.0
    for i in range(len(passed)):
        for j in range(i, len(passed)):
            rises = sum(max(0.0, g) for g in passed[i : j + 1])
            assert rises <= (j - i + 1) * rate + most + 1e-9


def test_single_rare_errors_pass_the_speed_limit_whole() -> None:
    credit = 0.0
    for _ in range(6):
        _, credit = limit_speed(PLAN, credit, 10.0, (-0.01,))
    (out,), _ = limit_speed(PLAN, credit, 10.0, (1.5,))
    assert out == 1.5


def test_an_outage_is_told_by_stables_own_rate() -> None:
    background = Background(10_000, 50)
    assert not background.is_outage(1000, 12, 1.0)
    assert background.is_outage(1000, 40, 1.0)
    assert not background.is_outage(1000, 40, 25.0)
    assert not Background().is_outage(1000, 900, 1.0)


def test_a_correct_share_is_hardly_ever_called_wrong() -> None:
    wrong = 0
    for seed in range(200):
        draw, share = random.Random(seed), Share()
        for _ in range(100):
            nc = sum(draw.random() < 0.1 for _ in range(100))
            share = share.after(PLAN, 10, nc, 100 - nc)
        wrong += share.is_wrong()
    assert wrong == 0


def test_a_share_that_is_off_by_a_third_is_found() -> None:
    share = Share()
    for _ in range(100):
        share = share.after(PLAN, 10, 13, 87)
    assert share.is_wrong()


def test_stable_has_aged_only_when_that_is_sure() -> None:
    assert not has_aged(900, 1000, None)
    assert not has_aged(12, 1000, 0.01)
    assert has_aged(40, 1000, 0.01)
