"""Taking away what releases and rollouts made in a cluster, and nothing that the stacks own."""

from backendctl.platforms.base import OnLine
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.naming import RELEASE_LABEL, Naming

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


def stop(cluster: Cluster, naming: Naming, on_line: OnLine) -> None:
    """The route first, so that nobody is sent to what goes; then all that has a release's number,
    and waits until its pods are gone."""
    on_line("taking the route away")
    cluster.delete("HTTPRoute", naming.route)
    on_line("stopping the releases")
    for kind in _OF_RELEASES:
        for found in cluster.list(kind, naming.selector):
            if RELEASE_LABEL in found["metadata"].get("labels", {}):
                cluster.delete(kind, found["metadata"]["name"], wait_for_dependents=True)
    _await_gone(cluster, naming)


def purge(cluster: Cluster, naming: Naming, on_line: OnLine) -> None:
    """Releases, journals, secrets, the lock: there is no way back."""
    on_line(f"deleting what is recorded in namespace {naming.namespace}")
    for component in _RECORDS:
        for found in cluster.list("ConfigMap", naming.labels(component)):
            cluster.delete("ConfigMap", found["metadata"]["name"])
    for found in cluster.list("Secret", naming.labels("secret")):
        cluster.delete("Secret", found["metadata"]["name"])
    cluster.delete("Lease", naming.lease)


def _await_gone(cluster: Cluster, naming: Naming, seconds: float = 120.0) -> None:
    """Pods finish their requests first; those whose node is dead are not waited for for ever."""
    waiting = {
        pod["metadata"]["name"]
        for pod in cluster.list("Pod", naming.selector)
        if RELEASE_LABEL in pod["metadata"].get("labels", {})
    }
    if not waiting:
        return
    for event, pod in cluster.watch("Pod", naming.selector, timeout=seconds):
        name = pod["metadata"]["name"]
        if event == "DELETED":
            waiting.discard(name)
        if not waiting:
            return
        if not waiting & {
            each["metadata"]["name"] for each in cluster.list("Pod", naming.selector)
        }:
            return
