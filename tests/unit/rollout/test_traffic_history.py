"""What stable did before: which part of the record counts, and how much traffic there is now."""

import dataclasses

import pytest

from backendctl.platforms.base import ArmSample, Latencies, Span
from backendctl.rollout.history import serving
from backendctl.rollout.planning import expected, look_at_traffic, plan_rollout
from backendctl.rollout.states import Kind, RolloutPlan
from backendctl.rollout.traffic_history import (
    LONGEST,
    SHORTEST,
    past_of,
    present_rate,
    reference_spans,
)
from backendctl.rollout.verdict import Forecast
from tests.fakes.platform import Counters, Fake, fake_platform
from tests.fakes.rollouts import Desk, spec_with

EDGES = (10.0, 300.0, 1000.0)
NOW = 1_700_000_000.0
LIMIT = 0.01


def spans(
    hours: float,
    rps: float,
    errors: float = 0.0,
    slow: float = 0.0,
    *,
    ago: float = 0.0,
    number: int = 1,
) -> list[Span]:
    """Steady traffic that ended so many seconds ago."""
    found = []
    for place in range(int(hours * 360), 0, -1):
        start = NOW - ago - 10.0 * place
        requests = round(10 * rps)
        late = round(requests * slow)
        latencies = Latencies(EDGES, (requests - late,) * 2 + (requests,), requests)
        found.append(
            Span(number, start, start + 10.0, requests, round(requests * errors), latencies)
        )
    return found


def arm(requests: int, errors: int) -> ArmSample:
    return ArmSample(1, requests, errors, 0, Latencies(EDGES, (requests,) * 3, requests), 1)


def test_a_busy_service_is_compared_with_its_last_hour() -> None:
    chosen = reference_spans(spans(24.0, 100.0), 1, NOW, LIMIT)
    assert chosen[-1].end - chosen[0].start == pytest.approx(SHORTEST)


def test_a_quiet_service_is_compared_with_as_much_as_tells_something() -> None:
    chosen = reference_spans(spans(24.0, 2.0), 1, NOW, LIMIT)
    assert sum(each.requests for each in chosen) == 300.0 / LIMIT
    chosen = reference_spans(spans(24.0, 0.5), 1, NOW, LIMIT)
    assert chosen[-1].end - chosen[0].start == pytest.approx(LONGEST)


def test_only_the_present_release_counts_and_nothing_from_a_future() -> None:
    others = spans(2.0, 100.0, number=7)
    future = spans(1.0, 100.0, ago=-7200.0)
    assert reference_spans([*others, *future], 1, NOW, LIMIT) == []


def test_an_overload_of_this_morning_is_no_longer_held_against_the_service() -> None:
    before = spans(4.0, 100.0, errors=0.3, ago=3700.0)
    past = past_of([*before, *spans(1.02, 100.0)], arm(2_000_000, 432_000), 1, NOW, LIMIT)
    assert past is not None
    assert past.errors == 0
    assert "on record" in past.said
    reference = past.reference({})
    assert reference is not None
    assert reference.events["errors"] == 0


def test_too_little_on_record_falls_back_to_the_counters_and_says_so() -> None:
    past = past_of(spans(0.1, 1.0), arm(50_000, 100), 1, NOW, LIMIT)
    assert past is not None
    assert (past.requests, past.errors) == (50_000, 100)
    assert "too little is on record" in past.said
    assert past_of([], None, 1, NOW, LIMIT) is None
    assert past_of([], arm(0, 0), 1, NOW, LIMIT) is None


def test_slow_requests_are_counted_at_any_threshold() -> None:
    past = past_of(spans(1.0, 100.0, slow=0.02), None, 1, NOW, LIMIT)
    assert past is not None
    reference = past.reference({"slo_p95": 0.3, "slo_p99": 1.0})
    assert reference is not None
    assert reference.events["slo_p95"] == reference.requests * 0.02
    assert reference.events["slo_p99"] == 0
    assert past.own_p99 == 1.0


