"""How long a hold has to be, and what going on once does to the risk of a wrong verdict."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.loadtest.enough import MARGIN, extended, hold_needed
from backendctl.loadtest.intervals import LOOK_RISK, RISK, deciding, wilson
from backendctl.loadtest.profile import Loop, Stage
from backendctl.loadtest.verdict import Result, judge
from backendctl.spec.model import Slo
from tests.unit.loadtest.cases import SLO, measured, stage


@given(
    st.floats(min_value=0.0005, max_value=0.3),
    st.floats(min_value=0.001, max_value=0.2),
    st.floats(min_value=0.001, max_value=0.1),
)
def test_wilsons_interval_leaves_the_limit_out_from_just_so_many_requests_on(
    share: float, allowed: float, risk: float
) -> None:
    n = deciding(share, allowed, risk, risk)
    if n is None or n > 1e12:
        return
    for size, decided in ((n * 1.001, True), (n * 0.999, False)):
        low, high = wilson(share * size, size, risk, risk)
        assert (low > allowed or high < allowed) is decided


def test_no_number_of_requests_decides_what_lies_at_the_limit() -> None:
    assert deciding(0.05, 0.05, 0.01, 0.01) is None


def held(seconds: float, rate: float = 200.0) -> Stage:
    return replace(stage(duration=seconds, rate=rate), spare=seconds)


def test_a_hold_with_too_few_requests_goes_on_just_long_enough() -> None:
    short = held(1.5)
    found = measured((short,), latency=lambda _: 0.001)
    longer = extended(short, found.stages[0], SLO, 1)
    assert longer is not None
    # 441 requests put the upper end of "none was slow" under 1 %; 300 there are.
    assert longer.duration == pytest.approx(MARGIN * 475 / 200, rel=0.1)
    assert longer.extended == pytest.approx(longer.duration - 1.5)
    assert longer.extended * 200 == pytest.approx(round(longer.extended * 200))
    whole = measured((longer,), latency=lambda _: 0.001)
    assert judge((longer,), whole, SLO).result is Result.PASS


@pytest.mark.parametrize(
    ("seconds", "error_share", "why"),
    [
        (20.0, 0.0, "it has passed"),
        (20.0, 0.2, "it has failed"),
        (0.5, 0.0, "it would have to be more than twice as long"),
    ],
)
def test_a_hold_does_not_go_on_when(seconds: float, error_share: float, why: str) -> None:
    short = held(seconds)
    found = measured((short,), latency=lambda _: 0.001, error_share=error_share)
    assert extended(short, found.stages[0], SLO, 1) is None, why


def test_a_closed_hold_goes_by_what_its_users_really_make() -> None:
    # Its users were expected to make 1,000/s; a slow service lets them make 200/s.
    made = held(2.0)
    closed = replace(made, loop=Loop.CLOSED, from_rate=1000.0, to_rate=1000.0)
    found = measured((made,), latency=lambda _: 0.001)
    longer = extended(closed, found.stages[0], SLO, 1)
    assert longer is not None
    assert longer.duration > 2.5


def test_the_longest_of_all_undecided_stages_is_proposed() -> None:
    two = (stage("hold", 1.0), stage("closed hold", 1.0, rate=20.0))
    found = measured(two, latency=lambda _: 0.001)
    # 475 x 1.25 requests at 20/s.
    assert hold_needed(two, found, judge(two, found, SLO)) == pytest.approx(30.0, abs=5.0)


def test_what_is_decided_needs_nothing() -> None:
    found = measured()
    assert hold_needed((stage(),), found, judge((stage(),), found, SLO)) is None


@pytest.mark.parametrize(("allowed", "hold"), [(0.01, 3000), (0.05, 1000), (0.05, 10_000)])
def test_two_looks_together_keep_the_risk_of_passing_a_service_at_its_limit(
    allowed: float, hold: int
) -> None:
    """The rule of `extended` on error counts: a second look only where one is near deciding."""
    rng, repeats = np.random.default_rng(1), 20_000
    hits = rng.binomial(hold, allowed, repeats)
    passes = 0
    for k, times in zip(*np.unique(hits, return_counts=True), strict=True):
        if wilson(k, hold, LOOK_RISK, LOOK_RISK)[1] < allowed:
            passes += times
            continue
        least = deciding(k / hold, allowed, LOOK_RISK, LOOK_RISK)
        if least is None or not hold < least <= 2 * hold:
            continue
        total = min(2 * hold, int(MARGIN * least))
        for more in rng.binomial(total - hold, allowed, times):
            passes += wilson(k + more, total, LOOK_RISK, LOOK_RISK)[1] < allowed
    sd = (RISK * (1 - RISK) / repeats) ** 0.5
    assert passes / repeats <= RISK + NormalDist().inv_cdf(0.999) * sd


def test_a_promise_that_is_missed_by_little_is_worth_a_longer_hold() -> None:
    short = held(10.0)
    found = measured((short,), error_share=0.02)
    limits = Slo(p95=0.3, p99=1.0, error_rate=0.0145)
    verdict = judge((short,), found, limits)
    assert verdict.result is Result.INCONCLUSIVE
    needed = hold_needed((short,), found, verdict)
    assert needed is not None
    assert needed > 10.0
