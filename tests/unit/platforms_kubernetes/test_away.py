"""What an errand says, heard from outside the cluster."""

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Errand
from backendctl.platforms.kubernetes.away import OUTAGE, ClusterAway, JobUnderway
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.connection import NoAnswerError

from .releases import NAMING
from .test_jobs import Clock, Printed

ENDED = {"terminated": {"exitCode": 0}}


@pytest.fixture
def api() -> Printed:
    return Printed()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def underway(api: Printed, clock: Clock) -> JobUnderway:
    cluster = Cluster(NAMING.namespace, connection=api, clock=clock)
    pod(api, {"running": {}})
    return JobUnderway(cluster, NAMING.namespace, "driver", clock)


def pod(api: Printed, state: object) -> None:
    labels = {"batch.kubernetes.io/job-name": "driver"}
    index = {"batch.kubernetes.io/job-completion-index": "0"}
    api.objects["Pod", NAMING.namespace, "driver-0"] = {
        "kind": "Pod",
        "metadata": {"name": "driver-0", "labels": labels, "annotations": index},
        "status": {"containerStatuses": [{"name": "backendctl", "state": state}]},
    }


def away_until(clock: Clock, end: float) -> object:
    def before(_method: str, _path: str) -> None:
        if clock.at < end:
            raise NoAnswerError("Connection refused", sent=False)

    return before


def test_an_api_server_that_is_away_for_a_while_is_waited_for(
    underway: JobUnderway, api: Printed, clock: Clock
) -> None:
    at = "2026-11-21T10:00:00.5Z"
    api.log = [f"{at} one", f"{at} two"]
    lines = underway.lines()
    assert [next(lines), next(lines)] == ["one", "two"]
    api.log.append(f"{at} three")
    pod(api, ENDED)
    api.before = away_until(clock, OUTAGE / 2)  # type: ignore[assignment]
    assert list(lines) == ["three"]


def test_an_api_server_that_stays_away_is_said(
    underway: JobUnderway, api: Printed, clock: Clock
) -> None:
    api.before = away_until(clock, 10 * OUTAGE)  # type: ignore[assignment]
    with pytest.raises(BackendctlError) as caught:
        next(underway.lines())
    assert caught.value.code == "missing.cluster"
    assert OUTAGE <= clock.at < OUTAGE + 10


def test_a_job_whose_making_was_not_answered_is_not_left_to_wait_for_ever(
    api: Printed, clock: Clock
) -> None:
    cluster = Cluster(NAMING.namespace, connection=api, clock=clock)
    away = ClusterAway(cluster, NAMING, "r/b@sha256:1", clock)
    api.lost_answers = 1
    with pytest.raises(BackendctlError) as caught:
        away.start(Errand("driver", ("m",), 1.0), lambda _: None)
    assert caught.value.code == "missing.cluster"
    assert api.objects == {}


def test_a_job_that_cannot_be_removed_again_is_not_said_to_have_changed_nothing(
    api: Printed, clock: Clock
) -> None:
    away = ClusterAway(
        Cluster(NAMING.namespace, connection=api, clock=clock), NAMING, "r/b@sha256:1", clock
    )

    def gone(_line: str) -> None:
        api.before = away_until(clock, float("inf"))  # type: ignore[assignment]

    with pytest.raises(BackendctlError) as caught:
        away.start(Errand("driver", ("m",), 1.0), gone)
    ((_, _, name),) = api.objects
    assert name in caught.value.state
    assert "may be at work" in caught.value.state
    assert any(f"delete job {name}" in line for line in caught.value.next)
