"""One-off commands as Jobs: run to the end, to a deadline, or until interrupted.

A Job is deleted in the end, by whoever runs it or, when that one died, by the next run of the same
command or by the cluster's own clock: a command is never at work twice.
"""

import math
import queue
import re
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from backendctl.clock import Clock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import MIGRATION, JobResult, OnLine, Release
from backendctl.platforms.kubernetes import conditions, pods, removal, words
from backendctl.platforms.kubernetes.cluster import Cluster, Object
from backendctl.platforms.kubernetes.logs import Following, new_lines
from backendctl.platforms.kubernetes.naming import DOMAIN
from backendctl.platforms.kubernetes.pods import Manifest, Surroundings
from backendctl.platforms.kubernetes.trouble import Patience, Trouble
from backendctl.platforms.migration_options import pgoptions

TIMED_OUT = 124
"""Exit status of a command that was ended at its deadline, as `timeout` says it."""
TAIL = 40
"""Last lines of output that are kept."""
CONTAINER = "job"

_JOB_LABEL = f"{DOMAIN}/job"
_POD_OF_JOB = "batch.kubernetes.io/job-name"
_START_DEADLINE = 300.0
"""Seconds in which its pod must have started: room on a node, a large image."""
_GRACE = 5
"""Seconds between the polite signal and the other one."""
_KILL_SLACK = 15.0
"""Seconds after that in which a node says that it is gone."""
_KEPT = 600
"""Seconds after which the cluster deletes a Job that nobody has."""
_PAUSE = 0.2


def job(
    release: Release,
    surroundings: Surroundings,
    name: str,
    argv: Sequence[str],
    deadline: float,
    *,
    literal: bool = False,
) -> Manifest:
    """A command in the release's code and configuration, once. Pure.

    Raises BackendctlError `release.start` for one that cannot be run as it is.
    """
    naming, label = surroundings.naming, _label(name)
    clear = {**pods.clear_variables(release, naming), "BACKENDCTL_JOB": name}
    if name == MIGRATION:
        clear["PGOPTIONS"] = pgoptions(deadline, clear.get("PGOPTIONS", ""))
    labels = {
        **naming.release_labels(release.number),
        **naming.labels("job"),
        _JOB_LABEL: label,
    }
    container = pods.container(
        CONTAINER,
        release.package.location,
        surroundings.size,
        {
            "command": pods.command(release, argv, clear, literal=literal),
            "envFrom": pods.given(surroundings),
            "env": [
                *({"name": key, "value": pods.escaped(text)} for key, text in clear.items()),
                *pods.from_secrets(release, naming),
            ],
        },
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "generateName": f"{naming.job(release.number, label)}-",
            "namespace": naming.namespace,
            "labels": labels,
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            # Ours is the deadline that counts; this one is for a Job whose owner has died.
            "activeDeadlineSeconds": math.ceil(_START_DEADLINE + deadline) + _GRACE,
            "ttlSecondsAfterFinished": _KEPT,
            "template": {
                "metadata": {"labels": labels},
                "spec": pods.pod(
                    surroundings,
                    container,
                    {"restartPolicy": "Never", "terminationGracePeriodSeconds": _GRACE},
                ),
            },
        },
    }


