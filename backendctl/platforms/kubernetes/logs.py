"""What the pods of a release have written, by time. Logs live as long as their pods."""

import heapq
import queue
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from backendctl.clock import Clock
from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.cluster import Cluster, Object
from backendctl.platforms.kubernetes.manifests import CONTAINER
from backendctl.platforms.kubernetes.naming import Naming

_LOOK = 1.0
"""Seconds between two looks for pods that have come or gone, while logs are followed."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT")
_FRACTION = re.compile(r"\.\d+")
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


class Following:
    """Which lines of a container's log are new, where its reading breaks and begins anew.

    The API takes a time to begin from, and only to the second: what was written in that second
    comes again. Lines cannot be told apart by their times: some runtimes give one time to all that
    a process writes at once.
    """

    def __init__(self, known: str = "") -> None:
        """`known`: when the last line was written that need not be told; "" to tell all."""
        self._known = known
        self._second = _FRACTION.sub("", known)
        self._told = 0
        """Lines of that second that were told."""
        self._again = 0
        """Of those, how many the present reading has yet to repeat."""

    def begin(self) -> str:
        """A reading begins; the time from which on, as `Cluster.pod_logs` has it."""
        self._again = self._told
        return self._second

    def new(self, at: str) -> bool:
        """Whether a line was not told before; in the order in which they were written."""
        if at <= self._known:
            return False
        second = _FRACTION.sub("", at)
        if second == self._second and self._again:
            self._again -= 1
            return False
        if second > self._second:
            self._second, self._told, self._again = second, 0, 0
        self._told += second == self._second
        return True


def new_lines(
    cluster: Cluster, pod: str, container: str, following: Following, *, follow: bool = True
) -> Iterator[Line]:
    """What the container has written since `following` heard of it last, and what is to come, if
    `follow`, until it ends or the reading breaks. Raises as `Cluster.pod_logs` does."""
    for raw in cluster.pod_logs(
        pod, container=container, follow=follow, timestamps=True, since=following.begin()
    ):
        line = split(pod, raw)
        if line is not None and following.new(line.at):
            yield line


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
        earlier = {pod["metadata"]["name"]: self._earlier(pod, max(count, 1)) for pod in pods}
        told = list(heapq.merge(*earlier.values()))[-count:] if count > 0 else []
        if not told and not self._pods(number):
            raise self._no_pods(number)
        for line in told:
            yield _told(line, several)
        if follow:
            # Also what was left out, because others wrote more and later, is not to come.
            last = {name: lines[-1].at for name, lines in earlier.items() if lines}
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

    def _coming(self, number: int, last: Mapping[str, str], several: bool) -> Iterator[str]:
        """Lines as they are written. Pods that appear are followed too, from their first line."""
        read: queue.SimpleQueue[Line | BackendctlError] = queue.SimpleQueue()
        followed: dict[str, threading.Thread] = {}
        known: dict[str, Following] = {}
        next_look = 0.0
        while True:
            going = True
            if self._clock.monotonic() >= next_look:
                pods = [pod["metadata"]["name"] for pod in self._pods(number) if _began(pod)]
                for name in pods:
                    if name not in followed or not followed[name].is_alive():
                        following = known.setdefault(name, Following(last.get(name, "")))
                        followed[name] = self._follow(name, following, read)
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
        self, pod: str, following: Following, read: "queue.SimpleQueue[Line | BackendctlError]"
    ) -> threading.Thread:
        def work() -> None:
            try:
                for line in new_lines(self._cluster, pod, CONTAINER, following):
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
