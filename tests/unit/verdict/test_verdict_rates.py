"""Rates of right and wrong decisions over whole simulated rollouts, with their intervals.

Small and seeded; `python -m bench.verdict` is the same at length.
"""

from backendctl.rollout.verdict import Decision
from bench.verdict.simulate import cell, short, wilson
from bench.verdict.traces import BAD_TRACES, GOOD_TRACES, SHORT_TRACES, Trace


def trace(name: str, among: tuple[Trace, ...]) -> Trace:
    (found,) = [t for t in among if t.name == name]
    return found


def test_good_releases_are_promoted_and_none_is_rolled_back() -> None:
    made = cell(trace("0.5 % errors", GOOD_TRACES), 100.0, 80)
    assert made.count(Decision.FAIL) == 0
    assert wilson(made.count(Decision.PASS), 80)[0] > 0.93


def test_a_bad_warm_up_convicts_nobody() -> None:
    made = cell(trace("warm-up x20 for 30 s", GOOD_TRACES), 100.0, 40)
    assert made.count(Decision.FAIL) == 0


def test_clustered_errors_convict_nobody() -> None:
    made = cell(trace("geometric clusters, mean 20", GOOD_TRACES), 100.0, 6)
    assert made.count(Decision.FAIL) == 0


def test_a_doubling_is_caught_and_not_promoted() -> None:
    made = cell(trace("errors 2x", BAD_TRACES), 100.0, 40)
    assert made.count(Decision.FAIL) >= 38
    assert made.count(Decision.PASS) <= 1


def test_ten_times_the_errors_are_caught_within_350_candidate_requests_at_10_rps() -> None:
    made = cell(trace("errors 10x", BAD_TRACES), 10.0, 40)
    assert made.count(Decision.FAIL) == 40
    requests = made.median(Decision.FAIL, "candidate_requests")
    assert requests is not None
    assert requests < 350


def test_short_steps_judge_within_seconds() -> None:
    for name in ("10 % errors", "30 % slower than p99", "every request fails"):
        made = cell(trace(name, SHORT_TRACES), 150.0, 20, short, 1.0)
        assert made.count(Decision.FAIL) == 20
        seconds = made.median(Decision.FAIL, "seconds")
        assert seconds is not None
        assert seconds < 20.0
    good = cell(trace("zero errors", SHORT_TRACES), 150.0, 20, short, 1.0)
    assert good.count(Decision.PASS) == 20
