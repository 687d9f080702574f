"""What an environment in a cluster stands on: what is missing is said, with what to type."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import ServiceStatus
from backendctl.platforms.kubernetes import foundation as module
from backendctl.platforms.kubernetes import recorded
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.foundation import KubernetesFoundation
from backendctl.platforms.kubernetes.gateway import Gateway
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.standing import manifests
from backendctl.platforms.open import open_platform
from backendctl.spec.model import (
    Auth,
    Data,
    Environment,
    Load,
    PlatformName,
    Service,
    Spec,
)
from tests.fakes.kubernetes_api import FakeApi

ENVIRONMENT = Environment(
    name="prod",
    platform=PlatformName.KUBERNETES,
    gateway_class="contour",
    driver_image="ghcr.io/acme/backendctl:1",
    context="ana's",
)
SPEC = Spec(
    service=Service(name="shop", start=("serve",)),
    load=Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1),
    data=Data(engine="postgresql"),
    auth=Auth(issuer="https://login.example.com/", audience="shop"),
    environments={"prod": ENVIRONMENT},
)
NAMING = Naming.of(SPEC, ENVIRONMENT)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def cluster(api: FakeApi) -> Cluster:
    return Cluster(NAMING.namespace, connection=api)


@pytest.fixture
def foundation(cluster: Cluster) -> KubernetesFoundation:
    gateway = Gateway(cluster, NAMING.gateway_of(ENVIRONMENT))
    return KubernetesFoundation(cluster, NAMING, gateway, SPEC, ENVIRONMENT)


def set_up(cluster: Cluster) -> None:
    for manifest in manifests(SPEC, ENVIRONMENT):
        cluster.apply(manifest)
    cluster.apply(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "metadata": {"name": "contour"},
            "spec": {"controllerName": "projectcontour.io/gateway-controller"},
        }
    )
    good = [{"type": name, "status": "True"} for name in ("Accepted", "Programmed")]
    status = {"conditions": good, "addresses": [{"value": "192.0.2.1"}]}
    cluster.patch("Gateway", NAMING.gateway, {"status": status}, subresource="status")
    secret("shop-database", cluster, DATABASE_URL="cG9zdGdyZXNxbDovL3g6aHVudGVyMkB5L3o=")


def secret(name: str, cluster: Cluster, **data: str) -> None:
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data})


def by_name(foundation: KubernetesFoundation) -> Mapping[str, ServiceStatus]:
    return {each.name: each for each in foundation.status()}


def silent(_line: str) -> None:
    return


@pytest.fixture(autouse=True)
def _nobody_waits_for_a_watchdog_that_no_controller_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WATCHDOG_WAIT", 0.0)


def test_a_watchdog_that_begins_late_is_waited_for(
    foundation: KubernetesFoundation, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WATCHDOG_WAIT", 60.0)
    monkeypatch.setattr(module, "_POLL", 0.01)
    set_up(cluster)
    said: list[str] = []

    def begin(line: str) -> None:
        said.append(line)
        if line == "waiting for the watchdog":
            status = {"readyReplicas": 1}
            cluster.patch("Deployment", NAMING.watchdog, {"status": status}, subresource="status")

    foundation.ensure(begin)
    assert said == ["waiting for the watchdog"]
    assert by_name(foundation)["watchdog"].running


def test_an_environment_that_was_never_set_up_is_told_how(
    foundation: KubernetesFoundation, api: FakeApi
) -> None:
    with pytest.raises(BackendctlError) as caught:
        foundation.ensure(silent)
    assert caught.value.code == "missing.environment"
    assert caught.value.next[0] == "backendctl infra up --env prod"
    assert api.objects == {}


def test_all_that_is_missing_is_said_at_once(
    foundation: KubernetesFoundation, cluster: Cluster
) -> None:
    set_up(cluster)
    cluster.delete("Secret", "shop-database")
    cluster.delete("ServiceAccount", "shop-service")
    with pytest.raises(BackendctlError) as caught:
        foundation.ensure(silent)
    assert caught.value.message.endswith("accounts, database")
    assert any("--from-env-file" in line for line in caught.value.next)
    assert cluster.get("ConfigMap", NAMING.recorded) is None


def test_a_secret_that_the_stacks_make_is_looked_into_not_made_by_hand(cluster: Cluster) -> None:
    on_aws = ENVIRONMENT.model_copy(update={"platform": PlatformName.AWS})
    gateway = Gateway(cluster, NAMING.gateway_of(on_aws))
    found = by_name(KubernetesFoundation(cluster, NAMING, gateway, SPEC, on_aws))
    assert found["database"].next == (
        "kubectl -n shop-prod describe externalsecret shop-database",
        "backendctl infra up --env prod",
    )


def test_one_that_is_there_is_written_down_for_the_watchdog(
    foundation: KubernetesFoundation, cluster: Cluster
) -> None:
    set_up(cluster)
    foundation.ensure(silent)
    found = cluster.get("ConfigMap", NAMING.recorded)
    assert found is not None
    assert recorded.parse(found["data"][recorded.KEY]) == (SPEC, "prod")
    status = by_name(foundation)
    assert status["cluster"].running
    assert status["database"].running
    assert status["gateway"].address == "http://192.0.2.1"
    assert not status["watchdog"].running  # no controller runs here


def test_a_secret_without_its_key_is_no_database(
    foundation: KubernetesFoundation, cluster: Cluster
) -> None:
    set_up(cluster)
    cluster.delete("Secret", "shop-database")
    lacking = by_name(foundation)["database"].next
    secret("shop-database", cluster, URL="eA==")
    found = by_name(foundation)["database"]
    assert "no key DATABASE_URL" in found.detail
    # `kubectl create` refuses what is there.
    assert "kubectl apply" not in lacking[0]
    assert found.next[0].endswith("| kubectl apply -f -  # with DATABASE_URL=...")


def test_a_secret_that_whoever_looks_may_not_read_is_not_said_to_be_gone(
    foundation: KubernetesFoundation, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(cluster)
    get = cluster.get

    def as_viewer(kind: str, name: str, namespace: str | None = None) -> object:
        if kind == "Secret":
            raise BackendctlError("platform.forbidden", f"may not get Secret {name}")
        return get(kind, name, namespace)

    monkeypatch.setattr(cluster, "get", as_viewer)
    status = by_name(foundation)["database"]
    assert (status.running, status.alive, status.needed) == (False, True, False)
    assert "may not look" in status.detail


def test_a_namespace_on_its_way_out_is_said_before_all_else(
    foundation: KubernetesFoundation, cluster: Cluster
) -> None:
    set_up(cluster)
    said = {"type": "NamespaceContentRemaining", "status": "True", "message": "1 finalizer"}
    change = {
        "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"conditions": [said]},
    }
    cluster.patch("Namespace", NAMING.namespace, change)
    status = by_name(foundation)["cluster"]
    assert not status.running
    assert "is being deleted: since 2026-01-01T00:00:00Z; 1 finalizer" in status.detail
    with pytest.raises(BackendctlError, match="is being deleted") as caught:
        foundation.ensure(lambda _: None)
    assert "backendctl infra up --env prod" in caught.value.next


def test_status_says_of_each_part_why_it_does_not_work(foundation: KubernetesFoundation) -> None:
    for name, status in by_name(foundation).items():
        assert not status.running, name
        assert status.detail, name
        assert status.next, name
        assert "hunter2" not in str(status)


def test_without_an_image_status_says_that_there_is_no_watchdog(cluster: Cluster) -> None:
    environment = ENVIRONMENT.model_copy(update={"driver_image": ""})
    gateway = Gateway(cluster, NAMING.gateway_of(environment))
    found = KubernetesFoundation(cluster, NAMING, gateway, SPEC, environment)
    set_up(cluster)
    said: list[str] = []
    found.ensure(said.append)
    assert any("no watchdog" in line for line in said)
    status = by_name(found)["watchdog"]
    assert "driver_image" in status.detail
    assert not status.needed


def test_bindings_are_what_pods_are_given(
    foundation: KubernetesFoundation, cluster: Cluster
) -> None:
    assert set(foundation.variables()) == {"DATABASE_URL", "AUTH_ISSUER", "AUTH_AUDIENCE"}
    set_up(cluster)
    found = foundation.bindings()
    assert found["DATABASE_URL"] == "postgresql://x:hunter2@y/z"
    assert set(found) >= set(foundation.variables())


def test_stopping_takes_what_releases_made_and_leaves_what_the_stacks_own(
    foundation: KubernetesFoundation, cluster: Cluster, api: FakeApi
) -> None:
    set_up(cluster)
    foundation.ensure(silent)
    before = set(api.objects)
    for kind, version in (("Deployment", "apps/v1"), ("Service", "v1"), ("ConfigMap", "v1")):
        metadata = {"name": NAMING.release(1), "labels": dict(NAMING.release_labels(1))}
        cluster.apply({"apiVersion": version, "kind": kind, "metadata": metadata})
    foundation.stop()
    assert set(api.objects) == before
    secret_of_ours = {"name": NAMING.secret("A", "v1"), "labels": dict(NAMING.labels("secret"))}
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": secret_of_ours})
    foundation.stop(purge=True)
    assert set(api.objects) == before - {("ConfigMap", NAMING.namespace, NAMING.recorded)}


# --- on call, with only the kubeconfig ----------------------------------------------------------


def test_what_up_wrote_down_is_found_again_by_whoever_has_another_kubeconfig(
    cluster: Cluster,
) -> None:
    recorded.record(cluster, SPEC, NAMING)
    for named in ("prod", None):
        spec, environment = recorded.find(cluster, named)
        assert environment == ENVIRONMENT.model_copy(
            update={"context": "", "namespace": NAMING.namespace}
        )
        assert spec.environments["prod"] == environment
        assert spec.slo == SPEC.slo
        assert Naming.of(spec, environment) == NAMING


def test_nothing_or_something_unreadable_written_down_is_said(cluster: Cluster) -> None:
    with pytest.raises(BackendctlError) as caught:
        recorded.find(cluster)
    assert caught.value.code == "missing.environment"
    recorded.record(cluster, SPEC, NAMING)
    cluster.patch("ConfigMap", NAMING.recorded, {"data": {recorded.KEY: "{}"}})
    with pytest.raises(BackendctlError) as caught:
        recorded.find(cluster)
    assert "cannot be read" in caught.value.message


def test_of_two_environments_in_one_namespace_one_must_be_named(cluster: Cluster) -> None:
    recorded.record(cluster, SPEC, NAMING)
    other = Naming("shop", "canary", NAMING.namespace)
    body: Any = recorded.manifest(SPEC, other)
    body["metadata"]["name"] = "other"
    cluster.apply(body)
    with pytest.raises(BackendctlError) as caught:
        recorded.find(cluster)
    assert caught.value.next == ("--env canary", "--env prod")


def test_opening_an_environment_in_a_cluster_looks_for_no_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert open_platform(tmp_path, SPEC, "prod").name == "prod"
    assert list(tmp_path.iterdir()) == []


def test_promises_written_down_hold_no_secret_and_are_json(cluster: Cluster) -> None:
    text = recorded.manifest(SPEC, NAMING)["data"][recorded.KEY]
    assert json.loads(text)["environment"] == "prod"
