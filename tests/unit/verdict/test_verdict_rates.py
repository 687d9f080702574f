"""Rates of right and wrong decisions over whole simulated rollouts, with their intervals.

Small and seeded; `python -m bench.verdict` is the same at length.
"""

from bench.verdict.engines import NATIVE, Ending, Ours
from bench.verdict.intervals import wilson
from bench.verdict.simulate import Cell, cell
from bench.verdict.traces import TUNING, called


def ours(name: str, rps: float, runs: int) -> Cell:
    return cell(Ours(NATIVE), called(name, TUNING), rps, runs, 1)


def test_good_releases_are_promoted_and_none_is_rolled_back() -> None:
    made = ours("independent 0.5 %", 100.0, 80)
    assert made.count(Ending.ROLLED_BACK) == 0
    assert wilson(made.count(Ending.PROMOTED), 80)[0] > 0.93


def test_a_bad_warm_up_convicts_nobody() -> None:
    assert ours("warm-up", 100.0, 40).count(Ending.ROLLED_BACK) == 0


def test_clustered_errors_convict_nobody() -> None:
    assert ours("geometric clusters", 100.0, 6).count(Ending.ROLLED_BACK) == 0


def test_a_doubling_is_caught_and_not_promoted() -> None:
    made = ours("errors 2x", 100.0, 40)
    assert made.count(Ending.ROLLED_BACK) >= 38
    assert made.count(Ending.PROMOTED) <= 1


def test_ten_times_the_errors_are_caught_within_350_candidate_requests_at_10_rps() -> None:
    made = ours("errors 10x", 10.0, 40)
    assert made.count(Ending.ROLLED_BACK) == 40
    requests = made.median("requests", Ending.ROLLED_BACK)
    assert requests is not None
    assert requests < 350


def test_a_candidate_that_cannot_be_measured_is_never_promoted() -> None:
    assert ours("no data", 100.0, 10).count(Ending.INCONCLUSIVE) == 10
