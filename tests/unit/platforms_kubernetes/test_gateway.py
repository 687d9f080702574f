"""Which Gateway serves, where, and by which proxies."""

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.errors import refused
from backendctl.platforms.kubernetes.gateway import Gateway

from .gateways import CONTOUR, SHARED, Stand, gateway, gateway_class, slice_of

EG = "gateway.envoyproxy.io/gatewayclass-controller"


@pytest.fixture
def stand() -> Stand:
    return Stand()


def listening(stand: Stand, *listeners: dict[str, object]) -> Gateway:
    manifest = gateway()
    manifest["spec"]["listeners"] = list(listeners)
    stand.api.put("Gateway", manifest)
    return stand.gateway


HTTP = {"name": "http", "port": 80, "protocol": "HTTP"}
HTTPS = {"name": "https", "port": 443, "protocol": "HTTPS", "hostname": "*.example.com"}


@pytest.mark.parametrize(
    ("listeners", "host", "url"),
    [
        ([HTTP], "", "http://10.9.8.7"),
        ([{**HTTP, "port": 8080}], "", "http://10.9.8.7:8080"),
        ([HTTP, HTTPS], "shop.example.com", "https://shop.example.com"),
        ([HTTP, HTTPS], "shop.example.org", "http://shop.example.org"),
        ([{"name": "tls", "port": 443, "protocol": "TLS"}, HTTP], "", "http://10.9.8.7"),
    ],
)
def test_users_are_told_the_listener_for_their_host(
    stand: Stand, listeners: list[dict[str, object]], host: str, url: str
) -> None:
    assert listening(stand, *listeners).url(host) == url


def test_users_are_not_told_a_listener_that_lets_no_route_of_ours_in(stand: Stand) -> None:
    closed = {**HTTP, "allowedRoutes": {"namespaces": {"from": "Same"}}}
    users = {**HTTP, "name": "users", "port": 8080}
    assert listening(stand, closed, users).url("shop.example.com").endswith(":8080")
    with pytest.raises(BackendctlError, match="no address yet") as caught:
        listening(stand, closed).url("shop.example.com")
    assert "lets routes of this namespace in" in caught.value.cause


def test_an_address_of_six_is_written_as_urls_have_it(stand: Stand) -> None:
    manifest = gateway()
    manifest["spec"]["listeners"] = [{**HTTP, "port": 8080}]
    manifest["status"]["addresses"] = [{"type": "IPAddress", "value": "fd00::1"}]
    stand.api.put("Gateway", manifest)
    assert stand.gateway.url() == "http://[fd00::1]:8080"


def test_a_stated_url_needs_no_look_at_the_gateway(stand: Stand) -> None:
    del stand.api.objects["Gateway", SHARED.namespace, SHARED.name]
    assert Gateway(stand.cluster, SHARED, "https://shop.example.com/").url() == (
        "https://shop.example.com"
    )


def test_a_gateway_without_an_address_is_said(stand: Stand) -> None:
    manifest = gateway()
    manifest["status"]["addresses"] = []
    stand.api.put("Gateway", manifest)
    with pytest.raises(BackendctlError, match="has no address yet"):
        stand.gateway.url()


def names(stand: Stand) -> set[str]:
    return {each.pod for each in stand.gateway.replicas(stand.gateway.look())}


def test_the_proxies_are_those_behind_a_service_with_the_listener_s_port(stand: Stand) -> None:
    labels = {"gateway.networking.k8s.io/gateway-name": SHARED.name}
    metadata = {"name": "contour", "namespace": SHARED.namespace, "labels": labels}
    ports = [{"name": "xds", "port": 8001}]
    stand.api.put("Service", {"metadata": metadata, "spec": {"ports": ports}})
    controller = slice_of("contour", SHARED.namespace, ["contour-a"], 8001)
    controller["ports"] = [{"name": "xds", "port": 8001}]
    stand.api.put("EndpointSlice", controller)
    assert names(stand) == {"envoy-a", "envoy-b"}


def test_a_proxy_that_is_not_ready_takes_no_requests_and_is_not_asked(stand: Stand) -> None:
    found = slice_of("envoy", SHARED.namespace, ["envoy-a", "envoy-b"], 8080)
    found["endpoints"][1]["conditions"]["ready"] = False
    stand.api.put("EndpointSlice", found)
    assert names(stand) == {"envoy-a"}


