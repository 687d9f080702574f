"""The peers of `bench.verdict` do what their documentation says."""

from itertools import product

import numpy as np
import pytest
from verdict_cases import ALL, block

from backendctl.rollout.verdict import (
    ArmBlock,
    Block,
    Limits,
    begin,
    begin_step,
    judge,
    plan_for,
    update,
)
from backendctl.rollout.verdict.judge import decide
from bench.verdict.engines import COMMON, NATIVE, Ending, Rollout
from bench.verdict.engines.argo import ArgoRollout
from bench.verdict.engines.flagger import FlaggerRollout
from bench.verdict.engines.kayenta import KayentaRollout, _statistic, is_high

LIMITS = Limits(error_rate=0.01, p95_s=0.3, p99_s=1.0)


def arm(requests: int, errors: int) -> ArmBlock:
    return ArmBlock(requests, errors, {"slo_p95": 0, "slo_p99": 0, "stable_p99": 0})


def driven(run: Rollout, errors: int, missing: bool = False) -> tuple[Ending | None, float]:
    """The end, and when, of a rollout in which so many of each 100 candidate requests fail."""
    now, ending = 0.0, None
    while ending is None and now < 5 * 3600.0:
        end = now + run.look
        ending = run.see(Block(now, end, None if missing else arm(100, errors), arm(900, 9)))
        now = end
    return ending, now


def test_flagger_takes_ten_steps_of_a_minute_when_all_checks_pass() -> None:
    assert driven(FlaggerRollout(LIMITS, NATIVE, 10), 0) == (Ending.PROMOTED, 600.0)


def test_flagger_rolls_back_at_the_run_after_its_threshold() -> None:
    assert driven(FlaggerRollout(LIMITS, NATIVE, 1), 5) == (Ending.ROLLED_BACK, 120.0)
    assert driven(FlaggerRollout(LIMITS, NATIVE, 10), 5) == (Ending.ROLLED_BACK, 660.0)


def test_flagger_fails_a_check_without_values() -> None:
    assert driven(FlaggerRollout(LIMITS, NATIVE, 1), 0, missing=True)[0] is Ending.ROLLED_BACK


def test_argo_is_aborted_by_the_third_measurement_under_95_percent() -> None:
    assert driven(ArgoRollout(0.95, NATIVE), 6) == (Ending.ROLLED_BACK, 1200.0)
    assert driven(ArgoRollout(0.95, NATIVE), 5) == (Ending.PROMOTED, 2400.0)


def test_argo_gives_up_after_five_errors_in_a_row() -> None:
    assert driven(ArgoRollout(0.95, NATIVE), 0, missing=True) == (Ending.ROLLED_BACK, 640.0)


def test_kayenta_judges_three_times_and_passes_equal_arms() -> None:
    assert driven(KayentaRollout(NATIVE, 1), 1) == (Ending.PROMOTED, 3 * 3600.0)
    assert driven(KayentaRollout(NATIVE, 1), 10) == (Ending.ROLLED_BACK, 3600.0)
    assert driven(KayentaRollout(COMMON, 1), 10) == (Ending.ROLLED_BACK, 600.0)


@pytest.mark.parametrize("seed", range(3))
def test_mann_whitneys_statistic_is_the_count_of_pairs(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = random.integers(0, 6, 12).astype(float), random.integers(0, 6, 15).astype(float)
    pairs = sum((a > b) + 0.5 * (a == b) for a, b in product(x, y))
    statistic = _statistic(0.0, x, y)
    assert np.sign(statistic) == np.sign(pairs - len(x) * len(y) / 2.0) or abs(statistic) < 0.2
    ties = [int((np.concatenate((x, y)) == v).sum()) for v in range(6)]
    n = len(x) + len(y)
    variance = len(x) * len(y) / 12.0 * (n + 1 - sum(t**3 - t for t in ties) / (n * (n - 1)))
    excess = pairs - len(x) * len(y) / 2.0
    assert statistic == pytest.approx((excess - 0.5 * np.sign(excess)) / variance**0.5)


def test_a_clear_shift_is_high_and_the_same_data_are_not() -> None:
    base = np.linspace(0.0, 1.0, 60)
    assert is_high(base + 0.5, base)
    assert not is_high(base, base)
    assert not is_high(base - 0.5, base)


def test_the_decision_alone_is_the_judgements() -> None:
    plan = plan_for(ALL, steps=(10, 50))
    evidence = begin_step(plan, begin(plan), 0, 0.0)
    for index, errors in enumerate((0, 0, 0, 1, 0, 9, 40, 60, 60, 60, 60, 60, 60)):
        evidence = update(plan, evidence, block(index, (100, errors), (900, 4)))
        elapsed = 10.0 * (index + 1)
        assert decide(plan, evidence, elapsed) is judge(plan, evidence, elapsed).decision
