"""Guards on their own."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdict_cases import ONLY_ERRORS

from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict import plan_for
from backendctl.rollout.verdict.guards import (
    Background,
    Share,
    has_aged,
    limit_speed,
)

PLAN = plan_for(ONLY_ERRORS, steps=(10,))
NATS = -math.log(PLAN.alpha)


@given(st.lists(st.floats(-50.0, 50.0), min_size=1, max_size=60))
def test_the_speed_limit_holds_over_any_stretch_of_time(gains: list[float]) -> None:
    """In any stretch log E rises by at most the allowance of that time plus what was saved."""
    credit, passed = 0.0, []
    for gain in gains:
        (out,), credit = limit_speed(PLAN, credit, 10.0, (gain,))
        assert out <= gain
        assert credit >= 0.0
        passed.append(out)
    rate, most = NATS * 10.0 / 60.0, NATS * default.SPEED_CREDIT
    for i in range(len(passed)):
        for j in range(i, len(passed)):
            rises = sum(max(0.0, g) for g in passed[i : j + 1])
            assert rises <= (j - i + 1) * rate + most + 1e-9


def test_one_block_never_convicts_however_long_the_clock_says_it_was() -> None:
    (out,), _ = limit_speed(PLAN, 0.0, 3600.0, (1000.0,))
    assert out == pytest.approx(NATS * default.SPEED_CREDIT)


def test_single_rare_errors_pass_the_speed_limit_whole() -> None:
    credit = 0.0
    for _ in range(6):
        _, credit = limit_speed(PLAN, credit, 10.0, (-0.01,))
    (out,), _ = limit_speed(PLAN, credit, 10.0, (1.5,))
    assert out == 1.5


def test_one_event_alone_in_its_block_is_no_burst_but_uses_up_what_was_saved() -> None:
    (out,), credit = limit_speed(PLAN, 0.0, 10.0, (3.0,), alone=True)
    assert (out, credit) == (3.0, 0.0)
    (out,), _ = limit_speed(PLAN, credit, 10.0, (3.0,))
    assert out == pytest.approx(NATS / 6.0)


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
