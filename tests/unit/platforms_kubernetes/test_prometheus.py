"""The proxies' counters from a Prometheus server: old and missing numbers are said, never zero."""

from typing import Any

import pytest

from backendctl.platforms.kubernetes.gateway_stats import Cluster
from backendctl.platforms.kubernetes.prometheus import (
    STALE,
    by_proxy,
    query,
    refuse_stale,
    scrapes,
    vector_of,
)
from backendctl.platforms.kubernetes.replicas import UnansweredError


def series(name: str, pod: str, value: float, **labels: str) -> dict[str, Any]:
    metric = {"__name__": name, "envoy_cluster_name": "ns_shop-r1_80", "pod": pod, **labels}
    return {"metric": metric, "value": [1000.0, str(value)]}


def test_series_are_told_apart_by_proxy() -> None:
    found = by_proxy(
        [
            series("envoy_cluster_upstream_rq_completed", "a", 5),
            series("envoy_cluster_upstream_rq_completed", "b", 7),
            series("envoy_cluster_upstream_rq_xx", "b", 2, envoy_response_code_class="5"),
            series("envoy_cluster_upstream_rq_time_bucket", "b", 6, le="300"),
            series("envoy_cluster_upstream_rq_time_bucket", "b", 7, le="+Inf"),
            series("envoy_cluster_upstream_rq_time_count", "b", 7),
        ]
    )
    assert {name: each["ns_shop-r1_80"].requests for name, each in found.items()} == {
        "a": 5,
        "b": 7,
    }
    b = found["b"]["ns_shop-r1_80"]
    assert (b.errors, b.at_most, b.timed) == (2, {300.0: 6}, 7)


def test_names_are_quoted_in_a_query() -> None:
    asked = query({"k4-a_shop-r1_80": 1, 'odd."name': 2}, ("up",))
    assert asked == (
        '{__name__=~"up",envoy_cluster_name=~"k4\\\\-a_shop\\\\-r1_80|odd\\\\.\\"name"}'
    )


NUMBERS = {"a": {"c": Cluster()}, "b": {"c": Cluster()}}


def test_fresh_numbers_of_every_proxy_are_taken() -> None:
    refuse_stale({"a": 995.0, "b": 999.0}, NUMBERS, 1000.0, 2)
    refuse_stale({"a": 995.0, "b": 999.0}, NUMBERS, 1000.0, 0)


def test_old_numbers_are_no_numbers() -> None:
    with pytest.raises(UnansweredError, match="last scraped a 36 s ago"):
        refuse_stale({"a": 1000.0 - STALE - 1, "b": 999.0}, NUMBERS, 1000.0, 2)


def test_a_proxy_without_numbers_is_missing() -> None:
    with pytest.raises(UnansweredError, match="numbers of 2 proxies, and the gateway has 3"):
        refuse_stale({"a": 999.0, "b": 999.0}, NUMBERS, 1000.0, 3)


def test_no_series_at_all_is_no_zero() -> None:
    with pytest.raises(UnansweredError, match="does it scrape the gateway"):
        refuse_stale({}, {}, 1000.0, 2)


def test_the_oldest_scrape_of_a_proxy_counts() -> None:
    assert scrapes([series("", "a", 990), series("", "a", 980), series("", "b", 995)]) == {
        "a": 980.0,
        "b": 995.0,
    }


@pytest.mark.parametrize("body", [None, [], {"status": "error", "error": "bad matcher"}])
def test_a_refusal_is_said(body: object) -> None:
    with pytest.raises(UnansweredError, match="refuses the query"):
        vector_of(body, "http://prometheus")
