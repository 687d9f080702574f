"""The processes against exact enumeration, exact fractions and an independent implementation."""

import json
import math
from fractions import Fraction
from itertools import product
from math import comb
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.processes import (
    NEVER,
    absolute_gains,
    kl,
    log_mean_exp,
    log_sum_exp,
    rate_lower,
    rate_upper,
    relative_gains,
    theta,
)

RATES = (0.001, 0.02, 0.2, 0.6)


def binomial(n: int, k: int, p: float) -> float:
    return comb(n, k) * p**k * (1.0 - p) ** (n - k)


def expected_factor(nc: int, ns: int, pc: float, ps: float, ratio: float, null: float) -> float:
    """Exact expectation of what a block multiplies the relative evidence by."""
    total = 0.0
    for ec, es in product(range(nc + 1), range(ns + 1)):
        (gain,) = relative_gains(ec, es, nc / (nc + ns), (ratio,), null)
        total += binomial(nc, ec, pc) * binomial(ns, es, ps) * math.exp(gain)
    return total


@pytest.mark.parametrize("ps", RATES)
@pytest.mark.parametrize("true_ratio", [0.0, 0.3, 0.8, 1.0])
@pytest.mark.parametrize(("nc", "ns"), [(1, 9), (3, 9), (6, 6), (9, 2)])
def test_fail_evidence_does_not_rise_on_average_when_the_candidate_is_no_worse(
    nc: int, ns: int, true_ratio: float, ps: float
) -> None:
    for ratio in default.FAIL_RATIOS:
        assert expected_factor(nc, ns, true_ratio * ps, ps, ratio, 1.0) <= 1.0 + 1e-12


@pytest.mark.parametrize("ps", [0.001, 0.02, 0.08])
@pytest.mark.parametrize("worse", [1.0, 1.5, 4.0])
@pytest.mark.parametrize("bad", [2.0, 3.0])
def test_a_certificate_does_not_rise_on_average_when_the_candidate_is_as_bad_as_the_bound(
    bad: float, worse: float, ps: float
) -> None:
    pc = bad * worse * ps
    for fraction, (nc, ns) in product(default.CERTIFY_RATIOS, [(1, 9), (6, 6)]):
        assert expected_factor(nc, ns, pc, ps, bad * fraction, bad) <= 1.0 + 1e-12


def test_fail_evidence_does_rise_on_average_when_the_candidate_is_worse() -> None:
    assert expected_factor(6, 6, 0.1, 0.02, 4.0, 1.0) > 1.05


@pytest.mark.parametrize("limit", [0.01, 0.05, 0.3])
def test_absolute_evidence_does_not_rise_on_average_on_its_null_side(limit: float) -> None:
    n = 12
    for multiple, side in product((0.0, 0.2, 0.5, 1.3, 2.0, 3.0), (0.0, 0.5, 1.0)):
        rate = limit * multiple
        p = limit * side if multiple > 1.0 else limit + side * (1.0 - limit)
        total = 0.0
        for k in range(n + 1):
            (gain,) = absolute_gains(k, n, (rate,), limit)
            total += binomial(n, k, p) * math.exp(gain)
        assert total <= 1.0 + 1e-12


@given(
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(1, 99),
    st.integers(1, 60),
    st.integers(1, 40),
)
def test_gains_equal_the_likelihood_ratio_in_exact_fractions(
    ec: int, es: int, percent: int, tenths: int, null_tenths: int
) -> None:
    w, ratio, null = Fraction(percent, 100), Fraction(tenths, 10), Fraction(null_tenths, 10)

    def exact(r: Fraction) -> Fraction:
        return r * w / (r * w + 1 - w)

    likelihood = (exact(ratio) / exact(null)) ** ec * ((1 - exact(ratio)) / (1 - exact(null))) ** es
    (gain,) = relative_gains(ec, es, percent / 100, (tenths / 10,), null_tenths / 10)
    expected = math.log(likelihood.numerator) - math.log(likelihood.denominator)
    assert gain == pytest.approx(expected, abs=1e-9)


SAVVI = json.loads((Path(__file__).parent / "savvi.json").read_text())


