"""Forecasts: what is printed before a rollout starts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdict_cases import ALL, ONLY_ERRORS, block, judged

from backendctl.rollout.verdict import Decision, Forecast, forecast, from_json, plan_for, to_json

RATES = {"errors": 0.005, "slo_p95": 0.02, "slo_p99": 0.004}


def test_plenty_of_traffic_passes_in_the_minimum_time() -> None:
    made = forecast(plan_for(ALL, rps=1000.0), 1000.0, RATES)
    assert made.possible
    assert made.seconds_to_pass_p50 == 270.0
    assert "passes in about 4 min" in made.advice[0]
    assert "rolled back" in made.advice[1]


def test_too_little_traffic_is_refused_up_front_with_what_would_help() -> None:
    made = forecast(plan_for(ALL, rps=0.5, steps=(10,)), 0.5, RATES)
    assert not made.possible
    text = "\n".join(made.advice)
    assert "expect no verdict" in text
    assert " h" in text
    assert "one step of 50 %" in text
    assert "a longer deadline" in text
    assert "blue-green with a bake" in text


def test_no_traffic_and_a_stable_that_breaks_its_limit_can_never_be_judged() -> None:
    plan = plan_for(ONLY_ERRORS, has_stable=False)
    assert forecast(plan, 0.0).seconds_to_pass_p50 is None
    assert not forecast(plan, 0.0).possible
    hopeless = forecast(plan, 100.0, {"errors": 0.02})
    assert not hopeless.possible
    assert "no traffic is enough" in hopeless.advice[0]
    assert (
        "rate of requests that failed, 2 %, is too near or over its limit, 1 %"
        in (hopeless.advice[0])
    )


def test_a_release_without_errors_passes_when_the_forecast_says_so() -> None:
    plan = plan_for(ONLY_ERRORS, steps=(50,), step_time=10.0, warm_up=0.0)
    made = forecast(plan, 20.0, {"errors": 0.0})
    assert made.seconds_to_pass_p50 is not None
    passed_at = next(
        (i + 1) * 10.0
        for i in range(100)
        if judged(plan, [block(j, (100, 0), (100, 0)) for j in range(i + 1)]).decision
        is Decision.PASS
    )
    assert passed_at - 10.0 < made.seconds_to_pass_p50 <= passed_at


def test_a_release_that_fails_everything_is_forecast_at_the_speed_limit() -> None:
    made = forecast(plan_for(ALL, rps=100.0), 100.0, RATES)
    assert made.seconds_to_fail["all"] == pytest.approx(115.0, abs=30.0)


@given(st.floats(0.01, 1e4), st.floats(1.01, 100.0), st.floats(0.0, 0.009))
def test_more_traffic_never_takes_longer(rps: float, more: float, rate: float) -> None:
    plan = plan_for(ONLY_ERRORS, steps=(10, 50))
    slow, fast = (forecast(plan, r, {"errors": rate}) for r in (rps, rps * more))
    assert slow.seconds_to_pass_p50 is not None
    assert fast.seconds_to_pass_p50 is not None
    assert fast.seconds_to_pass_p50 <= slow.seconds_to_pass_p50 * (1 + 1e-9)
    assert fast.possible or not slow.possible


def test_a_forecast_survives_json() -> None:
    made = forecast(plan_for(ALL, rps=3.0), 3.0)
    assert from_json(Forecast, to_json(made)) == made
