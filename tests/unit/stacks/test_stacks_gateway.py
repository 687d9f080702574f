"""From the load balancer through the gateway to the service: what has to fit together."""

from typing import Any

import pytest

from backendctl.platforms.kubernetes import standing
from backendctl.platforms.kubernetes.gateway_stats import CONTROLLERS
from backendctl.platforms.kubernetes.naming import STACK_GATEWAY_CLASS
from backendctl.shipped.stacks import addons, charts
from tests.aws_environments import PUBLIC, one, registered

pytestmark = pytest.mark.xdist_group("stacks")


def contour() -> Any:
    return one(registered("prod"), "addons/contour", ":Release").properties["values"]


def test_the_platform_finds_the_gateways_proxies_where_the_stacks_put_them() -> None:
    known = CONTROLLERS[addons.GATEWAY_CONTROLLER]
    assert addons.GATEWAY_CLASS == STACK_GATEWAY_CLASS
    assert (known.home, known.fleet) == (charts.GATEWAY_NAMESPACE, charts.GATEWAY_SERVICE)
    release = one(registered("prod"), "addons/contour", ":Release").properties
    assert release["namespace"] == known.home
    assert contour()["envoy"]["service"]["name"] == known.fleet


def test_network_policies_of_the_service_let_the_gateways_namespace_in() -> None:
    home = one(registered("prod"), "addons/gateway", ":Namespace").properties["metadata"]
    assert home["name"] == charts.GATEWAY_NAMESPACE
    assert home["labels"] == {standing.GATEWAY_NAMESPACE: "true"}


def test_the_gateways_service_is_one_that_a_cluster_takes() -> None:
    """The chart's default asks for a traffic policy that only external services may have."""
    service = contour()["envoy"]["service"]
    assert (service["type"], service["externalTrafficPolicy"]) == ("ClusterIP", "")


def test_the_gateway_keeps_connections_longer_than_the_load_balancer_uses_them() -> None:
    balancer = one(registered("prod"), "addons/balancer", ":LoadBalancer").properties
    kept = contour()["configInline"]["timeouts"]["connection-idle-timeout"]
    assert int(kept.removesuffix("s")) > balancer["idleTimeout"]


def test_the_gateway_believes_the_load_balancer_who_asks_and_nobody_before_it() -> None:
    assert contour()["configInline"]["network"] == {"num-trusted-hops": 1}


def test_the_gateway_says_the_load_balancers_address_is_its_own() -> None:
    values = contour()["contour"]
    assert values["ingressStatusAddress"] == "balancer.invalid"
    assert values["replicaCount"] == 2


def test_a_kubeconfig_in_other_words_replaces_nothing_in_the_cluster() -> None:
    provider = one(registered("prod"), "addons/cluster", ":kubernetes").properties
    assert provider["clusterIdentifier"] == "environment"


def test_an_address_that_no_user_knows_may_go_for_one_that_users_do() -> None:
    """A host that is added later makes another load balancer of the same name."""
    inside, public = (
        one(registered("prod", extra), "addons/balancer", ":LoadBalancer") for extra in ("", PUBLIC)
    )
    assert (inside.protected, inside.properties["enableDeletionProtection"]) == (False, False)
    assert (public.protected, public.properties["enableDeletionProtection"]) == (True, True)
    assert inside.deleted_first
    assert inside.properties["name"] == public.properties["name"]
