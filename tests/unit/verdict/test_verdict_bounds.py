"""The promise of an e-process, tested as a whole: how often it is wrong however often one looks;
and its path against confseq, an independent implementation of testing by betting."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.processes import (
    absolute_gains,
    log_mean_exp,
    relative_gains,
    theta,
)
from bench.verdict.intervals import wilson

CONFSEQ = json.loads((Path(__file__).parent / "confseq.json").read_text())
ALPHA = 0.05
RUNS = 1500
LOOKS = 60


def ever_convicted(ratio: float, share: float, seed: int) -> int:
    """Rollouts of `RUNS`, looked at after each of `LOOKS` blocks, in which the relative test ever
    reached 1/ALPHA against a candidate with `ratio` times stable's errors."""
    random = np.random.default_rng(seed)
    requests, rate = 1000, 0.01
    mine = round(requests * share)
    errors = random.binomial(mine, rate * ratio, (RUNS, LOOKS)).tolist()
    stable = random.binomial(requests - mine, rate, (RUNS, LOOKS)).tolist()
    bar, convicted = -math.log(ALPHA), 0
    for run in range(RUNS):
        logs = (0.0,) * len(default.FAIL_RATIOS)
        for ec, es in zip(errors[run], stable[run], strict=True):
            gains = relative_gains(ec, es, mine / requests, default.FAIL_RATIOS, 1.0)
            logs = tuple(map(float.__add__, logs, gains))
            if log_mean_exp(logs) >= bar:
                convicted += 1
                break
    return convicted


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_release_like_stable_is_convicted_no_more_often_than_alpha_however_often_one_looks(
    share: float,
) -> None:
    _, upper = wilson(ever_convicted(1.0, share, 7), RUNS)
    assert upper <= ALPHA


def test_a_release_twice_as_bad_is_convicted_far_more_often_than_alpha() -> None:
    lower, _ = wilson(ever_convicted(2.0, 0.5, 7), RUNS)
    assert lower > 0.9


@pytest.mark.parametrize("case", CONFSEQ, ids=lambda c: f"{c['null']} against {c['other']}")
def test_the_absolute_process_is_the_capital_of_confseqs_bets(case: dict[str, object]) -> None:
    null, other = float(case["null"]), float(case["other"])  # type: ignore[arg-type]
    total = 0.0
    for seen, expected in zip(str(case["seen"]), case["log"], strict=True):  # type: ignore[call-overload]
        (gain,) = absolute_gains(int(seen), 1, (other,), null)
        total += gain
        assert total == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("case", CONFSEQ, ids=lambda c: f"{c['null']} against {c['other']}")
def test_the_relative_process_is_the_capital_of_confseqs_bets_on_the_arm_of_each_event(
    case: dict[str, object],
) -> None:
    share, other = float(case["null"]), float(case["other"])  # type: ignore[arg-type]
    ratio = other * (1.0 - share) / (share * (1.0 - other))
    assert theta(ratio, share) == pytest.approx(other)
    total = 0.0
    for seen, expected in zip(str(case["seen"]), case["log"], strict=True):  # type: ignore[call-overload]
        (gain,) = relative_gains(int(seen), 1 - int(seen), share, (ratio,), 1.0)
        total += gain
        assert total == pytest.approx(expected, rel=1e-9, abs=1e-12)
