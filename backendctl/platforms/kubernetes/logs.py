"""What the pods of a release have written, by time. Logs live as long as their pods."""

import heapq
import queue
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from backendctl.clock import Clock
from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.cluster import Cluster, Object
from backendctl.platforms.kubernetes.manifests import CONTAINER
from backendctl.platforms.kubernetes.naming import Naming

_LOOK = 1.0
"""Seconds between two looks for pods that have come or gone, while logs are followed."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT")
_TAG = 5
"""Last characters of a pod's name, by which those of one Deployment differ."""


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One line of one pod."""

    at: str
    """When it was written, by its node: as text of RFC 3339, which sorts by time."""
    pod: str
    text: str


def split(pod: str, raw: str) -> Line | None:
    """A line as the API gives it when it is asked for times. None for what the kubelet itself says
    among them, without a time: that a log is gone, where the pod went while it was read."""
    at, _, text = raw.partition(" ")
    return Line(at, pod, text) if _TIME.match(at) else None


class PodLogs:
    """Reads them. Making one touches nothing."""

    def __init__(self, cluster: Cluster, naming: Naming, clock: Clock) -> None:
        self._cluster = cluster
        self._naming = naming
        self._clock = clock

    def of_container(self, pod: str, container: str, lines: int) -> list[str]:
        """The last words of a container: of the one before it, if it was restarted."""
        for previous in (True, False):
            found = list(
                self._cluster.pod_logs(pod, container=container, lines=lines, previous=previous)
            )
            if found:
                return found
        return ["(it wrote no log)"]

    def lines(self, number: int, count: int, follow: bool) -> Iterator[str]:
        """The last `count` lines of a release's pods, oldest first; then, if `follow`, those to
        come until it is stopped. With several pods, each line begins with the end of its pod's
        name.

        Raises BackendctlError `missing.data` when there are none, or they went while they were
        asked for.
        """
        pods = self._pods(number)
        if not pods:
            raise self._no_pods(number)
        several = len(pods) > 1
        last: dict[str, str] = {pod["metadata"]["name"]: "" for pod in pods}
        earlier = heapq.merge(*(self._earlier(pod, count) for pod in pods))
        told = list(earlier)[-count:] if count > 0 else []
        if not told and not self._pods(number):
            raise self._no_pods(number)
        for line in told:
            yield _told(line, several)
            last[line.pod] = line.at
        if follow:
            yield from self._coming(number, last, several)

    def _earlier(self, pod: Object, count: int) -> list[Line]:
        name = pod["metadata"]["name"]
        restarted = any(
            each.get("restartCount") for each in pod.get("status", {}).get("containerStatuses", ())
        )
        found = (
            split(name, raw)
            for previous in ((True, False) if restarted else (False,))
            for raw in self._cluster.pod_logs(
                name, container=CONTAINER, lines=count, previous=previous, timestamps=True
            )
        )
        return [line for line in found if line is not None]

    def _coming(self, number: int, last: dict[str, str], several: bool) -> Iterator[str]:
        """Lines as they are written. Pods that appear are followed too, from their first line."""
        read: queue.SimpleQueue[Line | BackendctlError] = queue.SimpleQueue()
        followed: dict[str, threading.Thread] = {}
        next_look = 0.0
        while True:
            going = True
            if self._clock.monotonic() >= next_look:
                pods = [pod["metadata"]["name"] for pod in self._pods(number) if _began(pod)]
                for name in pods:
                    if name not in followed or not followed[name].is_alive():
                        followed[name] = self._follow(name, last, read)
                next_look = self._clock.monotonic() + _LOOK
                going = bool(pods) or self._there(number)
            several = several or len(followed) > 1
            try:
                while True:
                    found = read.get(timeout=0.0 if not going else _LOOK / 5)
                    if isinstance(found, BackendctlError):
                        raise found
                    yield _told(found, several)
            except queue.Empty:
                if not going and not any(each.is_alive() for each in followed.values()):
                    return

    def _follow(
        self, pod: str, last: dict[str, str], read: "queue.SimpleQueue[Line | BackendctlError]"
    ) -> threading.Thread:
        def work() -> None:
            try:
                for raw in self._cluster.pod_logs(
                    pod, container=CONTAINER, follow=True, timestamps=True, since=last.get(pod, "")
                ):
                    line = split(pod, raw)
                    if line is not None and line.at > last.get(pod, ""):
                        last[pod] = line.at
                        read.put(line)
            except BackendctlError as error:
                read.put(error)

        thread = threading.Thread(target=work, name=f"logs-{pod}", daemon=True)
        thread.start()
        return thread

    def _pods(self, number: int) -> list[Object]:
        return self._cluster.list("Pod", self._naming.pods(number))

    def _there(self, number: int) -> bool:
        return self._cluster.get("Deployment", self._naming.release(number)) is not None

    def _no_pods(self, number: int) -> BackendctlError:
        events = f"kubectl -n {self._naming.namespace} get events --sort-by=.lastTimestamp"
        if self._there(number):
            return BackendctlError(
                "missing.data",
                f"release {number} has no pods, and so no logs",
                cause="the cluster makes none, or they were just deleted",
                state="nothing was changed",
                next=("backendctl status", events),
            )
        return BackendctlError(
            "missing.data",
            f"the pods of release {number} are gone, and their logs went with them",
            cause="the release was stopped; a cluster keeps logs only as long as the pods that "
            "wrote them. Its log store, if it has one, keeps them longer",
            state="the last lines of a release that was undone are in its rollout's history",
            next=("backendctl rollout history", "backendctl rollout explain", events),
        )


def _began(pod: Object) -> bool:
    """Whether its container has ever run: before, there is no log to follow."""
    return any(
        each.get("state", {}).keys() & {"running", "terminated"} or each.get("restartCount")
        for each in pod.get("status", {}).get("containerStatuses", ())
    )


def _told(line: Line, several: bool) -> str:
    return f"[{line.pod[-_TAG:]}] {line.text}" if several else line.text
