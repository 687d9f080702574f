"""What keeps data from being deleted, and what remains of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CLOUD_PROTECTION = ("deletionProtection", "enableDeletionProtection")
"""Inputs by which a cloud itself refuses to delete a thing."""


def protected_by_cloud(inputs: Mapping[str, Any]) -> bool:
    """Whether the cloud has to be told before the thing can be deleted."""
    return any(bool(inputs.get(name)) for name in CLOUD_PROTECTION)


@dataclass(frozen=True, slots=True)
class LastCopy:
    """What remains of a data store after its deletion."""

    name: str = ""
    """Of the snapshot; "" for none."""
    kind: str = ""


SNAPSHOTS: Mapping[str, str] = {
    "aws:rds/instance:Instance": "finalSnapshotIdentifier",
    "aws:rds/cluster:Cluster": "finalSnapshotIdentifier",
    "aws:elasticache/replicationGroup:ReplicationGroup": "finalSnapshotIdentifier",
}
"""Type -> the input that names its final snapshot."""


def last_copy(kind: str, inputs: Mapping[str, Any]) -> LastCopy | None:
    """The final snapshot of a resource of that type; None for one that holds no data of a kind
    that has snapshots. A read replica has none: its source has."""
    key = SNAPSHOTS.get(kind)
    if key is None or inputs.get("replicateSourceDb"):
        return None
    if inputs.get("skipFinalSnapshot") or not inputs.get(key):
        return LastCopy()
    return LastCopy(str(inputs[key]), "snapshot")
