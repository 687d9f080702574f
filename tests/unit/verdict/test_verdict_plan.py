"""Plans: grading, limits, weights, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdict_cases import ALL, ONLY_ERRORS, arm

from backendctl.rollout.verdict import Block, Limits, Reference, plan_for, reference_from, steps_for
from backendctl.rollout.verdict.plan import fail_rates


@pytest.mark.parametrize(
    ("rps", "steps"),
    [(1000, (5, 25, 50)), (50, (5, 25, 50)), (49, (10, 50)), (2, (10, 50)), (1, (50,))],
)
def test_steps_follow_traffic(rps: float, steps: tuple[int, ...]) -> None:
    assert steps_for(rps) == steps


def test_small_weights_must_show_less() -> None:
    plan = plan_for(ALL, rps=100.0)
    assert [s.ratio for s in plan.steps] == [11.0, 3.0, 2.0]
    assert [s.limits["errors"] for s in plan.steps] == pytest.approx([0.055, 0.015, 0.01])


def test_the_last_step_always_asks_for_the_full_bound() -> None:
    (only,) = plan_for(ONLY_ERRORS, steps=(10,)).steps
    assert only.ratio == 2.0
    assert only.limits["errors"] == 0.01


@pytest.mark.parametrize(
    ("requests", "errors", "shown"),
    [
        (100, 0, 0.01),  # little history bounds nothing
        (1_000_000, 500, 0.00557),  # 10 times the upper bound of 0.05 %
        (100_000_000, 0, 0.001),  # never asked for less than a tenth of the limit
        (100_000, 900, 0.01),
    ],
)
def test_a_service_that_hardly_fails_is_held_to_a_multiple_of_that(
    requests: int, errors: int, shown: float
) -> None:
    reference = Reference(requests, {"errors": errors})
    plan = plan_for(ONLY_ERRORS, rps=1000.0, reference=reference)
    assert plan.steps[-1].limits["errors"] == pytest.approx(shown, rel=0.02)


def test_no_more_is_asked_for_than_traffic_can_show_in_a_twelfth_of_the_deadline() -> None:
    reference = Reference(100_000_000, {"errors": 0})
    plan = plan_for(ONLY_ERRORS, rps=10.0, reference=reference)
    assert plan.steps[-1].limits["errors"] == pytest.approx(3.8 / (300 * 10 * 0.5))


@given(
    st.sets(st.sampled_from(["p95", "p99", "stable"])),
    st.booleans(),
    st.floats(0.0001, 0.9),
)
def test_shares_of_alpha_sum_to_one_whatever_is_watched(
    watched: set[str], has_stable: bool, limit: float
) -> None:
    limits = Limits(
        limit,
        0.1 if "p95" in watched else None,
        0.2 if "p99" in watched else None,
        0.3 if "stable" in watched else None,
    )
    plan = plan_for(limits, has_stable=has_stable)
    total = sum(m.relative_weight + m.absolute_weight for m in plan.metrics)
    assert total == pytest.approx(1.0)
    assert sum(plan.shares) == pytest.approx(1.0)
    for metric in plan.metrics:
        if metric.limit is not None:
            rates = fail_rates(metric.limit)
            assert all(metric.limit < r < 1.0 for r in rates)


def test_the_default_weights_are_kept_when_everything_is_watched() -> None:
    weights = {m.name: (m.relative_weight, m.absolute_weight) for m in plan_for(ALL).metrics}
    assert weights["errors"] == pytest.approx((0.4, 0.1))
    assert weights["stable_p99"] == pytest.approx((0.25, 0.0))


def test_a_latency_far_inside_the_promise_is_no_regression() -> None:
    fast = plan_for(Limits(0.01, p99_s=1.0, stable_p99_s=0.003))
    assert fast.thresholds["stable_p99"] == pytest.approx(0.1)
    slow = plan_for(Limits(0.01, p99_s=1.0, stable_p99_s=0.4))
    assert slow.thresholds["stable_p99"] == 0.4
    assert plan_for(Limits(0.01, stable_p99_s=0.003)).thresholds["stable_p99"] == 0.003


def test_the_speed_limit_follows_short_steps_only() -> None:
    assert plan_for(ALL).speed_limit == 60.0
    assert plan_for(ALL, step_time=8.0, warm_up=2.0).speed_limit == 8.0
    assert plan_for(ALL, step_time=600.0).speed_limit == 60.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": ()},
        {"steps": (50, 5)},
        {"steps": (5, 5)},
        {"steps": (0, 50)},
        {"steps": (101,)},
        {"deadline": 10.0},
        {"alpha": 0.0},
        {"beta": 1.0},
        {"warm_up": -1.0},
        {"weights": {}},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        plan_for(ALL, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("limits", [Limits(0.0), Limits(1.0), Limits(0.01, max_ratio=1.0)])
def test_limits_that_make_no_sense_are_refused(limits: Limits) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        plan_for(limits)


def history(errors: list[int]) -> list[Block]:
    return [Block(10.0 * i, 10.0 * i + 10, None, arm(1000, e)) for i, e in enumerate(errors)]


def test_history_without_requests_is_none() -> None:
    assert reference_from([]) is None
    assert reference_from([Block(0.0, 10.0, None, arm(0))]) is None
    assert reference_from([Block(0.0, 10.0, arm(10), None)]) is None


def test_steady_history_has_no_dispersion_and_bursts_do() -> None:
    steady = reference_from(history([5] * 180))
    assert steady is not None
    assert (steady.requests, steady.events["errors"]) == (180_000, 900)
    assert steady.dispersion["errors"] == 1.0
    bursts = reference_from(history([0, 0, 0, 0, 25] * 36))
    assert bursts is not None
    assert bursts.dispersion["errors"] > 10.0
    assert plan_for(ONLY_ERRORS, reference=bursts).metrics[0].dispersion > 10.0


def test_a_gap_in_history_is_not_a_window() -> None:
    early, late = history([5] * 90), history([5] * 90)
    moved = [Block(b.start + 5000.0, b.end + 5000.0, None, b.stable) for b in late]
    joined = reference_from(early + moved)
    assert joined is not None
    assert joined.dispersion["errors"] == 1.0
