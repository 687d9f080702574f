"""The demo in a cluster takes away what it made, and says what it could not."""

import pytest

from backendctl.clock import SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes import removal
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.connection import NoAnswerError
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.standing import manifests
from backendctl.spec.model import Environment, Load, PlatformName, Service, Spec
from backendctl.workflows.demo.in_cluster import _take_away
from backendctl.workflows.demo.story import Story
from tests.fakes.kubernetes_api import FakeApi

ENVIRONMENT = Environment(
    name="kubernetes",
    platform=PlatformName.KUBERNETES,
    namespace="demo-1",
    gateway="gateways/shared",
)
SPEC = Spec(
    service=Service(name="shop", start=("serve",)),
    load=Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1),
    environments={"kubernetes": ENVIRONMENT},
)
WANTED = manifests(SPEC, ENVIRONMENT)
NAMESPACE = Naming.of(SPEC, ENVIRONMENT).namespace


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def cluster(api: FakeApi) -> Cluster:
    found = Cluster(NAMESPACE, connection=api)
    for manifest in WANTED:
        found.apply(manifest)
    return found


def outside(api: FakeApi) -> set[str]:
    """Names of what is left outside of the namespace."""
    return {name for (_kind, inside, name) in api.objects if inside != NAMESPACE}


def test_the_namespace_and_what_was_made_outside_of_it_go(cluster: Cluster, api: FakeApi) -> None:
    assert outside(api)
    assert list(_take_away(cluster, NAMESPACE, WANTED)) == []
    assert outside(api) == set()


def test_what_cannot_be_deleted_is_named_and_keeps_nothing_else(
    cluster: Cluster, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hurried(SystemClock):
        def wait(self, seconds: float) -> None:
            return

    monkeypatch.setattr(cluster, "_clock", Hurried())

    def refuse(method: str, path: str) -> None:
        if method == "DELETE" and "/clusterroles/" in path:
            raise NoAnswerError("the line is cut", sent=False)

    api.before = refuse
    (said,) = _take_away(cluster, NAMESPACE, WANTED)
    assert outside(api) == {"demo-1-gateway-class"}
    assert "kubectl delete clusterrole demo-1-gateway-class" in said
    assert "ClusterRole demo-1-gateway-class is still there" in said


def test_a_namespace_that_stays_is_a_problem_of_the_story(
    cluster: Cluster, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "GONE_DEADLINE", 0.0)
    monkeypatch.setattr(api, "_delete", lambda *_: (200, {"kind": "Status"}))
    said = list(_take_away(cluster, NAMESPACE, WANTED))
    assert said[0].startswith(f"namespace {NAMESPACE} is still being deleted")
    assert f"kubectl get namespace {NAMESPACE} -o yaml" in said[0]
    story = Story(left=said)
    assert story.problems[-len(said) :] == said


def test_a_namespace_that_may_not_be_deleted_is_named_too(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> str:
        raise BackendctlError("platform.forbidden", "the account in use may not delete it")

    monkeypatch.setattr(removal, "remove_namespace", refuse)
    (said,) = _take_away(cluster, NAMESPACE, WANTED)
    assert f"kubectl delete namespace {NAMESPACE}" in said
