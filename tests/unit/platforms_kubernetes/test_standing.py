"""What outlives a release: complete, deterministic, and as little as will do."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from backendctl.platforms.kubernetes import access, assemble
from backendctl.platforms.kubernetes.kinds import KINDS
from backendctl.platforms.kubernetes.naming import Naming, bound_secrets
from backendctl.platforms.kubernetes.standing import manifests
from backendctl.spec.model import Data, Environment, Load, PlatformName, Service, Spec

Manifest = Mapping[str, Any]


def spec_of(environment: Environment, **parts: Any) -> Spec:
    return Spec(
        service=Service(name="shop", start=("serve",)),
        load=Load(peak_rps=100, peak_users=100, sustained_users=50, think_time=1),
        environments={environment.name: environment},
        **parts,
    )


def environment(**stated: Any) -> Environment:
    return Environment(name="prod", platform=PlatformName.KUBERNETES, **stated)


def made(**stated: Any) -> Sequence[Manifest]:
    wanted = environment(**stated)
    return manifests(spec_of(wanted), wanted)


def of(found: Sequence[Manifest], kind: str) -> list[Manifest]:
    return [each for each in found if each["kind"] == kind]


OWN = {"gateway_class": "contour"}
SHARED = {"gateway": "edge/shared"}


@pytest.mark.parametrize("stated", [OWN, SHARED, {**OWN, "driver_image": "ghcr.io/acme/b:1"}])
def test_every_object_is_named_once_labelled_and_of_a_known_kind(stated: dict[str, str]) -> None:
    found = made(**stated)
    assert found[0]["kind"] == "Namespace"
    names = [
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
        for each in found
    ]
    assert len(names) == len(set(names))
    for each in found:
        assert each["apiVersion"] == KINDS[each["kind"]].group
        assert ("namespace" in each["metadata"]) == KINDS[each["kind"]].namespaced
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "backendctl"
        assert labels["backendctl.dev/environment"] == "prod"


def test_the_same_promises_make_the_same_objects() -> None:
    assert made(**OWN) == made(**OWN)


def test_nothing_of_a_release_is_among_them() -> None:
    for each in made(**OWN, driver_image="ghcr.io/acme/b:1"):
        assert each["kind"] not in ("HTTPRoute", "Service", "PodDisruptionBudget", "ConfigMap")


def test_a_shared_gateway_is_left_to_whoever_runs_it_and_pods_are_restricted() -> None:
    found = made(**SHARED)
    assert of(found, "Gateway") == []
    labels = found[0]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    outside = {each["metadata"].get("namespace", "") for each in found}
    assert outside == {"", "edge", "shop-prod"}


def test_a_gateway_of_its_own_takes_routes_of_its_namespace_only() -> None:
    (gateway,) = of(made(**OWN, host="shop.example.com"), "Gateway")
    (listener,) = gateway["spec"]["listeners"]
    assert gateway["spec"]["gatewayClassName"] == "contour"
    assert listener["hostname"] == "shop.example.com"
    assert listener["allowedRoutes"] == {"namespaces": {"from": "Same"}}


def test_without_an_image_there_is_no_watchdog() -> None:
    assert of(made(**OWN), "Deployment") == []


def test_the_watchdog_has_its_own_account_and_may_do_as_little_as_restricted_says() -> None:
    (watchdog,) = of(made(**OWN, driver_image="ghcr.io/acme/b:1"), "Deployment")
    pod = watchdog["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "backendctl-watchdog"
    assert pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    selector = watchdog["spec"]["selector"]["matchLabels"]
    assert selector.items() <= watchdog["spec"]["template"]["metadata"]["labels"].items()


def test_no_rule_allows_everything_or_a_change_of_who_may_do_what() -> None:
    roles = of(made(**OWN), "Role") + of(made(**OWN), "ClusterRole")
    assert len(roles) == len(access.ROLES) + 2
    for role in roles:
        for rule in role["rules"]:
            assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]
            changes = {"create", "update", "patch", "delete"} & set(rule["verbs"])
            if changes:
                assert not {"rbac.authorization.k8s.io", "networking.k8s.io"} & {*rule["apiGroups"]}
                assert not {"serviceaccounts", "namespaces", "resourcequotas"} & {
                    *rule["resources"]
                }
    for role in of(made(**OWN), "ClusterRole"):
        assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get"}


def test_only_the_pipeline_writes_secrets_and_who_looks_does_not_read_them() -> None:
    verbs = {
        role["metadata"]["name"]: {
            verb
            for rule in role["rules"]
            if "secrets" in rule["resources"]
            for verb in rule["verbs"]
        }
        for role in of(made(**OWN), "Role")
    }
    assert verbs["backendctl-viewer"] == set()
    assert verbs["backendctl-driver"] == verbs["backendctl-watchdog"] == {"get"}
    assert "create" in verbs["backendctl-ci"]


def test_nobody_but_the_gateway_reaches_a_release() -> None:
    policies = {
        each["metadata"]["name"]: each["spec"] for each in of(made(**SHARED), "NetworkPolicy")
    }
    assert "ingress" not in policies["shop-deny-ingress"]
    (rule,) = policies["shop-from-gateway"]["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 8000}]
    spaces = [each["namespaceSelector"].get("matchLabels") for each in rule["from"]]
    assert {"kubernetes.io/metadata.name": "edge"} in spaces
    (own,) = (
        each["spec"]
        for each in of(made(**OWN), "NetworkPolicy")
        if each["metadata"]["name"] == "shop-from-gateway"
    )
    assert "podSelector" in own["ingress"][0]["from"][0]


@pytest.mark.parametrize("gateway", [SHARED, OWN])
def test_proxies_that_run_with_their_controller_reach_a_release_too(
    gateway: Mapping[str, Any],
) -> None:
    """Envoy Gateway runs them in its own namespace, wherever the Gateway stands."""
    (spec,) = (
        each["spec"]
        for each in of(made(**gateway), "NetworkPolicy")
        if each["metadata"]["name"] == "shop-from-gateway"
    )
    (named,) = (
        expression
        for peer in spec["ingress"][0]["from"]
        for expression in peer.get("namespaceSelector", {}).get("matchExpressions", ())
    )
    assert (named["key"], named["operator"]) == ("kubernetes.io/metadata.name", "In")
    assert {"envoy-gateway-system", "projectcontour"} <= {*named["values"]}


def test_the_machines_credentials_are_out_of_reach() -> None:
    (egress,) = (
        each["spec"]["egress"]
        for each in of(made(**SHARED), "NetworkPolicy")
        if each["metadata"]["name"] == "shop-egress"
    )
    blocked = [block["ipBlock"]["except"] for rule in egress for block in rule["to"]]
    assert ["169.254.169.254/32"] in blocked


def test_the_quota_has_room_for_two_releases_and_more_for_more() -> None:
    def hard(replicas: int) -> Mapping[str, str]:
        (quota,) = of(made(**SHARED, replicas=replicas), "ResourceQuota")
        found: Mapping[str, str] = quota["spec"]["hard"]
        return found

    assert int(hard(10)["pods"]) >= 20
    assert int(hard(20)["pods"]) - int(hard(10)["pods"]) >= 20
    assert int(hard(20)["requests.memory"][:-2]) > int(hard(10)["requests.memory"][:-2])


def test_what_a_service_is_given_has_a_usual_name_unless_one_is_stated() -> None:
    plain = environment(**OWN)
    assert bound_secrets(spec_of(plain), plain) == {}
    with_data = spec_of(plain, data=Data(engine="postgresql"))
    assert bound_secrets(with_data, plain) == {"database": "shop-database"}
    stated = environment(**OWN, database_secret="mine")
    assert bound_secrets(with_data, stated) == {"database": "mine"}


@pytest.mark.parametrize("number", [1, 12, 4711])
def test_a_releases_number_is_found_again_in_its_name(number: int) -> None:
    naming = Naming("shop-r2", "prod", "x")
    assert naming.number(naming.release(number)) == number
    assert naming.number("shop-r2") is None
    assert naming.number(f"{naming.release(number)}-record-abc") is None


def test_on_aws_every_role_may_ask_the_proxies_where_the_stacks_run_them() -> None:
    wanted = Environment(name="prod", platform=PlatformName.AWS)
    found = manifests(spec_of(wanted), wanted)
    there = [e for e in found if e["metadata"].get("namespace") == "projectcontour"]
    assert [each["kind"] for each in there] == ["Role", "RoleBinding"]
    rules = there[0]["rules"]
    assert {"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get"]} in rules
    assert len(there[1]["subjects"]) == len(access.ROLES)


@pytest.mark.parametrize(
    "stated", [{"gateway_class": "eg"}, {"gateway": "edge/shared", "cluster": "platform"}]
)
def test_on_aws_a_gateway_of_somebody_elses_is_theirs_to_open(stated: dict[str, str]) -> None:
    wanted = Environment(name="prod", platform=PlatformName.AWS, **stated)
    found = manifests(spec_of(wanted), wanted)
    assert "projectcontour" not in {each["metadata"].get("namespace") for each in found}


@pytest.mark.parametrize(
    ("stated", "url"),
    [
        ({}, "https://shop.example.com"),
        ({"url": "https://edge.example.com"}, "https://edge.example.com"),
        ({"cluster": "platform", "gateway_class": "eg"}, ""),
    ],
)
def test_on_aws_users_reach_the_service_by_https(stated: dict[str, str], url: str) -> None:
    """The Gateway itself has a listener for HTTP only: TLS ends at the load balancer."""
    wanted = Environment(name="prod", platform=PlatformName.AWS, host="shop.example.com", **stated)
    assert assemble._url(wanted) == url
