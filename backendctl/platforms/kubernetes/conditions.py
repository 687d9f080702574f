"""What the cluster says of a release's pods, as one condition with a plain reason. Pure.

The words of the cluster (of the registry, the scheduler, the kubelet) are kept; what surrounds them
is said in ours.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from backendctl.platforms.base import Condition, ReleaseStatus
from backendctl.platforms.kubernetes import words
from backendctl.platforms.kubernetes.manifests import CONTAINER
from backendctl.platforms.kubernetes.trouble import Cause, Trouble

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at a release."""

    deployment: Object | None
    pods: Sequence[Object] = ()
    events: Mapping[str, Sequence[Object]] = field(default_factory=dict)
    """By pod; of those that need them."""

    @property
    def standing(self) -> list[Object]:
        """Pods that are neither on their way out nor evicted, which others stand in for."""
        return [
            pod
            for pod in self.pods
            if "deletionTimestamp" not in pod["metadata"]
            and pod.get("status", {}).get("phase") != "Failed"
        ]

    @property
    def wanted(self) -> int:
        """Pods there should be."""
        return int(self.deployment["spec"].get("replicas", 1)) if self.deployment else 0

    @property
    def been_ready(self) -> bool:
        """Whether all of its pods were ready once. The Deployment remembers it."""
        return _condition(self.deployment, "Progressing").get("reason") == "NewReplicaSetAvailable"


def needing_events(observed: Observed) -> list[str]:
    """Names of pods whose events may say why they are not ready."""
    return [
        pod["metadata"]["name"]
        for pod in observed.standing
        if not ready(pod) or any(each.get("restartCount") for each in _statuses(pod))
    ]


def status(number: int, observed: Observed, given_up: bool = False) -> ReleaseStatus:
    """The release as a whole. `given_up`: its trouble has lasted as long as it is given."""
    if observed.wanted == 0:
        return ReleaseStatus(number, Condition.STOPPED)
    found = trouble(observed)
    pods = observed.standing
    statuses = [each for pod in pods for each in _statuses(pod)]
    ends = [
        each["lastState"]["terminated"]
        for each in statuses
        if each.get("restartCount") and "terminated" in each.get("lastState", {})
    ]
    return ReleaseStatus(
        number,
        _as_a_whole(observed, found, given_up),
        replicas=observed.wanted,
        ready=sum(ready(pod) for pod in pods),
        restarts=sum(int(each.get("restartCount", 0)) for each in statuses),
        detail=found.said if found else _on_its_way(pods),
        last_restart=max(
            (seconds(end["finishedAt"]) for end in ends if end.get("finishedAt")), default=None
        ),
    )


def _as_a_whole(observed: Observed, found: Trouble | None, given_up: bool) -> Condition:
    pods, been_ready = observed.standing, observed.been_ready
    if found and found.cause.ended:
        return Condition.FAILED if found.cause is Cause.START else Condition.CRASHING
    if found and given_up:
        return Condition.FAILED
    if sum(ready(pod) for pod in pods) >= observed.wanted:
        return Condition.READY
    if not been_ready:
        return Condition.STARTING
    # A pod that is being moved to another node, or added, is no sign that the release is bad.
    moving = found is None and any(ready(pod) for pod in pods)
    return Condition.READY if moving else Condition.UNREADY


def ready(pod: Object) -> bool:
    """Whether its readiness check says yes."""
    return _condition(pod, "Ready").get("status") == "True"


