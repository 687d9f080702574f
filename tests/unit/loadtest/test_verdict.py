import math
import random
from dataclasses import replace

import pytest

from backendctl.loadtest.measurement import Measurement, Outcome, Recorder
from backendctl.loadtest.profile import Loop, Stage
from backendctl.loadtest.verdict import Result, judge, lag_limit
from backendctl.spec.model import Slo
from tests.unit.loadtest.cases import SLO, measured, stage


def verdict_of(measurement: Measurement, stages: tuple[Stage, ...] = (stage(),), slo: Slo = SLO):  # type: ignore[no-untyped-def]
    return judge(stages, measurement, slo)


def test_a_service_well_within_its_promises_passes() -> None:
    verdict = verdict_of(measured())
    assert verdict.result is Result.PASS
    assert verdict.reasons == ()
    assert [c.name for c in verdict.checks] == ["p95", "p99", "errors"]


@pytest.mark.parametrize(
    ("slo", "error_share", "broken"),
    [
        (Slo(p95=0.1, p99=1.0, error_rate=0.01), 0.0, "p95"),
        (Slo(p95=0.19, p99=0.19, error_rate=0.01), 0.0, "p99"),
        (SLO, 0.05, "errors"),
    ],
)
def test_each_broken_promise_fails_and_is_named(slo: Slo, error_share: float, broken: str) -> None:
    # Exponential latency with mean 50 ms: p95 150 ms, p99 230 ms.
    verdict = verdict_of(measured(error_share=error_share), slo=slo)
    assert verdict.result is Result.FAIL
    assert [c.name for c in verdict.checks if c.result is Result.FAIL] == [broken]
    assert broken in verdict.reasons[0]


def test_numbers_at_the_limit_are_inconclusive() -> None:
    at_p95 = -math.log(0.05) / 20
    verdict = verdict_of(measured(), slo=Slo(p95=at_p95, p99=1.0, error_rate=0.01))
    assert verdict.result is Result.INCONCLUSIVE
    assert "either side" in verdict.reasons[0]


def test_too_few_requests_for_the_99th_percentile_are_inconclusive_however_fast() -> None:
    few = (stage(duration=1.5),)
    verdict = verdict_of(measured(few, latency=lambda _: 0.001), few)
    assert verdict.result is Result.INCONCLUSIVE
    p99 = next(c for c in verdict.checks if c.name == "p99")
    assert p99.high is None


def test_a_failure_in_one_stage_outweighs_passes_in_others() -> None:
    two = (stage("hold"), stage("closed hold"))
    both = measured(two)
    bad = measured(two, error_share=0.2)
    both.stages[1] = bad.stages[1]
    verdict = verdict_of(both, two)
    assert verdict.result is Result.FAIL
    assert all(reason.startswith("closed hold") for reason in verdict.reasons)


# --- invalid ------------------------------------------------------------------------------------


def test_the_lag_limit_is_5_ms_or_5_percent_of_the_slo_whichever_is_more() -> None:
    assert lag_limit(Slo(p95=0.05)) == 0.005
    assert lag_limit(Slo(p95=0.3)) == pytest.approx(0.015)


@pytest.mark.parametrize(
    ("lag", "lag_share", "expected"),
    [
        (0.010, 0.0, Result.PASS),
        (0.016, 0.0, Result.INVALID),
        (0.001, 0.005, Result.PASS),
        (0.001, 0.02, Result.INVALID),
    ],
)
def test_sending_late_is_invalid_from_the_99th_percentile_on(
    lag: float, lag_share: float, expected: Result
) -> None:
    assert verdict_of(measured(lag=lag, lag_share=lag_share)).result is expected


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        ((30, 69, 69, 69, 30), Result.PASS),
        ((30, 80, 30, 80, 30), Result.PASS),
        ((30, 71, 71, 30), Result.INVALID),
        ((30, 95, 30), Result.INVALID),
    ],
)
def test_a_busy_generator_is_invalid_when_it_stays_so_or_is_full(
    cpu: tuple[float, ...], expected: Result
) -> None:
    assert verdict_of(measured(cpu=cpu)).result is expected


def test_processor_use_outside_the_judged_stages_does_not_count() -> None:
    assert verdict_of(measured(cpu=(30,) * 25 + (99, 99))).result is Result.PASS


