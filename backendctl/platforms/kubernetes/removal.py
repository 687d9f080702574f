"""Taking away what releases and rollouts made in a cluster, and nothing that the stacks own."""

from collections.abc import Sequence
from contextlib import suppress

from backendctl.clock import Clock, SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import OnLine
from backendctl.platforms.kubernetes import errands
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.errors import Conflict
from backendctl.platforms.kubernetes.naming import RELEASE_LABEL, Naming

GONE_DEADLINE = 120.0
"""Seconds that what is deleted may take to be gone."""
_PAUSE = 0.5
_OF_RELEASES = (
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "Deployment",
    "Job",
    "Service",
    "ConfigMap",
)
_RECORDS = ("journal", "record", "lock", "recorded", "secrets", "traffic")
"""Components of what is remembered."""


def stop(
    cluster: Cluster, naming: Naming, on_line: OnLine, clock: Clock | None = None
) -> Sequence[str]:
    """The route first, so that nobody is sent to what goes; then all that has a release's number.

    Returns the pods that are still there after GONE_DEADLINE: they finish their requests first,
    but those whose node is dead are not waited for for ever.
    """
    on_line("taking the route away")
    cluster.delete("HTTPRoute", naming.route)
    on_line("stopping the releases")
    for kind in _OF_RELEASES:
        for found in cluster.list(kind, naming.selector):
            if RELEASE_LABEL in found["metadata"].get("labels", {}):
                cluster.delete(kind, found["metadata"]["name"], wait_for_dependents=True)
    return _await_gone(cluster, naming, clock or SystemClock())


def purge(cluster: Cluster, naming: Naming, on_line: OnLine) -> None:
    """Releases, journals, secrets, the lock, errands that are over: there is no way back."""
    on_line(f"deleting what is recorded in namespace {naming.namespace}")
    for job in cluster.list("Job", naming.selector):
        if errands.is_errand(job):  # and what was given to it, secrets too
            cluster.delete("Job", job["metadata"]["name"])
    for component in _RECORDS:
        for found in cluster.list("ConfigMap", naming.labels(component)):
            cluster.delete("ConfigMap", found["metadata"]["name"])
    for found in cluster.list("Secret", naming.labels("secret")):
        cluster.delete("Secret", found["metadata"]["name"])
    cluster.delete("Lease", naming.lease)


def still_there(naming: Naming, pods: Sequence[str], seconds: float, state: str) -> BackendctlError:
    """The error for pods that do not go."""
    return BackendctlError(
        "platform.leftover",
        f"{len(pods)} of the environment's pods are still there, {seconds:.0f} s after they "
        f"were told to end: {', '.join(pods)}",
        cause="their node does not answer, or something keeps them (a finalizer, a long request)",
        state=state,
        next=(
            f"kubectl -n {naming.namespace} get pods -o wide",
            f"kubectl -n {naming.namespace} describe pod {pods[0]}",
        ),
    )


def remove_namespace(cluster: Cluster, namespace: str, clock: Clock | None = None) -> str:
    """Delete a namespace with all that is in it, and wait; "" once it is gone.

    Otherwise what keeps it after GONE_DEADLINE, in the cluster's own words.
    """
    clock = clock or SystemClock()
    with suppress(Conflict):  # it is being deleted already
        cluster.delete("Namespace", namespace)
    until = clock.monotonic() + GONE_DEADLINE
    while (found := cluster.get("Namespace", namespace)) is not None:
        if clock.monotonic() >= until:
            said = [
                str(each.get("message", ""))
                for each in (found.get("status") or {}).get("conditions") or ()
                if each.get("status") == "True"
            ]
            return "; ".join(said) or "the cluster does not say what keeps it"
        clock.wait(_PAUSE)
    return ""


def _await_gone(cluster: Cluster, naming: Naming, clock: Clock) -> Sequence[str]:
    waiting, until = _pods(cluster, naming), clock.monotonic() + GONE_DEADLINE
    while (left := waiting & _pods(cluster, naming)) and clock.monotonic() < until:
        clock.wait(_PAUSE)
    return sorted(left)


def _pods(cluster: Cluster, naming: Naming) -> set[str]:
    return {
        pod["metadata"]["name"]
        for pod in cluster.list("Pod", naming.selector)
        if RELEASE_LABEL in pod["metadata"].get("labels", {})
    }
