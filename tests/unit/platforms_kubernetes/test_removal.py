"""What does not go is named, and how to look at it; what may go goes all the same."""

from dataclasses import dataclass

import pytest

from backendctl.platforms.base import Errand
from backendctl.platforms.kubernetes import errands, removal
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.provision import database_role
from tests.fakes.kubernetes_api import FakeApi

NAMING = Naming("shop", "prod", "shop-prod")


@dataclass
class HandClock:
    at: float = 0.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def wait(self, seconds: float) -> None:
        self.at += seconds


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def cluster(api: FakeApi) -> Cluster:
    return Cluster(NAMING.namespace, connection=api)


def pod(cluster: Cluster, name: str) -> None:
    labels = dict(NAMING.release_labels(1))
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}})


def test_pods_that_stay_are_named_with_how_to_look_at_them(cluster: Cluster) -> None:
    clock = HandClock()
    pod(cluster, "shop-r1-dead")
    left = removal.stop(cluster, NAMING, lambda _: None, clock)
    assert (left, clock.at) == (["shop-r1-dead"], removal.GONE_DEADLINE)
    error = removal.still_there(NAMING, left, 7.0, "gone")
    assert "shop-r1-dead" in error.message
    assert error.next[-1] == "kubectl -n shop-prod describe pod shop-r1-dead"


def test_stopping_ends_when_the_last_pod_is_gone(cluster: Cluster, api: FakeApi) -> None:
    class Going(HandClock):
        def wait(self, seconds: float) -> None:
            super().wait(seconds)
            if self.at >= 3.0 and cluster.get("Pod", "shop-r1-a") is not None:
                cluster.delete("Pod", "shop-r1-a")

    clock = Going()
    pod(cluster, "shop-r1-a")
    assert removal.stop(cluster, NAMING, lambda _: None, clock) == []
    assert clock.at == 3.0


def test_a_namespace_that_something_keeps_is_said_in_the_clusters_words(
    cluster: Cluster, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"type": "NamespaceFinalizersRemaining", "status": "True", "message": "kept by a.b/c"}
    other = {"type": "NamespaceContentRemaining", "status": "False", "message": "nothing"}
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "shop-prod"},
            "status": {"conditions": [said, other]},
        }
    )
    assert removal.remove_namespace(cluster, "shop-prod", HandClock()) == ""
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "shop-prod"},
            "status": {"conditions": [said, other]},
        }
    )
    monkeypatch.setattr(cluster, "delete", lambda *_: True)
    clock = HandClock()
    assert removal.remove_namespace(cluster, "shop-prod", clock) == "kept by a.b/c"
    assert clock.at == removal.GONE_DEADLINE


def test_a_purge_deletes_errands_that_are_over_and_no_job_of_the_stacks(cluster: Cluster) -> None:
    errand = Errand("driver", ("backendctl", "deploy"), 60.0)
    cluster.apply(errands.job(errand, NAMING, "backendctl:1", "shop-driver-1"))
    cluster.apply(database_role.job(NAMING, "shop-database-role", "shop-database", "db"))
    removal.purge(cluster, NAMING, lambda _: None)
    left = [each["metadata"]["name"] for each in cluster.list("Job")]
    assert left == ["shop-database-role"]