def test_a_lost_worker_is_invalid_even_if_everything_else_is_good() -> None:
    found = measured()
    found.lost.append("worker 0 ended with status -9")
    verdict = verdict_of(found)
    assert verdict.result is Result.INVALID
    assert "worker 0" in verdict.reasons[0]
    assert {c.result for c in verdict.checks} == {Result.INVALID}


def test_requests_that_were_due_but_not_sent_are_invalid() -> None:
    found = measured()
    found.stages[0].scheduled = 4100
    assert verdict_of(found).result is Result.INVALID


def test_requests_held_back_because_the_service_answers_nothing_fail_the_service() -> None:
    found = measured()
    recorder = Recorder()
    recorder.scheduled(0, 400)
    for _ in range(400):
        recorder.shed(0, 3, "GET /items")
    found.merge(recorder.take())
    longer = (replace(stage(), from_rate=220, to_rate=220),)
    verdict = judge(longer, found, SLO)
    assert verdict.result is Result.FAIL
    assert found.stages[0].outcomes[Outcome.SHED] == 400


def test_an_offered_rate_more_than_1_percent_off_is_invalid() -> None:
    found = measured()
    assert judge((replace(stage(), from_rate=203, to_rate=203),), found, SLO).result is (
        Result.INVALID
    )


def test_a_closed_loop_offers_what_it_offers() -> None:
    closed = (replace(stage("closed hold"), loop=Loop.CLOSED, from_rate=500, to_rate=500),)
    found = measured((stage("closed hold"),))
    assert judge(closed, found, SLO).result is Result.PASS


def test_requests_that_the_service_refuses_as_faulty_make_the_test_invalid() -> None:
    found = measured()
    recorder = Recorder()
    for _ in range(400):
        recorder.started(0, 0.0)
        recorder.ended(0, 1, "POST /items", Outcome.REFUSED, 422, 0.001, 0.001)
    found.merge(recorder.take())
    verdict = verdict_of(found)
    assert verdict.result is Result.INVALID
    assert "4xx" in verdict.reasons[0]


def test_a_judged_stage_in_which_nothing_was_sent_is_invalid() -> None:
    assert verdict_of(Measurement()).result is Result.INVALID


def test_an_interrupted_test_never_passes() -> None:
    found = measured()
    found.interrupted = True
    verdict = verdict_of(found)
    assert verdict.result is Result.INCONCLUSIVE
    assert "interrupted" in verdict.reasons[0]


# --- dependence and error rates of the verdict itself -------------------------------------------


def test_bursts_of_slow_requests_widen_the_interval() -> None:
    steady = verdict_of(measured(latency=lambda rng: 0.5 if rng.random() < 0.04 else 0.01))
    found = measured()
    bursty = Recorder()
    rng = random.Random(4)
    for second in range(20):
        for _ in range(200):
            bursty.started(0, 0.0)
            slow = second in (7, 8) and rng.random() < 0.4
            seconds = 0.5 if slow else 0.01
            bursty.ended(0, second, "GET /", Outcome.OK, 200, seconds, seconds)
    found.stages.clear()
    bursty.scheduled(0, 4000)
    found.merge(bursty.take())
    burst = verdict_of(found)
    p95 = {
        name: next(c for c in v.checks if c.name == "p95")
        for name, v in (("steady", steady), ("burst", burst))
    }
    assert p95["steady"].result is Result.PASS
    assert p95["burst"].inflation > 5 > p95["steady"].inflation
    assert p95["burst"].result is Result.INCONCLUSIVE


def test_a_service_exactly_at_its_limit_is_judged_falsely_at_most_one_time_in_twenty() -> None:
    at = Slo(p95=-math.log(0.05) / 20, p99=-math.log(0.01) / 20, error_rate=0.02)
    small = (stage(duration=10.0, rate=100.0),)
    repeats = 200
    decided = sum(
        judge(small, measured(small, error_share=0.02, seed=seed), at).result
        in (Result.PASS, Result.FAIL)
        for seed in range(repeats)
    )
    assert decided / repeats <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)


def test_a_service_that_is_clearly_good_or_bad_is_hardly_ever_left_undecided() -> None:
    small = (stage(duration=15.0, rate=100.0),)
    for slo, expected in (
        (Slo(p95=0.2, p99=0.4, error_rate=0.02), Result.PASS),
        (Slo(p95=0.1, p99=0.4, error_rate=0.02), Result.FAIL),
    ):
        results = [judge(small, measured(small, seed=s), slo).result for s in range(30)]
        assert results.count(expected) >= 29
