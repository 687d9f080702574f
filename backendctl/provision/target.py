"""The cluster that an operation is meant for, and the one that a stack was made in. Pure.

A context is only a name in somebody's kubeconfig, and an address may be given to another cluster.
What makes a cluster that one and no other is the UID of its namespace kube-system. The provider's
`clusterIdentifier` keeps it in the state from the first object on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.provision.changes import NAMESPACE, NAMESPACE_TAKEN_OVER
from backendctl.shipped.stacks.inputs import FROM_STACK

IDENTIFIER = "clusterIdentifier"
"""Input of the Kubernetes provider."""
_PROVIDER = "pulumi:providers:kubernetes"


@dataclass(frozen=True, slots=True)
class Target:
    """The cluster that the kubeconfig in use leads to, as it was looked at."""

    uid: str
    """Of its namespace kube-system."""
    server: str
    context: str = ""
    """Of the kubeconfig; "" for the account of the pod that this runs in."""
    occupied: bool = False
    """Whether the environment's namespace is there."""

    def in_words(self) -> str:
        by = f"context {self.context}" if self.context else "this pod's own account"
        return f"{by} ({self.server})"


def recorded(state: Mapping[str, Any]) -> str:
    """The UID of the cluster that a stack's objects are in; "" where the state says none."""
    for each in _resources(state):
        if each["type"] == _PROVIDER:
            found = str((each.get("inputs") or {}).get(IDENTIFIER, ""))
            return "" if found == FROM_STACK else found
    return ""


def taken_over(state: Mapping[str, Any], target: Target | None) -> bool:
    """Whether the environment's namespace was there before the stack: then it is not the stack's
    to make, nor to delete. What the state says of it holds for as long as it is in the state."""
    held = {each["type"] for each in _resources(state)} & {NAMESPACE, NAMESPACE_TAKEN_OVER}
    if held:
        return held == {NAMESPACE_TAKEN_OVER}
    return target is not None and target.occupied


def refuse_another(
    target: Target, stack: str, state: Mapping[str, Any], environment: str, kept: str
) -> None:
    """Raises `infra.cluster` when the stack's objects are in another cluster than the one meant.

    `kept`: how to part with what the stack knows, for a cluster that is gone for good.
    """
    found = recorded(state)
    if found in ("", target.uid):
        return
    raise BackendctlError(
        "infra.cluster",
        f"stack {stack} of {environment} was made in another cluster than {target.in_words()}",
        cause=f"its cluster has the UID {found} (of namespace kube-system), this one {target.uid}",
        state="nothing was changed",
        next=(
            "kubectl config get-contexts",
            f'in [environments.{environment}]: context = "NAME"',
            kept,
        ),
        data={"recorded": found, "uid": target.uid, "server": target.server},
    )


def parting(state_folder: Path | None, stack: str) -> str:
    """What to type when a stack's cluster is gone for good."""
    gone = "  # only if that cluster is gone for good"
    if state_folder is not None:
        return f"mv {state_folder} {state_folder}.old{gone}"
    return f"pulumi stack rm --force --stack {stack}{gone}"


def _resources(state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from state.get("resources") or ()
