"""One-off commands as Jobs, against a cluster whose controller is played by the test."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.jobs import Jobs
from tests.fakes.kubernetes_api import FakeApi

from .releases import NAMING, SURROUNDINGS, release


class Clock:
    """Moves when it is waited for; the cluster acts meanwhile."""

    def __init__(self) -> None:
        self.at = 0.0
        self.act = lambda: None

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def wait(self, seconds: float) -> None:
        self.at += seconds
        self.act()


class Printed(FakeApi):
    """With a log of one pod, which is read from a whole second on."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []

    def stream(self, path: str, query: Mapping[str, str], timeout: float) -> Any:
        since = query.get("sinceTime", "")
        return _Lines([line.encode() for line in self.log if line[:19] >= since[:19]])


class _Lines:
    status = 200

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines

    def read(self) -> bytes:
        return b""

    def lines(self) -> Iterator[bytes]:
        return iter(self._lines)

    def close(self) -> None:
        return


@pytest.fixture
def api() -> Printed:
    return Printed()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(api: Printed, clock: Clock) -> Jobs:
    return Jobs(Cluster(NAMING.namespace, connection=api, clock=clock), SURROUNDINGS, clock)


def there(api: FakeApi, kind: str) -> list[str]:
    return [name for found, _, name in api.objects if found == kind]


def put_pod(api: FakeApi, state: Mapping[str, Any], phase: str = "Running") -> None:
    """A pod for each Job, as the controller would make it."""
    for name in there(api, "Job"):
        labels = {"batch.kubernetes.io/job-name": name}
        api.objects["Pod", NAMING.namespace, f"{name}-pod"] = {
            "kind": "Pod",
            "metadata": {"name": f"{name}-pod", "labels": labels, "resourceVersion": "1"},
            "spec": {"containers": [{"name": "job"}]},
            "status": {
                "phase": phase,
                "containerStatuses": [
                    {"name": "job", "image": "x", "restartCount": 0, "state": dict(state)}
                ],
            },
        }


def over(code: int, reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason}}


def test_a_command_ends_with_its_status_and_its_lines_each_once(
    jobs: Jobs, api: Printed, clock: Clock
) -> None:
    api.log = ["2026-11-21T10:00:00.1Z one", "2026-11-21T10:00:00.2Z two words"]
    clock.act = lambda: put_pod(api, over(4), "Failed")
    seen: list[str] = []
    done = jobs.run(release(), "greet", ("true",), 20, seen.append)
    assert (done.exit_status, seen, done.tail) == (4, ["one", "two words"], ("one", "two words"))
    assert there(api, "Job") == []


def test_lines_that_a_runtime_gives_one_time_are_all_passed_on(
    jobs: Jobs, api: Printed, clock: Clock
) -> None:
    at = "2026-11-21T10:00:00.123456789Z"
    api.log = [f"{at} one", f"{at} two", 'failed to try resolving symlinks in path "/x"']
    clock.act = lambda: put_pod(api, over(0), "Succeeded")
    seen: list[str] = []
    jobs.run(release(), "greet", ("true",), 20, seen.append)
    assert seen == ["one", "two"]


def test_a_pod_that_nothing_takes_away_does_not_hold_up_its_command_for_ever(
    jobs: Jobs, api: Printed, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs._cluster.create({"kind": "Job", "metadata": {"name": "left", "labels": {}}})
    put_pod(api, {"running": {}})
    monkeypatch.setattr(jobs, "_pod", lambda _: api.objects["Pod", NAMING.namespace, "left-pod"])
    monkeypatch.setattr(api, "_delete", lambda *_: (200, {}))
    with pytest.raises(BackendctlError, match="still there") as caught:
        jobs._remove([{"metadata": {"name": "left"}}])
    assert caught.value.code == "platform.leftover"


def test_memory_that_ran_out_is_the_last_word(jobs: Jobs, api: Printed, clock: Clock) -> None:
    clock.act = lambda: put_pod(api, over(137, "OOMKilled"), "Failed")
    done = jobs.run(release(), "greet", ("true",), 20, lambda _line: None)
    assert done.exit_status == 137
    assert "more memory" in done.tail[-1]


def test_a_job_whose_owner_died_is_gone_before_the_next_of_its_kind_begins(
    jobs: Jobs, api: Printed, clock: Clock
) -> None:
    put_pod(api, over(0), "Succeeded")
    clock.act = lambda: put_pod(api, {"running": {}})

    class DriverDied(BaseException):
        pass

    def die(_line: str) -> None:
        raise DriverDied

    def no_cleaning(method: str, path: str) -> None:
        if method == "DELETE":
            raise DriverDied

    api.log = ["2026-11-21T10:00:00.1Z begun"]
    api.before = no_cleaning
    with pytest.raises(DriverDied):
        jobs.run(release(), "migrate", ("true",), 20, die)
    (left,) = there(api, "Job")

    at_work: list[list[str]] = []

    def watch(method: str, path: str) -> None:
        if method == "POST" and path.endswith("/jobs"):
            at_work.append(there(api, "Job"))

    def gone() -> None:
        api.objects.pop(("Pod", NAMING.namespace, f"{left}-pod"), None)
        put_pod(api, over(0), "Succeeded")

    api.before = watch
    clock.act = gone
    jobs.run(release(), "migrate", ("true",), 20, lambda _line: None)
    assert at_work == [[]]
    assert there(api, "Job") == []


def test_a_pod_that_is_refused_is_a_job_that_did_not_start(
    jobs: Jobs, api: Printed, clock: Clock
) -> None:
    message = 'Error creating: pods "x" is forbidden: violates PodSecurity "restricted:latest": no'
    api.objects["Event", NAMING.namespace, "e"] = {
        "kind": "Event",
        "metadata": {"name": "e", "resourceVersion": "1"},
        "reason": "FailedCreate",
        "message": message,
    }
    with pytest.raises(BackendctlError, match="restricted:latest") as caught:
        jobs.run(release(), "greet", ("true",), 20, lambda _line: None)
    assert caught.value.code == "release.start"
    assert clock.at < 5
    assert there(api, "Job") == []


def test_a_program_that_is_not_there_is_no_result(jobs: Jobs, api: Printed, clock: Clock) -> None:
    clock.act = lambda: put_pod(api, over(128, "StartError"), "Failed")
    with pytest.raises(BackendctlError, match="cannot be started"):
        jobs.run(release(), "greet", ("nope",), 20, lambda _line: None)
    assert there(api, "Job") == []
