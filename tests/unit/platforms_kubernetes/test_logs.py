"""Logs that are gone are said to be gone, with where else to look."""

import pytest

from backendctl.clock import SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import WATCHDOG
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.foundation import KubernetesFoundation
from backendctl.platforms.kubernetes.gateway import Gateway
from backendctl.platforms.kubernetes.logs import Following, PodLogs, split
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


AT = "2026-01-01T00:00:01.{:09d}Z"


def test_a_reading_that_begins_anew_repeats_nothing_and_loses_nothing() -> None:
    following = Following()
    assert following.begin() == ""
    written = [AT.format(1), AT.format(5), AT.format(5), AT.format(4)]
    assert [following.new(at) for at in written] == [True] * 4
    assert following.begin() == "2026-01-01T00:00:01Z"
    written += [AT.format(5), "2026-01-01T00:00:02.000000000Z"]
    assert [following.new(at) for at in written] == [False] * 4 + [True] * 2
    assert following.begin() == "2026-01-01T00:00:02Z"
    assert following.new(written[-1]) is False


def test_what_is_known_already_is_not_new() -> None:
    following = Following(known=AT.format(5))
    assert following.begin() == "2026-01-01T00:00:01Z"
    assert [following.new(AT.format(n)) for n in (4, 5, 6)] == [False, False, True]
    following.begin()
    assert [following.new(AT.format(n)) for n in (4, 5, 6, 7)] == [False] * 3 + [True]


@pytest.mark.parametrize(("count", "shown"), [(2, ["[busy2] 1", "[busy2] 2"]), (0, [])])
def test_following_does_not_begin_with_what_the_number_of_lines_left_out(
    cluster: Cluster, logs: PodLogs, monkeypatch: pytest.MonkeyPatch, count: int, shown: list[str]
) -> None:
    written = {
        "shop-r3-quiet1": ["2026-01-01T00:00:00.1Z long ago"],
        "shop-r3-busy2": [f"2026-01-01T00:00:0{n}.5Z {n}" for n in (1, 2)],
    }
    status = {"containerStatuses": [{"state": {"running": {}}}]}
    for name in written:
        metadata = {"name": name, "labels": dict(NAMING.pods(3))}
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status})

    def read(pod: str, lines: int | None = None, since: str = "", **_: object) -> list[str]:
        if lines is not None:
            return written[pod][-lines:] if lines else []
        found = [line for line in written[pod] if line[:19] >= since[:19]]
        cluster.delete("Pod", pod)
        return [*found, "2026-01-01T00:00:09.5Z new"]

    monkeypatch.setattr(cluster, "pod_logs", read)
    told = list(logs.lines(3, count, follow=True))
    assert told[: len(shown)] == shown
    assert sorted(told[len(shown) :]) == ["[busy2] new", "[uiet1] new"]