def over(pod: Object) -> bool:
    """Whether nothing in it is at work any more, though the object may be kept by a finalizer."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def seconds(timestamp: str) -> float:
    """Since the epoch."""
    return datetime.fromisoformat(timestamp).timestamp()


# --- what is wrong ----------------------------------------------------------------------------


def trouble(observed: Observed) -> Trouble | None:
    """The worst that keeps the release from being ready, or has just happened to it."""
    found = [
        each
        for pod in observed.standing
        for each in pod_trouble(
            pod, observed.events.get(pod["metadata"]["name"], ()), observed.been_ready
        )
    ]
    refused = _refused(observed.deployment)
    found += [refused] if refused else []
    return min(found, key=lambda each: each.cause.rank, default=None)


def pod_trouble(
    pod: Object, events: Sequence[Object], been_ready: bool = False
) -> Iterator[Trouble]:
    """All that is wrong with one pod. `been_ready`: an end that was made good is no trouble."""
    name = pod["metadata"]["name"]
    unplaced = _unplaced(pod, events)
    if unplaced:
        yield unplaced
    for each in _statuses(pod):
        found = _of_container(pod, each, events, been_ready)
        if found:
            mine = each["name"] == CONTAINER or len(pod["spec"].get("containers", ())) == 1
            said = found.said if mine else f"container {each['name']}: {found.said}"
            yield replace(found, said=said, pod=name, container=each["name"])


def _of_container(
    pod: Object, status: Object, events: Sequence[Object], been_ready: bool
) -> Trouble | None:
    state, last = status.get("state", {}), status.get("lastState", {})
    waiting = state.get("waiting", {})
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"):
        return words.image_pull(status["image"], reason, message, _messages(events, "Failed"))
    if reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
        return words.not_created(reason, message)
    end = state.get("terminated") or last.get("terminated")
    over = "terminated" in state or reason == "CrashLoopBackOff"
    again = int(status.get("restartCount", 0)) > 0 and not status.get("ready") and not been_ready
    if end and (over or again):
        killed = _messages(events, "Killing")
        return words.ended(
            end,
            been_ready,
            limit=_memory_limit(pod, status["name"]),
            killed=next((said for said in killed if "probe" in said), ""),
            unhealthy=_messages(events, "Unhealthy"),
        )
    if "running" in state and not status.get("ready"):
        return words.not_ready(_container(pod, status["name"]), _messages(events, "Unhealthy"))
    return None


def _unplaced(pod: Object, events: Sequence[Object]) -> Trouble | None:
    placed = _condition(pod, "PodScheduled")
    if placed.get("status") != "False" or placed.get("reason") != "Unschedulable":
        return None
    reasons = {event.get("reason") for event in events}
    wishes = [each.get("resources", {}).get("requests", {}) for each in pod["spec"]["containers"]]
    return words.unschedulable(
        placed.get("message", ""),
        wishes,
        coming=bool(reasons & {"TriggeredScaleUp", "Nominated"}),
        hopeless="NotTriggerScaleUp" in reasons,
    )


def _refused(deployment: Object | None) -> Trouble | None:
    """Pods that the API server does not let be made: the Deployment passes on its words."""
    failure = _condition(deployment, "ReplicaFailure")
    if failure.get("status") != "True":
        return None
    return words.refused(failure.get("message", ""))


def _on_its_way(pods: Sequence[Object]) -> str:
    """What a release without trouble waits for."""
    waits = {
        each.get("state", {}).get("waiting", {}).get("reason", "")
        for pod in pods
        for each in _statuses(pod)
    }
    if "ContainerCreating" in waits:
        return "its image is being pulled, or its pod set up"
    return "its pods are being started" if any(not ready(pod) for pod in pods) else ""


# --- reading objects --------------------------------------------------------------------------


def _statuses(pod: Object) -> list[Object]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def _condition(found: Object | None, kind: str) -> Object:
    conditions = (found or {}).get("status", {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == kind), {})


def _messages(events: Sequence[Object], reason: str) -> list[str]:
    """Newest first."""
    chosen = [event for event in events if event.get("reason") == reason]
    chosen.sort(key=_when, reverse=True)
    return [event.get("message", "") for event in chosen]


def _when(event: Object) -> str:
    series = event.get("series") or {}
    found = (
        series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or ""
    )
    return str(found)


def _container(pod: Object, name: str) -> Object:
    every = [*pod["spec"].get("initContainers", ()), *pod["spec"].get("containers", ())]
    return next((each for each in every if each["name"] == name), {})


def _memory_limit(pod: Object, name: str) -> str:
    limits = _container(pod, name).get("resources", {}).get("limits", {})
    return str(limits.get("memory", ""))
