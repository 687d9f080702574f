"""Numbers per release, through a gateway with two proxies."""

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Routes
from backendctl.platforms.kubernetes.meter import GatewayMeter
from backendctl.platforms.kubernetes.readings import GatewayReader
from backendctl.platforms.kubernetes.traffic_history import TrafficHistory

from .gateways import NAMING, SHARED, Stand, gateway_class


@pytest.fixture
def stand() -> Stand:
    found = Stand()
    found.router.connect(1, 5)
    found.router.connect(2, 5)
    found.router.apply(Routes({1: 50, 2: 50}))
    return found


def meter(stand: Stand) -> GatewayMeter:
    reader = GatewayReader(stand.cluster, NAMING, stand.gateway, stand.replicas, clock=stand.clock)
    recorded = TrafficHistory(stand.cluster, NAMING)
    return GatewayMeter(reader, NAMING, recorded, recorded)


def test_an_arm_is_the_sum_of_what_all_proxies_counted(stand: Stand) -> None:
    stand.replicas.numbers[1] = {"upstream_rq_completed": 20, "membership_healthy": 2}
    arms = meter(stand).sample().arms
    assert (arms[1].requests, arms[1].healthy, arms[2].requests) == (40, 2, 0)
    assert arms[1].breakdown is None


def test_a_release_that_is_no_longer_connected_is_in_no_sample(stand: Stand) -> None:
    stand.router.apply(Routes({1: 100}))
    stand.router.disconnect(2)
    assert meter(stand).sample().arms.keys() == {1}


def test_a_proxy_that_does_not_answer_makes_the_whole_sample_missing(stand: Stand) -> None:
    stand.replicas.unanswered = "envoy-b: timed out"
    with pytest.raises(BackendctlError) as raised:
        meter(stand).sample()
    assert raised.value.code == "platform.gateway"
    assert "envoy-b: timed out" in raised.value.cause


def test_a_gateway_without_proxies_to_ask_is_missing_data(stand: Stand) -> None:
    stand.proxies()
    with pytest.raises(BackendctlError) as raised:
        meter(stand).sample()
    assert "cannot be told" in raised.value.cause


def test_a_gateway_of_another_kind_is_missing_data_and_says_which_are_known(stand: Stand) -> None:
    stand.api.put("GatewayClass", gateway_class("example.com/other"))
    with pytest.raises(BackendctlError) as raised:
        meter(stand).sample()
    assert "Contour, Envoy Gateway" in raised.value.cause


def test_a_gateway_that_is_gone_is_said(stand: Stand) -> None:
    del stand.api.objects["Gateway", SHARED.namespace, SHARED.name]
    with pytest.raises(BackendctlError, match="no Gateway"):
        meter(stand).sample()


def test_without_any_route_there_is_nothing_to_count(stand: Stand) -> None:
    del stand.api.objects["HTTPRoute", NAMING.namespace, NAMING.route]
    assert meter(stand).sample().arms == {}
