"""What the runtime makes, leaves alone and takes away."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Condition, Configuration, Package
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.connection import NoAnswerError
from backendctl.platforms.kubernetes.runtime import KubernetesRuntime
from tests.fakes.kubernetes_api import FakeApi

from .releases import NAMING, SURROUNDINGS, release

KINDS = {
    "ConfigMap",
    "Service",
    "PodDisruptionBudget",
    "Deployment",
    "HorizontalPodAutoscaler",
}


class HandClock:
    """Moves when it is waited for, and lets `then` happen meanwhile."""

    def __init__(self) -> None:
        self.at = 0.0
        self.then: Iterator[Any] = iter(())

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def wait(self, seconds: float) -> None:
        self.at += seconds
        next(self.then, None)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def runtime(api: FakeApi, clock: HandClock) -> KubernetesRuntime:
    cluster = Cluster(NAMING.namespace, connection=api, clock=clock)
    return KubernetesRuntime(
        cluster, SURROUNDINGS, lambda _tree, _on_line: Package("", ""), clock=clock
    )


def there(api: FakeApi, number: int) -> set[str]:
    return {kind for kind, _, name in api.objects if name == f"shop-r{number}"}


def changes(api: FakeApi) -> list[tuple[str, str]]:
    return [each for each in api.requests if each[0] != "GET"]


def least(api: FakeApi, number: int) -> int:
    key = ("HorizontalPodAutoscaler", NAMING.namespace, f"shop-r{number}")
    return int(api.objects[key]["spec"]["minReplicas"])


def put_pod(api: FakeApi, number: int, state: dict[str, Any], ready: bool = False) -> None:
    name = f"shop-r{number}-x"
    api.objects["Pod", NAMING.namespace, name] = {
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(NAMING.pods(number)), "resourceVersion": "1"},
        "spec": {"containers": [{"name": "service"}]},
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [
                {"name": "service", "image": "x", "ready": ready, "restartCount": 0, "state": state}
            ],
        },
    }


def test_starting_makes_everything_once(runtime: KubernetesRuntime, api: FakeApi) -> None:
    runtime.start(release())
    assert there(api, 1) == KINDS
    before = changes(api)
    runtime.start(release())
    assert changes(api) == before
    assert list(runtime.running()) == [1]


def test_a_start_that_was_cut_short_is_finished_by_the_next(
    runtime: KubernetesRuntime, api: FakeApi
) -> None:
    def cut(method: str, path: str) -> None:
        if method == "POST" and path.endswith("/deployments"):
            raise NoAnswerError("cut", sent=True)

    api.before = cut
    with pytest.raises(BackendctlError):
        runtime.start(release())
    assert there(api, 1) == KINDS - {"Deployment", "HorizontalPodAutoscaler"}
    api.before = lambda _method, _path: None
    runtime.start(release())
    assert there(api, 1) == KINDS


def test_a_command_that_cannot_be_run_makes_nothing(
    runtime: KubernetesRuntime, api: FakeApi
) -> None:
    with pytest.raises(BackendctlError, match=r"\$NOWHERE"):
        runtime.start(release(start=("x", "$NOWHERE")))
    assert not api.objects


def test_what_runs_under_a_number_is_never_taken_for_another_release(
    runtime: KubernetesRuntime,
) -> None:
    runtime.start(release())
    other = replace(release(), configuration=Configuration({"LOG_LEVEL": "debug"}))
    with pytest.raises(BackendctlError, match="something else") as caught:
        runtime.start(other)
    assert caught.value.code == "release.start"


def test_stopping_takes_everything_of_that_release_and_nothing_else(
    runtime: KubernetesRuntime, api: FakeApi
) -> None:
    runtime.start(release(1))
    runtime.start(release(2))
    for _ in range(2):
        runtime.stop(1)
        assert there(api, 1) == set()
        assert there(api, 2) == KINDS
    assert runtime.status(1).condition is Condition.STOPPED


def test_stopping_waits_for_the_pods_and_strikes_off_those_of_a_dead_node(
    runtime: KubernetesRuntime, api: FakeApi, clock: HandClock
) -> None:
    runtime.start(release())
    put_pod(api, 1, {"running": {}}, ready=True)
    runtime.stop(1)
    assert clock.at >= release().processes.stop_grace
    assert not any(kind == "Pod" for kind, _, _ in api.objects)


@pytest.mark.parametrize("phase", ["Running", "Failed"])
def test_a_pod_that_a_finalizer_keeps_does_not_keep_the_release_from_being_stopped(
    runtime: KubernetesRuntime, api: FakeApi, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    runtime.start(release())
    put_pod(api, 1, {"running": {}}, ready=True)
    (kept,) = (each for (kind, _, _), each in api.objects.items() if kind == "Pod")
    kept["status"]["phase"] = phase
    monkeypatch.setattr(runtime, "_pods", lambda _: [kept])
    if phase == "Failed":
        runtime.stop(1)
    else:
        with pytest.raises(BackendctlError, match="are still there") as caught:
            runtime.stop(1)
        assert caught.value.code == "platform.leftover"
    assert there(api, 1) == set()


def test_releases_keep_their_full_size_while_there_are_two(
    runtime: KubernetesRuntime, api: FakeApi
) -> None:
    runtime.start(release(1, replicas=5))
    assert least(api, 1) == SURROUNDINGS.size.least
    runtime.start(release(2, replicas=4))
    assert (least(api, 1), least(api, 2)) == (5, 4)
    runtime.stop(1)
    assert least(api, 2) == SURROUNDINGS.size.least


def test_a_release_that_was_scaled_to_nothing_is_started_again(
    runtime: KubernetesRuntime, api: FakeApi
) -> None:
    runtime.start(release())
    deployment = api.objects["Deployment", NAMING.namespace, "shop-r1"]
    deployment["spec"]["replicas"] = 0
    assert (list(runtime.running()), runtime.status(1).condition) == ([], Condition.STOPPED)
    runtime.start(release())
    assert list(runtime.running()) == [1]


# --- waiting ------------------------------------------------------------------------------------


def test_a_crash_ends_the_waiting(
    runtime: KubernetesRuntime, api: FakeApi, clock: HandClock
) -> None:
    runtime.start(release(replicas=1))
    clock.then = iter([put_pod(api, 1, {"terminated": {"exitCode": 3, "reason": "Error"}})])
    found = runtime.await_ready(release(replicas=1), 60)
    assert found.condition is Condition.CRASHING
    assert found.detail.splitlines()[0] == "a process died before it was ready: exit status 3"
    assert clock.at < 2


def test_a_registry_that_does_not_answer_is_given_its_time_over_several_calls(
    runtime: KubernetesRuntime, api: FakeApi, clock: HandClock
) -> None:
    runtime.start(release(replicas=1))
    message = "dial tcp: connect: connection refused"
    put_pod(api, 1, {"waiting": {"reason": "ErrImagePull", "message": message}})
    while runtime.await_ready(release(replicas=1), 1).condition is Condition.UNREADY:
        assert clock.at < 30
    found = runtime.await_ready(release(replicas=1), 1)
    assert found.condition is Condition.FAILED
    assert 15 < clock.at < 30
    assert message in found.detail


def test_a_release_that_comes_up_is_waited_for(
    runtime: KubernetesRuntime, api: FakeApi, clock: HandClock
) -> None:
    def story() -> Iterator[None]:
        put_pod(api, 1, {"waiting": {"reason": "ContainerCreating"}})
        yield
        put_pod(api, 1, {"running": {}})
        yield
        put_pod(api, 1, {"running": {}}, ready=True)
        yield

    runtime.start(release(replicas=1))
    clock.then = story()
    assert runtime.await_ready(release(replicas=1), 60).condition is Condition.READY


def test_at_the_deadline_a_release_is_not_ready_with_the_reason(
    runtime: KubernetesRuntime, api: FakeApi, clock: HandClock
) -> None:
    runtime.start(release(replicas=1))
    put_pod(api, 1, {"waiting": {"reason": "ContainerCreating"}})
    found = runtime.await_ready(release(replicas=1), 5)
    assert (found.condition, clock.at) == (Condition.UNREADY, 5)
    assert found.detail.startswith("not ready after 5 s: its image is being pulled")


# --- commands -----------------------------------------------------------------------------------


def test_a_persons_command_runs_in_a_ready_pod_and_no_secret_passes_through_here(
    runtime: KubernetesRuntime, api: FakeApi
) -> None:
    with pytest.raises(BackendctlError) as caught:
        runtime.in_release(release(), ("env",))
    assert caught.value.code == "missing.environment"
    put_pod(api, 1, {"running": {}}, ready=True)
    call = runtime.in_release(release(), ("echo", "$HOME", "--pod=other"))
    assert call.argv[0] == sys.executable
    assert call.argv[call.argv.index("--") + 1 :] == ("echo", "$HOME", "--pod=other")
    assert "API_KEY" not in call.environment


def test_the_working_tree_is_not_run_in_a_cluster(runtime: KubernetesRuntime) -> None:
    with pytest.raises(BackendctlError) as caught:
        runtime.development_port()
    assert caught.value.code == "platform.unsupported"
    assert "backendctl dev --env local" in caught.value.next
