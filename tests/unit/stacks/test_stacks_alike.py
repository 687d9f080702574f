"""dev, staging and prod are the same stacks: whatever differs is a value with a stated reason."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from backendctl.provision.changes import differences
from backendctl.shipped.stacks.record import Record
from backendctl.spec.tiers_aws import DIFFERENCES
from tests.aws_environments import registered

pytestmark = pytest.mark.xdist_group("stacks")

RESOURCES: Mapping[tuple[str, str], str] = {
    ("ec2/natGateway:NatGateway", "network/nat-"): "nat_gateways",
    ("ec2/eip:Eip", "network/nat-"): "nat_gateways",
    ("ec2/vpcEndpoint:VpcEndpoint", "network/"): "interface_endpoints",
    ("ec2/securityGroup:SecurityGroup", "network/endpoints"): "interface_endpoints",
    (
        "vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "network/endpoints-in",
    ): "interface_endpoints",
    ("iam/role:Role", "data/monitoring"): "monitoring_seconds",
    ("iam/rolePolicyAttachment:RolePolicyAttachment", "data/monitoring"): "monitoring_seconds",
    ("cloudwatch/metricAlarm:MetricAlarm", "addons/cache-"): "cache_replicas",
}
"""Resources that not every tier has -> the row of DIFFERENCES that says why."""
VALUES: Mapping[tuple[str, str], str] = {
    ("rds/instance:Instance", "multiAz"): "multi_az",
    ("rds/instance:Instance", "backupRetentionPeriod"): "backup_days",
    ("rds/instance:Instance", "instanceClass"): "burstable",
    ("rds/instance:Instance", "monitoringInterval"): "monitoring_seconds",
    ("rds/instance:Instance", "monitoringRoleArn"): "monitoring_seconds",
    ("rds/instance:Instance", "databaseInsightsMode"): "insights_days",
    ("rds/instance:Instance", "performanceInsightsRetentionPeriod"): "insights_days",
    ("elasticache/replicationGroup:ReplicationGroup", "nodeType"): "burstable",
    ("elasticache/replicationGroup:ReplicationGroup", "numCacheClusters"): "cache_replicas",
    ("elasticache/replicationGroup:ReplicationGroup", "automaticFailoverEnabled"): "cache_replicas",
    ("elasticache/replicationGroup:ReplicationGroup", "multiAzEnabled"): "cache_replicas",
    ("elasticache/replicationGroup:ReplicationGroup", "snapshotRetentionLimit"): "snapshot_days",
    ("eks/nodeGroup:NodeGroup", "instanceTypes[0]"): "burstable",
    ("ec2/route:Route", "natGatewayId"): "nat_gateways",
    ("cloudwatch/logGroup:LogGroup", "retentionInDays"): "log_days",
    ("s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "rules[0].expiration.days"):
        "log_days",
}  # fmt: skip
"""Inputs that differ between tiers -> the row of DIFFERENCES that says why."""

Key = tuple[str, str]


def resources(tier: str) -> Mapping[Key, Record]:
    return {(e.type.removeprefix("aws:"), e.title): e for e in registered(tier, "")}


def neutral(record: Record, tier: str) -> Any:
    """Its inputs without the name of the environment."""
    text = json.dumps(record.properties).replace(f"shop-{tier}", "shop-ENVIRONMENT")
    inputs = json.loads(text)
    for name in ("tags", "tagSpecifications"):
        inputs.pop(name, None)
    return inputs


def reason_of(key: Key) -> str | None:
    return next(
        (row for (type_, title), row in RESOURCES.items() if key[0] == type_ and title in key[1]),
        None,
    )


def differing(tier: str) -> Iterator[tuple[Key, str]]:
    """Every input of a resource of both that is another than in prod."""
    ours, prod = resources(tier), resources("prod")
    for key in ours.keys() & prod.keys():
        before, after = neutral(ours[key], tier), neutral(prod[key], "prod")
        yield from ((key, each.path) for each in differences(before, after))


@pytest.mark.parametrize("tier", ["dev", "staging"])
def test_a_tier_has_the_resources_of_prod_but_for_those_that_a_stated_difference_takes_away(
    tier: str,
) -> None:
    ours, prod = resources(tier), resources("prod")
    assert ours.keys() <= prod.keys()
    assert {key for key in prod.keys() - ours.keys() if reason_of(key) is None} == set()


@pytest.mark.parametrize("tier", ["dev", "staging"])
def test_inputs_differ_from_those_of_prod_only_where_a_difference_is_stated(tier: str) -> None:
    found = {(key[0], path) for key, path in differing(tier)}
    assert found - VALUES.keys() == set()


def test_every_reason_given_here_is_a_row_of_the_table_and_every_row_is_seen() -> None:
    named = {*RESOURCES.values(), *VALUES.values()}
    assert named == set(DIFFERENCES)
    seen = {(key[0], path) for tier in ("dev", "staging") for key, path in differing(tier)}
    assert VALUES.keys() <= seen
