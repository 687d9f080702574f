"""Logs that are gone are said to be gone, with where else to look."""

import pytest

from backendctl.clock import SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import WATCHDOG
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.foundation import KubernetesFoundation
from backendctl.platforms.kubernetes.gateway import Gateway
from backendctl.platforms.kubernetes.logs import PodLogs, split
from tests.fakes.kubernetes_api import FakeApi

from .test_foundation import ENVIRONMENT, NAMING, SPEC


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def cluster(api: FakeApi) -> Cluster:
    return Cluster(NAMING.namespace, connection=api)


@pytest.fixture
def logs(cluster: Cluster) -> PodLogs:
    return PodLogs(cluster, NAMING, SystemClock())


def asked(logs: PodLogs) -> BackendctlError:
    with pytest.raises(BackendctlError) as caught:
        list(logs.lines(3, 10, follow=False))
    assert caught.value.code == "missing.data"
    return caught.value


def test_the_logs_of_a_stopped_release_went_with_its_pods(logs: PodLogs) -> None:
    error = asked(logs)
    assert error.message == "the pods of release 3 are gone, and their logs went with them"
    assert "log store" in error.cause
    assert "backendctl rollout history" in error.next


def test_a_release_that_never_got_a_pod_has_none_to_lose(cluster: Cluster, logs: PodLogs) -> None:
    name = NAMING.release(3)
    cluster.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}})
    error = asked(logs)
    assert error.message == "release 3 has no pods, and so no logs"
    assert any("get events" in each for each in error.next)


def test_pods_that_go_while_they_are_asked_are_gone_too(
    cluster: Cluster, api: FakeApi, logs: PodLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = {"name": "shop-r3-a", "labels": dict(NAMING.pods(3))}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})

    def nothing(pod: str, **_: object) -> list[str]:
        cluster.delete("Pod", pod)
        return []  # what the API has of a pod that is not there

    monkeypatch.setattr(cluster, "pod_logs", nothing)
    assert "are gone" in asked(logs).message


@pytest.mark.parametrize(
    ("server", "said"),
    [(WATCHDOG, "the watchdog has no pod"), ("database", "the logs of the database are not read")],
)
def test_logs_of_a_server_that_are_not_to_be_had_are_not_empty(
    cluster: Cluster, server: str, said: str
) -> None:
    gateway = Gateway(cluster, NAMING.gateway_of(ENVIRONMENT))
    foundation = KubernetesFoundation(cluster, NAMING, gateway, SPEC, ENVIRONMENT)
    with pytest.raises(BackendctlError, match=said) as caught:
        foundation.logs(server, 10)
    assert caught.value.next


def test_what_the_kubelet_says_among_the_lines_is_no_line_of_the_release() -> None:
    gone = 'failed to try resolving symlinks in path "/var/log/pods/x": no such file or directory'
    assert split("shop-r3-a", gone) is None
    written = split("shop-r3-a", "2026-01-01T00:00:00.123456789Z bye")
    assert written is not None
    assert written.text == "bye"
