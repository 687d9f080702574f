"""What keeps data from being deleted, and what remains of it. Pure."""

from collections.abc import Mapping
from typing import Any

CLOUD_PROTECTION = ("deletionProtection", "enableDeletionProtection")
"""Inputs by which a cloud itself refuses to delete a thing."""


BUCKET = "aws:s3/bucket:Bucket"


def protected_by_cloud(kind: str, inputs: Mapping[str, Any]) -> bool:
    """Whether the cloud has to be told before the thing can be deleted. S3 deletes no bucket that
    holds anything, unless its resource says that what it holds may go too."""
    if kind == BUCKET:
        return not inputs.get("forceDestroy")
    return any(bool(inputs.get(name)) for name in CLOUD_PROTECTION)


SNAPSHOTS: Mapping[str, str] = {
    "aws:rds/instance:Instance": "finalSnapshotIdentifier",
    "aws:rds/cluster:Cluster": "finalSnapshotIdentifier",
    "aws:elasticache/replicationGroup:ReplicationGroup": "finalSnapshotIdentifier",
}
"""Type -> the input that names its final snapshot."""


def final_snapshot(kind: str, inputs: Mapping[str, Any]) -> str | None:
    """The name of what remains of a data store after its deletion, "" if nothing does.

    None for a resource that holds no data of its own: a read replica's is its source's.
    """
    key = SNAPSHOTS.get(kind)
    if key is None or inputs.get("replicateSourceDb"):
        return None
    if inputs.get("skipFinalSnapshot"):
        return ""
    return str(inputs.get(key) or "")
