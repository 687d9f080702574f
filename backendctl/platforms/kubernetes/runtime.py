"""base.Runtime on a cluster: releases as Deployments, one-off commands as Jobs."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from backendctl.clock import Clock, SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import (
    Condition,
    Invocation,
    JobResult,
    OnLine,
    Package,
    Release,
    ReleaseStatus,
)
from backendctl.platforms.kubernetes import conditions, manifests, removal
from backendctl.platforms.kubernetes.cluster import Cluster, Object
from backendctl.platforms.kubernetes.conditions import Observed
from backendctl.platforms.kubernetes.errors import Conflict
from backendctl.platforms.kubernetes.jobs import Jobs
from backendctl.platforms.kubernetes.logs import PodLogs
from backendctl.platforms.kubernetes.naming import RELEASE_LABEL
from backendctl.platforms.kubernetes.pods import Surroundings
from backendctl.platforms.kubernetes.trouble import Patience, Trouble

Builder = Callable[[Path, OnLine], Package]
"""From a working tree to an image that the cluster can pull."""

_PAUSE = 0.3
"""Seconds between two looks at a release that is waited for."""
_EVENTS_OF = 3
"""Pods whose events are asked for: those of one release fail for the same reason."""
_SHOWN = 15
"""Last log lines that explain why a release did not start."""
_KILL_SLACK = 15.0
"""Seconds after its grace in which a node says that a pod is gone; one that does not is dead."""
_ATTACH = "backendctl.platforms.kubernetes.attach"


class KubernetesRuntime:
    """base.Runtime. Making one touches nothing."""

    def __init__(
        self,
        cluster: Cluster,
        surroundings: Surroundings,
        builder: Builder,
        context: str = "",
        clock: Clock | None = None,
    ) -> None:
        """`context`: of the kubeconfig, for commands in pods; "" for the one that is current."""
        self._cluster = cluster
        self._surroundings = surroundings
        self._naming = surroundings.naming
        self._builder = builder
        self._context = context
        self._clock = clock or SystemClock()
        self._logs = PodLogs(cluster, self._naming, self._clock)
        self._jobs = Jobs(cluster, surroundings, self._clock)
        self._patience: dict[int, Patience] = {}

    def package(self, tree: Path, on_line: OnLine) -> Package:
        """See base.Runtime: an image in the environment's registry."""
        return self._builder(tree, on_line)

    # --- running ---

    def start(self, release: Release) -> None:
        """See base.Runtime. What is there already is left as it is.

        Raises BackendctlError `release.start` for a command that cannot be run as it is, and for a
        number under which something else runs; and as Cluster.create.
        """
        self._patience.pop(release.number, None)
        name = self._naming.release(release.number)
        objects = manifests.release_objects(release, self._surroundings)
        running = self._cluster.get("Deployment", name)
        if running is not None and "deletionTimestamp" in running["metadata"]:
            self.stop(release.number)  # whoever began that is gone
            running = None
        if running is not None:
            _same(release, running)
        for each in objects:
            if running is not None and each["kind"] == "Deployment":
                continue
            self._make(each)
        if running is not None and running["spec"].get("replicas") == 0:
            size = {"spec": {"replicas": release.processes.replicas}}
            self._cluster.patch("Deployment", name, size)
        self._resize()

    def _make(self, manifest: Object) -> None:
        if self._cluster.get(manifest["kind"], manifest["metadata"]["name"]) is not None:
            return
        try:
            self._cluster.create(manifest)
        except Conflict:
            return  # made by another run in this moment: the same, as everything of a release

    def stop(self, number: int) -> None:
        """See base.Runtime. Pods of a node that is dead are struck off the cluster's list.

        Raises `platform.leftover` for those that stay on it even so; all else is gone then."""
        name = self._naming.release(number)
        self._patience.pop(number, None)
        self._cluster.delete("HorizontalPodAutoscaler", name)
        deployment = self._cluster.get("Deployment", name)
        self._cluster.delete("Deployment", name)
        began = self._clock.monotonic()
        left = self._await_gone(number, deployment)
        for kind in ("PodDisruptionBudget", "Service", "ConfigMap"):
            self._cluster.delete(kind, name)
        self._resize()
        if left:
            waited = self._clock.monotonic() - began
            gone = f"release {number} is deleted but for them, and nobody is sent to them"
            raise removal.still_there(self._naming, left, waited, gone)

    def _await_gone(self, number: int, deployment: Object | None) -> Sequence[str]:
        """The names of pods that may be at work for ever: nothing takes them off the list."""
        spec = deployment["spec"]["template"]["spec"] if deployment else {}
        grace = float(spec.get("terminationGracePeriodSeconds", 30)) + _KILL_SLACK
        until = self._clock.monotonic() + grace
        struck = False
        while names := [
            pod["metadata"]["name"] for pod in self._pods(number) if not conditions.over(pod)
        ]:
            if self._clock.monotonic() >= until:
                if struck:
                    return names
                for name in names:
                    self._cluster.delete("Pod", name, grace=0)
                until, struck = self._clock.monotonic() + _KILL_SLACK, True
            self._clock.wait(_PAUSE)
        return ()

    def _resize(self) -> None:
        """Releases that take part in a rollout keep their full size, so that each can take all
        traffic at once; one that serves alone may shrink to what the usual day needs."""
        scalers = self._cluster.list("HorizontalPodAutoscaler", self._naming.selector)
        if not scalers:
            return
        together = len(self.running()) > 1
        for each in scalers:
            most = int(each["spec"]["maxReplicas"])
            least = most if together else min(most, self._surroundings.size.least)
            if each["spec"].get("minReplicas") != least:
                self._cluster.patch(
                    "HorizontalPodAutoscaler",
                    each["metadata"]["name"],
                    {"spec": {"minReplicas": least}},
                )

    def status(self, number: int) -> ReleaseStatus:
        """See base.Runtime."""
        return conditions.status(number, self._look(number))

    def running(self) -> Sequence[int]:
        """See base.Runtime."""
        found = self._cluster.list("Deployment", self._naming.selector)
        return sorted(
            int(each["metadata"]["labels"][RELEASE_LABEL])
            for each in found
            if RELEASE_LABEL in each["metadata"].get("labels", {})
            and each["spec"].get("replicas") != 0
        )

    def await_ready(self, release: Release, deadline: float) -> ReleaseStatus:
        """See base.Runtime. What cannot mend itself is said at once; what may, such as a registry
        that does not answer, is given its few seconds, over several calls together."""
        number = release.number
        until = self._clock.monotonic() + deadline
        patience = self._patience.setdefault(number, Patience())
        while True:
            observed = self._look(number)
            found = conditions.trouble(observed)
            over = patience.over(found, self._clock.monotonic())
            seen = conditions.status(number, observed, over)
            if seen.condition is Condition.READY and seen.ready >= seen.replicas:
                return seen
            if seen.condition is Condition.STOPPED:
                return seen
            if seen.condition in (Condition.FAILED, Condition.CRASHING):
                return replace(seen, detail=self._with_last_words(seen.detail, found))
            left = until - self._clock.monotonic()
            if left <= 0:
                return self._never_ready(seen, found, deadline)
            self._clock.wait(min(_PAUSE, left))

    def _never_ready(
        self, seen: ReleaseStatus, found: Trouble | None, deadline: float
    ) -> ReleaseStatus:
        said = f"not ready after {deadline:g} s: {seen.detail}"
        detail = self._with_last_words(said, found)
        return replace(seen, condition=Condition.UNREADY, detail=detail)

    def _with_last_words(self, said: str, found: Trouble | None) -> str:
        """With the log of the container that is in trouble, if it ever ran."""
        if found is None or not found.ran:
            return said
        return "\n".join([said, *self._logs.of_container(found.pod, found.container, _SHOWN)])

    def logs(self, number: int, lines: int, follow: bool = False) -> Iterator[str]:
        """See base.Runtime: of all its pods, by time; which one is said in front of each line if
        there are several. They go with the pods.

        Raises BackendctlError `missing.data` when there are none.
        """
        return self._logs.lines(number, lines, follow)

    # --- one-off commands ---

    def run_job(
        self, release: Release, name: str, argv: Sequence[str], deadline: float, on_line: OnLine
    ) -> JobResult:
        """See base.Runtime and Jobs.run. The deadline counts from when the command starts."""
        return self._jobs.run(release, name, argv, deadline, on_line)

    def in_release(self, release: Release, argv: Sequence[str]) -> Invocation:
        """See base.Runtime: in one of its pods that are ready, with its variables and secrets,
        none of which come here.

        Raises BackendctlError `missing.environment` when it has no such pod.
        """
        for pod in self._pods(release.number):
            if conditions.ready(pod) and "deletionTimestamp" not in pod["metadata"]:
                where = [f"--pod={pod['metadata']['name']}", f"--container={manifests.CONTAINER}"]
                where += [f"--namespace={self._naming.namespace}"]
                where += [f"--context={self._context}"] if self._context else []
                return Invocation(
                    (sys.executable, "-m", _ATTACH, *where, "--", *argv),
                    Path.cwd(),
                    dict(os.environ),
                )
        raise BackendctlError(
            "missing.environment",
            f"release {release.number} has no pod that is ready, in which a command could be run",
            state="nothing was run",
            next=("backendctl status", f"backendctl logs --release {release.number}"),
        )

    def in_tree(self, *_given: object, **_named: object) -> Invocation:
        """Not here: a cluster runs images. Raises BackendctlError `platform.unsupported`."""
        raise self._only_local()

    def development_port(self) -> int:
        """Not here. Raises BackendctlError `platform.unsupported`."""
        raise self._only_local()

    def _only_local(self) -> BackendctlError:
        return BackendctlError(
            "platform.unsupported",
            "the working tree itself is run on this machine only, not in environment "
            f"{self._naming.environment!r}",
            cause="a cluster runs images, which are made of it by `backendctl build`",
            state="nothing was started",
            next=(
                "backendctl dev --env local",
                f"backendctl deploy --env {self._naming.environment}",
            ),
        )

    # --- inside ---

    def _pods(self, number: int) -> list[Object]:
        return self._cluster.list("Pod", self._naming.pods(number))

    def _look(self, number: int) -> Observed:
        deployment = self._cluster.get("Deployment", self._naming.release(number))
        if deployment is None:
            return Observed(None)
        observed = Observed(deployment, self._pods(number))
        asked = conditions.needing_events(observed)[:_EVENTS_OF]
        return replace(observed, events={name: self._events(name) for name in asked})

    def _events(self, pod: str) -> list[Object]:
        return self._cluster.list(
            "Event", fields={"involvedObject.kind": "Pod", "involvedObject.name": pod}
        )


def _same(release: Release, running: Object) -> None:
    """Refuse to take what runs under the number for a release that it is not."""
    found = running["metadata"].get("annotations", {}).get(manifests.DIGEST_ANNOTATION)
    if found != manifests.digest(release):
        name, namespace = running["metadata"]["name"], running["metadata"]["namespace"]
        raise BackendctlError(
            "release.start",
            f"something else than release {release.number} runs as Deployment {name}",
            cause="its annotation does not name that release: it was made by hand, or by another "
            "history of releases in the same namespace",
            state="nothing was started",
            next=(f"kubectl -n {namespace} get deployment {name} -o yaml",),
        )
