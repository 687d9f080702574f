"""Envoy's statistics, as recorded from a Contour with two proxies, as numbers of releases."""

import json
from pathlib import Path

import pytest

from backendctl.platforms.base import Routes
from backendctl.platforms.envoy_times import edges
from backendctl.platforms.kubernetes.gateway_stats import (
    CONTROLLERS,
    READ,
    SERIES,
    Cluster,
    clusters,
    points,
    with_times,
)
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.readings import names_of
from backendctl.platforms.kubernetes.routes import Attachment, Served, http_route

from .gateways import SHARED

RECORDED = Path(__file__).parent / "recorded"
NAMING = Naming("shop", "trial", "k4-a")
ROUTE = http_route(NAMING, Attachment(SHARED), Served(Routes({1: 100, 2: 0}, preview=2)))


def recorded(proxy: str) -> dict[str, Cluster]:
    return clusters(points((RECORDED / f"envoy-{proxy}.prom").read_text()))


def test_the_numbers_of_a_release_are_found_under_its_service_s_name() -> None:
    found = recorded("a")
    names = names_of(CONTROLLERS["projectcontour.io/gateway-controller"], NAMING, ROUTE)
    assert {names[name]: each.requests for name, each in found.items()} == {1: 574, 2: 437}
    two = found["k4-a_shop-r2_80"]
    assert (two.errors, two["refused"], two["healthy"], two.in_flight) == (2, 3, 2, 0)
    assert two.timed == two.requests


def test_a_response_that_was_cut_short_is_an_error_though_it_began_as_a_200() -> None:
    two = recorded("b")["k4-a_shop-r2_80"]
    assert two["failed"] == 1
    assert two.errors == 2
    assert two.timed == two.requests - 1


def test_a_503_for_want_of_an_answer_is_not_counted_twice() -> None:
    text = "".join(
        f'envoy_cluster_{name}{{{labels}envoy_cluster_name="c"}} {value}\n'
        for name, labels, value in (
            ("upstream_cx_destroy_remote_with_active_rq", "", 3),
            ("upstream_rq", 'envoy_response_code="503",', 4),
            ("upstream_cx_none_healthy", "", 2),
            ("upstream_rq_xx", 'envoy_response_code_class="5",', 4),
        )
    )
    # Of four 503s two had no pod to go to and two lost theirs; the third that broke was cut short.
    assert clusters(points(text))["c"].errors == 5


def test_times_are_at_the_edges_of_the_gateway_and_at_ours_where_it_shows_its_bins() -> None:
    found = recorded("a")
    one = found["k4-a_shop-r1_80"]
    assert 300.0 in one.at_most
    assert 7.0 not in one.at_most
    details = json.loads((RECORDED / "envoy-a-detailed.json").read_text())
    with_times(found, details, edges([290.0]))
    assert {7.0, 290.0} <= one.at_most.keys()
    assert one.timed == one.requests
    counts = [one.at_most[edge] for edge in sorted(one.at_most)]
    assert counts == sorted(counts)
    assert counts[-1] <= one.timed


def test_all_that_is_read_is_asked_for() -> None:
    text = (RECORDED / "envoy-b.prom").read_text()
    seen = {line.partition("{")[0] for line in text.splitlines() if not line.startswith("#")}
    assert seen - {"envoy_cluster_upstream_rq_time_sum"} <= set(SERIES)
    for statistic in ("upstream_rq_5xx", "upstream_rq_503", "upstream_rq_time"):
        assert statistic in READ


def test_envoy_gateway_counts_by_place_in_the_route() -> None:
    names = names_of(CONTROLLERS["gateway.envoyproxy.io/gatewayclass-controller"], NAMING, ROUTE)
    assert names == {
        "httproute/k4-a/shop/rule/1/backend/0": 2,
        "httproute/k4-a/shop/rule/1/backend/1": 1,
    }


@pytest.mark.parametrize("text", ["<html>404</html>", "envoy_cluster{ 3"])
def test_what_is_no_statistics_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        clusters(points(text))