def test_bursts_on_record_show_in_the_dispersion() -> None:
    steady = spans(2.0, 100.0, errors=0.002)
    bursty = [
        dataclasses.replace(each, errors=60 if place % 30 == 0 else 0)
        for place, each in enumerate(steady)
    ]
    for record, least, most in ((steady, 1.0, 1.0), (bursty, 5.0, 1000.0)):
        past = past_of(record, None, 1, NOW, LIMIT)
        assert past is not None
        reference = past.reference({})
        assert reference is not None
        assert least <= reference.dispersion["errors"] <= most


@pytest.mark.parametrize(
    ("seen", "rate"),
    [
        (2, 1.0),  # agrees with the minute, which is the better measure
        (0, 1.0),
        (5, 1.0),
        (9, 4.5),  # somebody has just begun to send more
        (200, 100.0),
    ],
)
def test_the_newest_minute_counts_unless_the_present_contradicts_it(seen: int, rate: float) -> None:
    assert present_rate(spans(0.1, 1.0), 1, NOW, seen, 2.0) == rate


def test_traffic_that_has_just_begun_or_ended_is_seen() -> None:
    assert present_rate(spans(0.1, 0.0), 1, NOW, 200, 2.0) == 100.0
    assert present_rate(spans(0.1, 0.0), 1, NOW, 2, 2.0) == 1.0
    assert present_rate(spans(0.1, 0.0), 1, NOW, 0, 2.0) == 0.0
    assert present_rate(spans(0.1, 100.0), 1, NOW, 0, 2.0) == 0.0


def test_an_old_or_absent_record_says_nothing_of_the_present() -> None:
    assert present_rate(spans(0.1, 1.0, ago=40.0), 1, NOW, 1, 2.0) == 0.5
    assert present_rate([], 1, NOW, 1, 2.0) == 0.5
    assert present_rate(spans(0.1, 1.0, number=2), 1, NOW, 1, 2.0) == 0.5


# --- in a plan --------------------------------------------------------------------------------


@pytest.fixture
def fake() -> Fake:
    fake = fake_platform()
    assert Desk(fake).deploy().result == "promoted"
    return fake


def record(fake: Fake, errors: float) -> None:
    shift = fake.clock.now() - NOW
    fake.env.history = [
        dataclasses.replace(each, start=each.start + shift, end=each.end + shift)
        for each in spans(2.0, 50.0, errors=errors)
    ]


def planned(fake: Fake, kind: Kind = Kind.CANARY) -> tuple[RolloutPlan, Forecast | None]:
    baseline = look_at_traffic(fake.platform, fake.clock, 1)
    grant = fake.store.acquire("ann", "deploy", 15.0)
    release = fake.add_release(grant)
    fake.store.release(grant)
    plan = plan_rollout(spec_with(), kind, release, serving(fake.store), baseline, "ann")
    return plan, expected(plan, baseline)


def test_one_long_overload_keeps_no_deploy_refused_for_ever(fake: Fake) -> None:
    fake.env.counters[1] = Counters(requests=1_000_000, errors=300_000)
    _, ahead = planned(fake, Kind.BLUE_GREEN)
    assert ahead is not None
    assert not ahead.possible  # as it was without a record
    record(fake, errors=0.0)
    plan, ahead = planned(fake, Kind.BLUE_GREEN)
    assert ahead is not None
    assert ahead.possible
    assert "on record" in plan.reference
    assert any("on record" in line for line in ahead.advice)


def test_a_forecast_without_a_record_says_what_it_rests_on(fake: Fake) -> None:
    _, ahead = planned(fake)
    assert ahead is not None
    assert "all that the gateway has counted" in ahead.advice[-1]


@pytest.mark.parametrize("kind", [Kind.CANARY, Kind.BLUE_GREEN])
def test_the_bake_compares_with_the_predecessors_record(fake: Fake, kind: Kind) -> None:
    record(fake, errors=0.0)
    plan, _ = planned(fake, kind)
    assert plan.bake_verdict is not None
    errors = plan.bake_verdict.metrics[0]
    assert errors.limit == LIMIT
    assert errors.predecessor_limit == pytest.approx(LIMIT / 10)


def test_a_record_that_cannot_be_read_is_said(fake: Fake) -> None:
    fake.env.meter_down = True
    assert look_at_traffic(fake.platform, fake.clock, 1).problem
