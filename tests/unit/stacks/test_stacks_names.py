"""Names that AWS takes, of the longest and of the most awkward services there are."""

import re
from collections.abc import Mapping, Sequence
from functools import cache

import pytest

from backendctl.provision.aws import AWS_STACKS
from backendctl.provision.simulate import simulate
from backendctl.shipped.stacks.record import Record
from backendctl.spec.load import read_spec
from tests.aws_environments import ACCOUNT

pytestmark = pytest.mark.xdist_group("stacks")

IDENTIFIER = r"[a-z](-?[a-z0-9])*"
"""Of RDS and ElastiCache: no two hyphens in a row, none in the end."""
RULES: Mapping[tuple[str, str], tuple[int, str]] = {
    ("rds/instance:Instance", "identifier"): (63, IDENTIFIER),
    ("rds/instance:Instance", "finalSnapshotIdentifier"): (255, IDENTIFIER),
    ("rds/instance:Instance", "dbName"): (63, r"[a-z][a-z0-9_]*"),
    ("rds/parameterGroup:ParameterGroup", "namePrefix"): (229, r"[a-z](-?[a-z0-9])*-"),
    ("elasticache/replicationGroup:ReplicationGroup", "replicationGroupId"): (40, IDENTIFIER),
    ("elasticache/replicationGroup:ReplicationGroup", "finalSnapshotIdentifier"): (255, IDENTIFIER),
    ("elasticache/userGroup:UserGroup", "userGroupId"): (40, IDENTIFIER),
    ("eks/cluster:Cluster", "name"): (100, r"[0-9A-Za-z][A-Za-z0-9_-]*"),
    ("ec2/launchTemplate:LaunchTemplate", "namePrefix"): (99, r"[\w()./-]{3,}"),
    ("lb/loadBalancer:LoadBalancer", "name"): (32, r"(?!internal-)[a-zA-Z0-9](-?[a-zA-Z0-9])*"),
    ("lb/targetGroup:TargetGroup", "name"): (32, r"[a-zA-Z0-9](-?[a-zA-Z0-9])*"),
    ("s3/bucket:Bucket", "bucketPrefix"): (37, r"[a-z0-9][a-z0-9-]*"),
    ("sns/topic:Topic", "name"): (256, r"[A-Za-z0-9_-]+"),
    ("cloudformation/stack:Stack", "name"): (128, r"[A-Za-z][A-Za-z0-9-]*"),
    ("kms/alias:Alias", "name"): (256, r"alias/(?!aws/)[a-zA-Z0-9/_-]+"),
    ("cloudwatch/logGroup:LogGroup", "name"): (512, r"(?!aws/)[.\-_/#A-Za-z0-9]+"),
    ("cloudwatch/metricAlarm:MetricAlarm", "name"): (255, r".+"),
    ("ec2/securityGroup:SecurityGroup", "description"): (255, r"[\w .:/()#,@\[\]+=&;{}!$*-]+"),
    ("vpc/securityGroupIngressRule:SecurityGroupIngressRule", "description"): (
        255,
        r"[\w .:/()#,@\[\]+=&;{}!$*-]+",
    ),
}
"""Type and input -> the most characters and the form that the service's API reference says, what
the provider adds to a prefix taken off."""


@cache
def of(service: str, environment: str) -> Sequence[Record]:
    text = f"""\
[service]
name = "{service}"
start = "serve"
residency = "eu"
[load]
peak_rps = 200
[data]
engine = "postgresql"
replicas = 15
[cache]
engine = "valkey"
[environments.{environment}]
platform = "aws"
account = "{ACCOUNT}"
"""
    spec = read_spec(text.encode(), "backend.toml")
    return simulate(spec, spec.environments[environment], AWS_STACKS)


@pytest.mark.parametrize(
    ("service", "environment"),
    [("a" * 40, "b" * 40), ("a-" * 19 + "bc", "prod-" + "x" * 35), ("internal-api", "prod")],
)
def test_every_name_is_one_that_aws_takes(service: str, environment: str) -> None:
    refused, seen = [], set()
    for each in of(service, environment):
        for (kind, key), (most, form) in RULES.items():
            value = each.properties.get(key)
            if each.type != f"aws:{kind}" or value is None:
                continue
            seen.add((kind, key))
            if len(value) > most or not re.fullmatch(form, value):
                refused.append((each.title, key, value, len(value)))
    assert refused == []
    assert seen == RULES.keys()


def test_no_two_of_one_kind_have_the_same_name() -> None:
    named = [
        (each.type, each.properties[key])
        for each in of("a" * 40, "b" * 40)
        for (kind, key) in RULES
        if each.type == f"aws:{kind}" and key in ("name", "identifier") and key in each.properties
    ]
    assert len(named) == len(set(named))