def _label(name: str) -> str:
    """A job's name as a part of the names of objects."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:20] or "job"


@dataclass(frozen=True, slots=True)
class _Ended:
    """The command is over; how, or why that cannot be known."""

    how: Object | None
    problem: BackendctlError | None = None


class Jobs:
    """Runs them. Making one touches nothing."""

    def __init__(self, cluster: Cluster, surroundings: Surroundings, clock: Clock) -> None:
        self._cluster = cluster
        self._surroundings = surroundings
        self._naming = surroundings.naming
        self._clock = clock

    def run(
        self,
        release: Release,
        name: str,
        argv: Sequence[str],
        deadline: float,
        on_line: OnLine,
        *,
        literal: bool = False,
    ) -> JobResult:
        """Run `argv` in the release's surroundings, passing on each line it prints. `$NAME` is
        replaced as in the start command, unless it is to be taken literally; the command finds
        its own name in BACKENDCTL_JOB.

        The deadline (seconds) counts from when it starts. Raises BackendctlError `release.start`
        when its pod does not, and for a command that cannot be run.
        """
        manifest = job(release, self._surroundings, name, argv, deadline, literal=literal)
        self._remove(self._left(release.number, name))
        made = self._cluster.create(manifest)
        result = None
        try:
            result = self._to_its_end(made, deadline, on_line)
        finally:
            if result is None or result.exit_status == TIMED_OUT:
                self._remove([made])
        with suppress(BackendctlError):  # it is over, and the cluster forgets it by itself
            self._remove([made])
        return result

    def _to_its_end(self, made: Object, deadline: float, on_line: OnLine) -> JobResult:
        pod = self._started(made)
        began = self._clock.monotonic()
        tail: deque[str] = deque(maxlen=TAIL)
        coming = self._read(pod)
        while (left := began + deadline - self._clock.monotonic()) > 0:
            try:
                found = coming.get(timeout=min(left, 1.0))
            except queue.Empty:
                continue
            if isinstance(found, _Ended):
                return self._result(found, self._clock.monotonic() - began, tail, on_line)
            tail.append(found)
            on_line(found)
        return JobResult(TIMED_OUT, self._clock.monotonic() - began, tuple(tail))

    def _result(
        self, ended: _Ended, seconds: float, tail: deque[str], on_line: OnLine
    ) -> JobResult:
        if ended.how is None:
            raise ended.problem or _vanished()
        if ended.how.get("reason") == "OOMKilled":
            memory = self._surroundings.size.requirements()["limits"]["memory"]
            said = f"it was killed: it took more memory than it may, {memory}"
            tail.append(said)
            on_line(said)
        return JobResult(int(ended.how.get("exitCode", 1)), seconds, tuple(tail))

    # --- its pod ---

    def _started(self, made: Object) -> str:
        """The name of its pod, once the command has begun (or is over already)."""
        until = self._clock.monotonic() + _START_DEADLINE
        patience, found = Patience(), None
        while True:
            pod = self._pod(made)
            if pod is not None and _state(pod).keys() & {"running", "terminated"}:
                state = _state(pod)
                refused = state.get("terminated", {}).get("reason") in words.NEVER_STARTED
                if not refused:
                    return str(pod["metadata"]["name"])
            found = self._trouble(made, pod)
            now = self._clock.monotonic()
            if now >= until or patience.over(found, now):
                raise _not_started(made, found)
            self._clock.wait(_PAUSE)

    def _trouble(self, made: Object, pod: Object | None) -> Trouble | None:
        if pod is None:
            return self._refused(made)
        name = pod["metadata"]["name"]
        return min(
            conditions.pod_trouble(pod, self._events("Pod", name)),
            key=lambda each: each.cause.rank,
            default=None,
        )

    def _refused(self, made: Object) -> Trouble | None:
        """A pod that could not even be made is an event of its Job, and no condition."""
        for event in self._events("Job", made["metadata"]["name"]):
            if event.get("reason") == "FailedCreate":
                return words.refused(event.get("message", ""))
        return None

    def _events(self, kind: str, name: str) -> list[Object]:
        return self._cluster.list(
            "Event", fields={"involvedObject.kind": kind, "involvedObject.name": name}
        )

    def _pod(self, made: Object) -> Object | None:
        found = self._cluster.list("Pod", {_POD_OF_JOB: made["metadata"]["name"]})
        return found[0] if found else None

    def _read(self, pod: str) -> "queue.SimpleQueue[str | _Ended]":
        """Its lines as they come and then its end, by a thread of their own, so that a deadline
        can pass while there are none. An API server that is away for a while is waited for."""
        read: queue.SimpleQueue[str | _Ended] = queue.SimpleQueue()

        def work() -> None:
            following = Following()
            while True:
                try:
                    for line in new_lines(self._cluster, pod, CONTAINER, following):
                        read.put(line.text)
                    found = self._cluster.get("Pod", pod)
                except BackendctlError as error:
                    if error.code != "missing.cluster":
                        return read.put(_Ended(None, error))
                else:
                    how = _state(found).get("terminated") if found else None
                    if found is None or how:
                        return read.put(_Ended(how))
                self._clock.wait(_PAUSE)

        threading.Thread(target=work, name=f"job-{pod}", daemon=True).start()
        return read

    # --- what is left ---

    def _left(self, number: int, name: str) -> list[Object]:
        """Jobs of the same command whose owner died."""
        labels = {**self._naming.release_labels(number), _JOB_LABEL: _label(name)}
        return self._cluster.list("Job", labels)

    def _remove(self, jobs: Sequence[Object]) -> None:
        """No more at work on return. Raises `platform.leftover` for those that may be."""
        for each in jobs:
            self._cluster.delete("Job", each["metadata"]["name"])
        began = self._clock.monotonic()
        until = began + _GRACE + _KILL_SLACK
        for each in jobs:
            struck = False
            while (pod := self._pod(each)) and not conditions.over(pod):
                name = pod["metadata"]["name"]
                if self._clock.monotonic() >= until:  # its node is dead
                    if struck:
                        waited = self._clock.monotonic() - began
                        state = "its Job is deleted; the command may still be at work"
                        raise removal.still_there(self._naming, [name], waited, state)
                    self._cluster.delete("Pod", name, grace=0)
                    until, struck = until + _KILL_SLACK, True
                self._clock.wait(_PAUSE)


def _state(pod: Object) -> Object:
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    return next((each.get("state", {}) for each in statuses if each["name"] == CONTAINER), {})


def _vanished() -> BackendctlError:
    return BackendctlError(
        "release.start",
        "the job's pod was deleted by somebody else while it ran",
        state="how far the command came is not known",
        next=("kubectl get events --sort-by=.lastTimestamp",),
    )


def _not_started(made: Object, found: Trouble | None) -> BackendctlError:
    said = found.said if found else "no node has started it"
    namespace, name = made["metadata"]["namespace"], made["metadata"]["name"]
    return BackendctlError(
        "release.start",
        f"the job {name} did not start: {said}",
        state="the command was not run",
        next=(f"kubectl -n {namespace} get events --sort-by=.lastTimestamp",),
    )
