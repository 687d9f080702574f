"""Every percentage says of what it is one."""

import pytest

from backendctl.rollout.wording import metric_in_words

NUMBERS = {"candidate_rate": 0.0, "stable_rate": 0.002, "limit": 0.05, "threshold_s": 0.3}


@pytest.mark.parametrize(
    ("name", "changed", "said"),
    [
        (
            "slo_p95",
            {},
            "requests slower than 300 ms (the SLO's p95): candidate 0 %, stable 0.2 %; "
            "at most 5 % are promised",
        ),
        (
            "stable_p99",
            {"limit": None, "threshold_s": 0.0125},
            "requests slower than 12.5 ms (the bound from stable's own p99): candidate 0 %, "
            "stable 0.2 %",
        ),
        (
            "errors",
            {"threshold_s": None, "limit": 0.01, "stable_rate": None},
            "requests that failed: candidate 0 %; at most 1 % are promised",
        ),
        (
            "errors",
            {"threshold_s": None, "limit": None, "candidate_rate": None},
            "requests that failed: candidate unknown, stable 0.2 %",
        ),
    ],
)
def test_a_metric_is_told_with_what_it_counts(
    name: str, changed: dict[str, float | None], said: str
) -> None:
    assert metric_in_words(name, {**NUMBERS, **changed}) == said
