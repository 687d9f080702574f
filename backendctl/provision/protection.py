"""What holds data: protection in the state and in the cloud, and the last copy before it goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pulumi

CLOUD_PROTECTION = ("deletion_protection", "deletionProtection")
"""The property by which a database refuses to be deleted, in both of its spellings."""


def release_all() -> None:
    """From now on, every resource that the program running here registers is unprotected."""
    import pulumi

    def released(
        given: "pulumi.ResourceTransformationArgs",
    ) -> "pulumi.ResourceTransformationResult":
        props = {
            name: False if name in CLOUD_PROTECTION and value is not None else value
            for name, value in given.props.items()
        }
        options = pulumi.ResourceOptions.merge(given.opts, pulumi.ResourceOptions(protect=False))
        return pulumi.ResourceTransformationResult(props, options)

    pulumi.runtime.register_stack_transformation(released)


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
