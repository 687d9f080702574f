"""Runs backendctl itself in the cluster, as Jobs of its own image."""

import secrets
from collections.abc import Iterator, Mapping

from backendctl.clock import Clock, SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import Errand, OnLine
from backendctl.platforms.kubernetes import conditions, errands
from backendctl.platforms.kubernetes.cluster import Cluster, Object
from backendctl.platforms.kubernetes.logs import Following, new_lines
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.trouble import Patience, Trouble
from backendctl.platforms.kubernetes.words import refused

START_DEADLINE = 300.0
"""Seconds in which every copy must have begun: room on a node, the image's way there."""
GONE_DEADLINE = 90.0
OUTAGE = 120.0
"""Seconds for which an API server that does not answer is asked again for what an errand says."""
_PAUSE = 0.3
_POD_OF_JOB = "batch.kubernetes.io/job-name"
_INDEX = "batch.kubernetes.io/job-completion-index"


class ClusterAway:
    """base.Away in a namespace. Making one touches nothing."""

    def __init__(
        self, cluster: Cluster, naming: Naming, image: str, clock: Clock | None = None
    ) -> None:
        """`image`: backendctl's own, as the environment states it; "" if it states none."""
        self._cluster = cluster
        self._naming = naming
        self._image = image
        self._clock = clock or SystemClock()

    def start(self, errand: Errand, on_line: OnLine) -> "JobUnderway":
        """See base.Away."""
        if not self._image:
            raise self._no_image()
        name = f"{self._naming.service}-{errand.name}-{secrets.token_hex(4)}"
        begun = JobUnderway(self._cluster, self._naming.namespace, name, self._clock)
        try:
            made = self._cluster.create(errands.job(errand, self._naming, self._image, name))
            for each in errands.given(errand, self._naming, name, made):
                self._cluster.create(each)
            self._cluster.patch("Job", name, {"spec": {"suspend": False}})
            on_line(f"waiting for {begun.where} to begin")
            begun.await_begun(errand.copies)
        except BaseException as error:
            try:
                begun.remove()
            except BackendctlError:  # the first error is the one to tell
                if isinstance(error, BackendctlError):
                    begun.left(error)
            raise
        return begun

    def _no_image(self) -> BackendctlError:
        name = self._naming.environment
        return BackendctlError(
            "missing.environment",
            f"environment {name!r} has no image of backendctl to run in the cluster",
            cause=f"[environments.{name}] in backend.toml has no driver_image",
            state="nothing was started",
            next=(
                "backendctl build --driver  # builds it and says what to write down",
                "backendctl infra up",
            ),
        )


class JobUnderway:
    """base.Underway: one Job."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, clock: Clock) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._clock = clock

    @property
    def where(self) -> str:
        return f"Job {self._name} in namespace {self._namespace}"

    @property
    def follow(self) -> str:
        return f"kubectl -n {self._namespace} logs -f job/{self._name}"

    def left(self, error: BackendctlError) -> None:
        """Say in an error that this could not be taken away again after it."""
        error.state = f"{self.where} could not be removed again: it may be at work"
        error.next = (
            "backendctl rollout status",
            f"kubectl -n {self._namespace} delete job {self._name}  # if it is not to go on",
        )

    def await_begun(self, copies: int) -> None:
        """Until every copy runs, or is over already. Raises `platform.errand`."""
        until = self._clock.monotonic() + START_DEADLINE
        patience, found = Patience(), None
        while True:
            pods = self._pods()
            begun = [pod for pod in pods.values() if _state(pod).keys() & {"running", "terminated"}]
            if len(begun) == copies:
                return
            found = self._trouble(pods)
            now = self._clock.monotonic()
            if now >= until or patience.over(found, now):
                raise self._not_begun(found, len(begun), copies)
            self._clock.wait(_PAUSE)

    def address(self) -> str:
        """See base.Underway."""
        return str(self._pods()[0]["status"]["podIP"])

    def lines(self) -> Iterator[str]:
        """See base.Underway. An API server that is away for a while is waited for."""
        following = Following()
        lost: float | None = None
        while True:
            try:
                pod = self._pods().get(0)
                if pod is None:
                    raise self._vanished()
                over = "terminated" in _state(pod)  # looked at first: its last lines are then there
                name = pod["metadata"]["name"]
                for line in new_lines(
                    self._cluster, name, errands.CONTAINER, following, follow=not over
                ):
                    yield line.text
            except BackendctlError as error:
                now = self._clock.monotonic()
                lost = now if lost is None else lost
                if error.code != "missing.cluster" or now - lost >= OUTAGE:
                    raise
            else:
                lost = None
                if over:
                    return
            self._clock.wait(_PAUSE)

    def ended(self) -> Mapping[int, int]:
        """See base.Underway."""
        states = {index: _state(pod) for index, pod in self._pods().items()}
        return {
            index: int(state["terminated"].get("exitCode", 1))
            for index, state in states.items()
            if "terminated" in state
        }

    def remove(self) -> None:
        """See base.Underway."""
        self._cluster.delete("Job", self._name)
        until = self._clock.monotonic() + GONE_DEADLINE
        while any("running" in _state(pod) for pod in self._pods().values()):
            if self._clock.monotonic() >= until:
                raise self._still_there()
            self._clock.wait(_PAUSE)

    # --- inside ---

    def _pods(self) -> dict[int, Object]:
        """By index; the newest of each."""
        found = self._cluster.list("Pod", {_POD_OF_JOB: self._name})
        found.sort(key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
        return {int(pod["metadata"]["annotations"][_INDEX]): pod for pod in found}

    def _trouble(self, pods: Mapping[int, Object]) -> Trouble | None:
        """The worst of what keeps them from beginning."""
        found = [
            trouble
            for pod in pods.values()
            for trouble in conditions.pod_trouble(pod, self._events("Pod", pod["metadata"]["name"]))
        ]
        for event in self._events("Job", self._name) if not pods else ():
            if event.get("reason") == "FailedCreate":  # a pod that could not even be made
                found.append(refused(event.get("message", "")))
        return min(found, key=lambda each: each.cause.rank, default=None)

    def _events(self, kind: str, name: str) -> list[Object]:
        fields = {"involvedObject.kind": kind, "involvedObject.name": name}
        return self._cluster.list("Event", fields=fields)

    def _not_begun(self, found: Trouble | None, begun: int, copies: int) -> BackendctlError:
        said = found.said if found else "no node has started it"
        many = f" ({begun} of {copies} copies have begun)" if copies > 1 else ""
        return BackendctlError(
            "platform.errand",
            f"{self.where} did not begin: {said}{many}",
            state="it was removed; the releases that serve are untouched",
            next=(f"kubectl -n {self._namespace} get events --sort-by=.lastTimestamp",),
        )

    def _vanished(self) -> BackendctlError:
        return BackendctlError(
            "platform.errand",
            f"the pod of {self.where} is gone",
            cause="it was deleted, or its node was lost",
            state="how far it came is in the rollout's history, if it drove one",
            next=("backendctl rollout status",),
        )

    def _still_there(self) -> BackendctlError:
        return BackendctlError(
            "platform.errand",
            f"{self.where} does not end",
            cause=f"its pods were told to, {GONE_DEADLINE:.0f} s ago",
            state="it is being deleted",
            next=(f"kubectl -n {self._namespace} get pods -l {_POD_OF_JOB}={self._name}",),
        )


def _state(pod: Object) -> Object:
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    wanted = (each.get("state", {}) for each in statuses if each["name"] == errands.CONTAINER)
    return next(wanted, {})
