"""What `infra destroy` says of what would be lost, before anything is."""

from typing import Any

import pytest

from backendctl.provision.changes import NAMESPACE, NAMESPACE_TAKEN_OVER
from backendctl.provision.protection import BUCKET, protected_by_cloud
from backendctl.workflows.infra.destroy import Losses
from backendctl.workflows.infra.states import Held

DATABASE = "aws:rds/instance:Instance"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"


def held(
    kind: str,
    name: str,
    identifier: str = "",
    protected: bool = False,
    retained: bool = False,
    **inputs: Any,
) -> Held:
    urn = f"urn:pulumi:shop-prod::backendctl::{kind}::{name}"
    return Held("data", urn, kind, identifier or name, protected, retained, inputs)


def losses(*resources: Held, adopted: tuple[Held, ...] = (), keeping: bool = False) -> Losses:
    return Losses("prod", resources, adopted=adopted, keeping=keeping)


def test_a_store_names_the_snapshot_that_remains_of_it() -> None:
    found = losses(
        held(DATABASE, "database", protected=True, finalSnapshotIdentifier="shop-prod-final")
    )
    assert found.without_copy == []
    assert found.data()["snapshots"] == ["shop-prod-final"]
    assert list(found.lines()) == [
        "data: 1 resources",
        "  rds Instance database leaves the final snapshot shop-prod-final",
        "  protected, because it holds data: rds Instance database (database)",
    ]


def test_stores_without_a_snapshot_are_named_as_lost_each_whatever_the_reason() -> None:
    found = losses(
        held(DATABASE, "skips", finalSnapshotIdentifier="a-name", skipFinalSnapshot=True),
        held(DATABASE, "unnamed"),
        held(CACHE, "cache", finalSnapshotIdentifier=""),
    )
    assert [each.id for each in found.without_copy] == ["skips", "unnamed", "cache"]
    assert found.data()["snapshots"] == []
    lost = [line for line in found.lines() if "LOST" in line]
    assert [line.rpartition(" (")[2] for line in lost] == ["skips)", "unnamed)", "cache)"]
    assert {each["id"] for each in found.data()["without_snapshot"]} == {
        "skips",
        "unnamed",
        "cache",
    }


def test_a_read_replica_and_what_holds_no_data_lose_nothing() -> None:
    found = losses(
        held(DATABASE, "replica", replicateSourceDb="database", skipFinalSnapshot=True),
        held("aws:ec2/vpc:Vpc", "vpc"),
    )
    assert list(found.lines()) == ["data: 2 resources"]


def test_what_was_adopted_goes_with_the_namespace_that_the_stack_made() -> None:
    inside, outside = (
        held(DEPLOYMENT, name, f"{name}/legacy", protected=True, retained=True)
        for name in ("shop", "others")
    )
    found = losses(held(NAMESPACE, "shop", "shop"), adopted=(inside, outside))
    assert found.adopted_lost == [inside]
    said = [line for line in found.lines() if line.startswith("adopted")]
    assert "GOES" in said[0]
    assert "stays as it is" in said[1]
    assert found.data()["adopted_lost"] == [{"urn": inside.urn, "id": "shop/legacy"}]


def test_it_stays_in_a_namespace_that_stays() -> None:
    inside = held(DEPLOYMENT, "legacy", "shop/legacy", protected=True, retained=True)
    there_before = losses(held(NAMESPACE_TAKEN_OVER, "shop", "shop"), adopted=(inside,))
    kept = losses(held(NAMESPACE, "shop", "shop"), adopted=(inside,), keeping=True)
    for found in (there_before, kept):
        assert found.adopted_lost == []
        assert any("stays as it is" in line for line in found.lines())
    assert any("it was there before" in line for line in there_before.lines())


def test_what_is_only_forgotten_is_not_called_protected() -> None:
    found = losses(held("aws:s3/bucket:Bucket", "logs", protected=True, retained=True))
    assert found.protected == []
    assert "  s3 Bucket logs stays: it is only forgotten" in found.lines()


@pytest.mark.parametrize(
    ("kind", "inputs", "told"),
    [
        (DATABASE, {"deletionProtection": True}, True),
        (DATABASE, {"deletionProtection": False}, False),
        ("aws:lb/loadBalancer:LoadBalancer", {"enableDeletionProtection": True}, True),
        (BUCKET, {}, True),
        (BUCKET, {"forceDestroy": True}, False),
        ("aws:ec2/vpc:Vpc", {}, False),
    ],
)
def test_the_cloud_is_told_first_of_what_it_would_refuse_to_delete(
    kind: str, inputs: dict[str, Any], told: bool
) -> None:
    assert protected_by_cloud(kind, inputs) is told
