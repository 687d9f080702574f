"""The past from range queries: spans between scrapes, and none where there was no scrape."""

from typing import Any

from backendctl.platforms.base import Span
from backendctl.platforms.counters import spans_between
from backendctl.platforms.kubernetes.prometheus_history import samples
from backendctl.platforms.kubernetes.totals import Totals

NAMES = {"c": 7}
Steps = list[tuple[float, float]]
"""Of one series: the step, and its value."""


def matrix(name: str, by_pod: dict[str, Steps], **labels: str) -> list[dict[str, Any]]:
    return [
        {
            "metric": {"__name__": name, "envoy_cluster_name": "c", "pod": pod, **labels},
            "values": [[at, str(value)] for at, value in steps],
        }
        for pod, steps in by_pod.items()
    ]


def spans(completed: dict[str, Steps], scraped: dict[str, Steps]) -> list[Span]:
    values = matrix("envoy_cluster_upstream_rq_completed", completed)
    found, former = [], None
    for sample in samples(values, matrix("", scraped), NAMES, Totals()):
        found += spans_between(former, sample) if former is not None else []
        former = sample
    return found


def test_what_lies_between_two_scrapes_is_a_span() -> None:
    found = spans(
        {"a": [(10, 5), (20, 9)], "b": [(10, 1), (20, 2)]},
        {"a": [(10, 8), (20, 18)], "b": [(10, 9), (20, 19)]},
    )
    assert [(each.start, each.end, each.requests) for each in found] == [(8.0, 18.0, 5)]


def test_a_value_that_was_not_scraped_anew_is_no_silence() -> None:
    scraped = [(10.0, 8.0), (20.0, 8.0), (30.0, 8.0), (40.0, 38.0)]
    found = spans({"a": [(10, 5), (20, 5), (30, 5), (40, 9)]}, {"a": scraped})
    assert [(each.start, each.end, each.requests) for each in found] == [(8.0, 38.0, 4)]


def test_a_proxy_that_goes_is_no_fall_and_one_that_comes_is_no_jump() -> None:
    times: Steps = [(at, at) for at in (10, 20, 30, 40, 50)]
    b: Steps = [(10, 900), (30, 950), (40, 951), (50, 952)]
    found = spans(
        {"a": [(10, 5), (20, 6), (30, 7), (40, 9), (50, 11)], "b": b}, {"a": times, "b": times}
    )
    assert [(each.start, each.requests) for each in found] == [(40.0, 3)]


def test_the_first_requests_of_a_release_count_though_it_had_no_edges_before() -> None:
    values = matrix("envoy_cluster_upstream_rq_completed", {"a": [(10, 0), (20, 4)]})
    values += matrix("envoy_cluster_upstream_rq_time_bucket", {"a": [(20, 3)]}, le="100")
    values += matrix("envoy_cluster_upstream_rq_time_count", {"a": [(20, 4)]})
    times: dict[str, Steps] = {"a": [(10, 10), (20, 20)]}
    first, last = samples(values, matrix("", times), NAMES, Totals())
    (span,) = spans_between(first, last)
    assert (span.requests, span.latencies.at_most, span.latencies.total) == (4, (3,), 4)