def test_a_proxy_with_addresses_of_both_families_is_asked_at_the_service_s_first(
    stand: Stand,
) -> None:
    service = stand.api.objects["Service", SHARED.namespace, "envoy"]
    stand.api.put(
        "Service", {**service, "spec": {**service["spec"], "ipFamilies": ["IPv4", "IPv6"]}}
    )
    first = slice_of("envoy", SHARED.namespace, ["envoy-a", "envoy-b"], 8080)
    second = slice_of("envoy", SHARED.namespace, ["envoy-a", "envoy-b"], 8080)
    second["metadata"]["name"] = "envoy-six"
    for endpoint in second["endpoints"]:
        endpoint["addresses"] = [f"fd00::{endpoint['addresses'][0].rpartition('.')[2]}"]
    for each, family in ((first, "IPv4"), (second, "IPv6")):
        stand.api.put("EndpointSlice", {**each, "addressType": family})
    found = stand.gateway.replicas(stand.gateway.look())
    assert {(each.pod, each.address) for each in found} == {
        ("envoy-a", "10.0.0.1"),
        ("envoy-b", "10.0.0.2"),
    }


def test_the_proxies_of_envoy_gateway_are_in_its_own_namespace(stand: Stand) -> None:
    stand.api.put("GatewayClass", gateway_class(EG))
    del stand.api.objects["Service", SHARED.namespace, "envoy"]
    home = "envoy-gateway-system"
    for name, pod, owner in (("envoy-1", "other", "elsewhere"), ("envoy-2", "eg-a", "gateways")):
        labels = {
            "gateway.envoyproxy.io/owning-gateway-name": SHARED.name,
            "gateway.envoyproxy.io/owning-gateway-namespace": owner,
        }
        metadata = {"name": name, "namespace": home, "labels": labels}
        ports = [{"name": "http", "port": 80}]
        stand.api.put("Service", {"metadata": metadata, "spec": {"ports": ports}})
        stand.api.put("EndpointSlice", slice_of(name, home, [pod], 10080))
    found = stand.gateway.look()
    (proxy,) = stand.gateway.replicas(found)
    assert (proxy.pod, proxy.ports) == ("eg-a", {80: 10080})
    assert found.controller is not None
    assert found.controller.stats_port == 19001


def test_one_fleet_of_proxies_for_all_gateways_is_found_by_its_usual_name(stand: Stand) -> None:
    stand.api.put("GatewayClass", gateway_class(CONTOUR))
    del stand.api.objects["Service", SHARED.namespace, "envoy"]
    metadata = {"name": "envoy", "namespace": "projectcontour"}
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    stand.api.put("Service", {"metadata": metadata, "spec": {"ports": ports}})
    stand.api.put("EndpointSlice", slice_of("envoy", "projectcontour", ["fleet-a"], 8080))
    assert names(stand) == {"fleet-a"}


def test_who_may_not_look_for_proxies_finds_none(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = stand.gateway.look()

    def forbidden(*_arguments: object, **_named: object) -> None:
        asked = stand.cluster._asked("list", "Service", "", SHARED.namespace)
        raise refused(asked, 403, b'{"message": "user cannot list services"}')

    monkeypatch.setattr(stand.cluster, "list", forbidden)
    assert stand.gateway.replicas(found) == ()


@pytest.mark.parametrize(
    ("condition", "cause"),
    [
        ({"type": "Accepted", "status": "False", "reason": "Invalid", "message": "no"}, "Invalid"),
        ({"type": "Accepted", "status": "Unknown", "reason": "Pending"}, "no controller of class"),
        ({"type": "Other", "status": "True"}, "no controller of class contour"),
    ],
)
def test_a_gateway_that_does_not_work_says_why(
    stand: Stand, condition: dict[str, str], cause: str
) -> None:
    stand.api.put("Gateway", gateway(**condition))
    with pytest.raises(BackendctlError, match="is not ready") as raised:
        stand.gateway.look()
    assert raised.value.code == "platform.gateway"
    assert cause in raised.value.cause


def test_a_class_that_is_not_there_is_named(stand: Stand) -> None:
    del stand.api.objects["GatewayClass", "", "contour"]
    with pytest.raises(BackendctlError) as raised:
        stand.gateway.look()
    assert "no GatewayClass contour" in raised.value.cause