@pytest.mark.parametrize("case", SAVVI, ids=lambda c: f"w={c['share']}")
def test_mixed_over_a_beta_prior_the_relative_test_is_savvis_bayes_factor(
    case: dict[str, object],
) -> None:
    """savvi has Lindon & Malek's test with a Dirichlet prior in closed form."""
    share, concentration = float(case["share"]), float(case["concentration"])
    grid = [(i + 0.5) / 20_000 for i in range(20_000)]
    ratios = tuple(t * (1.0 - share) / (share * (1.0 - t)) for t in grid)
    a, b = concentration * share, concentration * (1.0 - share)
    density = [
        (a - 1.0) * math.log(t)
        + (b - 1.0) * math.log1p(-t)
        + math.lgamma(a + b)
        - math.lgamma(a)
        - math.lgamma(b)
        for t in grid
    ]
    logs = (0.0,) * len(grid)
    for (ec, es), expected in zip(case["blocks"], case["log_odds"], strict=True):
        gains = relative_gains(ec, es, share, ratios, 1.0)
        logs = tuple(x + g for x, g in zip(logs, gains, strict=True))
        mixed = log_mean_exp([x + d for x, d in zip(logs, density, strict=True)])
        assert mixed == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("case", SAVVI, ids=lambda c: f"L={c['share']}")
def test_mixed_over_a_beta_prior_the_absolute_test_is_savvis_bayes_factor(
    case: dict[str, object],
) -> None:
    limit, concentration = float(case["share"]), float(case["concentration"])
    grid = tuple((i + 0.5) / 20_000 for i in range(20_000))
    a, b = concentration * limit, concentration * (1.0 - limit)
    beta = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    density = [beta + (a - 1.0) * math.log(q) + (b - 1.0) * math.log1p(-q) for q in grid]
    bad = good = 0
    for (events, others), expected in zip(case["blocks"], case["log_odds"], strict=True):
        bad, good = bad + events, good + others
        logs = absolute_gains(bad, bad + good, grid, limit)
        mixed = log_mean_exp([x + d for x, d in zip(logs, density, strict=True)])
        assert mixed == pytest.approx(expected, abs=2e-3)


def test_a_billion_requests_neither_overflow_nor_lose_the_sign() -> None:
    n = 10**9
    gains = relative_gains(n // 100, n // 100, 0.1, default.FAIL_RATIOS, 1.0)
    assert all(math.isfinite(g) for g in gains)
    assert max(gains) > 1e6
    dead = absolute_gains(n, n, (0.0,), 0.01)
    assert math.isfinite(dead[0])
    assert log_mean_exp((dead[0] * 3, -1e7)) == pytest.approx(-1e7, abs=1.0)
    assert math.isfinite(log_sum_exp((1e7, NEVER)))


def test_an_idle_arm_gives_no_relative_evidence() -> None:
    assert relative_gains(3, 0, 1.0, (2.0,), 1.0) == (0.0,)
    assert relative_gains(0, 3, 0.0, (2.0,), 1.0) == (0.0,)


@given(st.integers(1, 10_000), st.data(), st.sampled_from([0.9, 0.95, 0.999]))
def test_rate_bounds_enclose_the_rate_and_hold_their_equation(
    n: int, data: st.DataObject, confidence: float
) -> None:
    events = data.draw(st.integers(0, n))
    upper, lower = rate_upper(events, n, confidence), rate_lower(events, n, confidence)
    assert 0.0 <= lower <= events / n <= upper <= 1.0
    if 0 < events < n:
        for bound in (upper, lower):
            assert n * kl(events / n, bound) == pytest.approx(-math.log1p(-confidence), rel=1e-6)


def test_no_error_in_n_requests_is_bounded_by_the_rule_of_three() -> None:
    assert rate_upper(0, 3000, 0.95) == pytest.approx(1 - 0.05 ** (1 / 3000), rel=1e-9)
    assert rate_upper(0, 0, 0.95) == 1.0
    assert rate_lower(0, 0, 0.95) == 0.0


def test_theta_is_the_candidates_part_of_all_errors() -> None:
    assert theta(1.0, 0.1) == pytest.approx(0.1)
    assert theta(9.0, 0.1) == pytest.approx(0.5)
