"""Each rule finds the stack that breaks it, and nothing in ours."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from backendctl.gates.infra.gate import NAMES, RULES, judge
from backendctl.gates.results import Finding, Result
from backendctl.shipped.stacks import versions
from backendctl.shipped.stacks.record import Record
from tests.aws_environments import ACCOUNT, PUBLIC, registered, whole
from tests.unit.stacks.provider_schema import mistakes

pytestmark = pytest.mark.xdist_group("stacks")

TODAY = date(2026, 11, 21)
SMALL = 'size = "small"'
Records = Sequence[Record]
Seed = Callable[[Records], Records]


def found(records: Records, today: date = TODAY, environment: str = "prod") -> Sequence[Finding]:
    return judge(whole(environment), {environment: records}, (), today).findings


# --- our own ----------------------------------------------------------------------------------


@pytest.mark.parametrize("regime", ["", "hipaa", "pci-dss"])
def test_our_stacks_of_prod_pass_under_every_regime(regime: str) -> None:
    spec, records = whole("prod", PUBLIC, regime), registered("prod", PUBLIC, regime)
    answer = judge(spec, {"prod": records}, (), TODAY)
    assert answer.findings == ()
    assert answer.result is Result.PASS


@pytest.mark.parametrize("environment", ["prod", "staging", "dev"])
@pytest.mark.parametrize("size", ["", SMALL])
def test_our_stacks_pass_in_every_size_and_environment(environment: str, size: str) -> None:
    spec, records = whole(environment, size), registered(environment, size)
    answer = judge(spec, {environment: records}, (), TODAY)
    assert answer.findings == ()
    assert sum(answer.looked_at.values()) > 80


@pytest.mark.parametrize("size", ["", f"{SMALL}\n"])
@pytest.mark.parametrize(
    "adopted",
    [
        'vpc = "vpc-0abc"',
        'database = "old"',
        'vpc = "vpc-0abc"\ndatabase = "old"',
        'vpc = "vpc-0abc"\ncluster = "platform"\ngateway = "edge/shared"',
        'vpc = "vpc-0abc"\ncluster = "platform"\ngateway = "edge/shared"\ndatabase = "old"',
    ],
)
def test_our_stacks_pass_beside_whatever_is_adopted(adopted: str, size: str) -> None:
    records = registered("prod", size + adopted)
    assert judge(whole("prod", size + adopted), {"prod": records}, (), TODAY).findings == ()
    known = [each for each in records if each.type.startswith("aws:") and not each.adopted]
    assert [wrong for each in known for wrong in mistakes(each)] == []


def test_every_rule_is_held_against_something_of_ours() -> None:
    answer = judge(whole("prod"), {"prod": registered("prod")}, (), TODAY)
    assert [each.rule for each in answer.checked if each.subjects == 0] == []
    assert all(each.reason and each.source for each in answer.checked)


# --- seeded bad stacks ------------------------------------------------------------------------


def but(title: str, kind: str = "", **properties: Any) -> Seed:
    """Our stacks, but with other inputs in one resource (None takes one away)."""

    def seeded(records: Records) -> Records:
        changed = []
        for each in records:
            if each.title == title and each.type.endswith(kind):
                merged = {**each.properties, **properties}
                kept = {key: value for key, value in merged.items() if value is not None}
                each = replace(each, properties=kept)
            changed.append(each)
        assert changed != list(records), title
        return changed

    return seeded


def without(title: str, kind: str = "") -> Seed:
    """Our stacks without one resource."""

    def seeded(records: Records) -> Records:
        left = [e for e in records if not (e.title == title and e.type.endswith(kind))]
        assert len(left) < len(records), title
        return left

    return seeded


def beside(kind: str, name: str, **properties: Any) -> Seed:
    """Our stacks and one resource more."""
    tags = {"service": "shop", "environment": "prod", "managed-by": "backendctl"}
    record = Record(f"aws:{kind}", name, "extra", {"tags": tags, **properties})
    return lambda records: [*records, record]


def unprotected(title: str, kind: str) -> Seed:
    def seeded(records: Records) -> Records:
        return [
            replace(e, protected=False) if e.title == title and e.type.endswith(kind) else e
            for e in records
        ]

    return seeded


def allowing(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


DATABASE = ("data/database", ":Instance")
CACHE = ("data/cache", ":ReplicationGroup")
CLUSTER = ("cluster/cluster", ":Cluster")
NODES = ("cluster/nodes", ":LaunchTemplate")
INGRESS = "vpc/securityGroupIngressRule:SecurityGroupIngressRule"
POLICY = "iam/rolePolicy:RolePolicy"
EVERYBODY = {"Resource": "*", "Principal": "*"}

SEEDS: list[tuple[str, Seed, str]] = [
    ("no-public-database", but(*DATABASE, publiclyAccessible=True), "data/database"),
    ("no-public-database", but(*DATABASE, publiclyAccessible=None), "data/database"),
    (
        "no-public-database",
        but("data/database", ":SubnetGroup", subnetIds=["Subnet/public-0", "Subnet/public-1"]),
        "data/database",
    ),
    ("no-open-ingress", but("data/database-in", cidrIpv4="0.0.0.0/0"), "data/database-in"),
    ("no-open-ingress", but("data/cache-in", cidrIpv6="::/0"), "data/cache-in"),
    (
        "no-open-ingress",
        but("addons/users-443", fromPort=22, toPort=22),
        "addons/users-443",
    ),
    (
        "no-open-ingress",
        beside(
            "ec2/securityGroup:SecurityGroup",
            "legacy",
            ingress=[{"protocol": "-1", "cidrBlocks": ["0.0.0.0/0"]}],
        ),
        "extra/legacy",
    ),
    (
        "no-open-ingress",
        beside(
            "ec2/securityGroupRule:SecurityGroupRule",
            "older",
            type="ingress",
            protocol="tcp",
            fromPort=22,
            toPort=22,
            cidrBlocks=["0.0.0.0/0"],
        ),
        "extra/older",
    ),
    (
        "no-open-ingress",
        but(*CLUSTER, vpcConfig={"endpointPublicAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]}),
        "cluster/cluster",
    ),
    ("no-open-ingress", but(*CLUSTER, vpcConfig={}), "cluster/cluster"),
    ("flow-logs", without("network/flow", ":FlowLog"), "network/vpc"),
    ("instance-metadata", but(*NODES, metadataOptions={"httpTokens": "optional"}), "cluster/nodes"),
    ("instance-metadata", but(*NODES, metadataOptions={"httpTokens": "required"}), "cluster/nodes"),
    (
        "private-buckets",
        but("addons/access-logs", ":BucketPublicAccessBlock", blockPublicPolicy=False),
        "addons/access-logs",
    ),
    ("encrypted-at-rest", but(*DATABASE, storageEncrypted=False), "data/database"),
    ("encrypted-at-rest", but(*CACHE, atRestEncryptionEnabled=None), "data/cache"),
    ("encrypted-at-rest", but(*CLUSTER, encryptionConfig=None), "cluster/cluster"),
    (
        "encrypted-at-rest",
        but(*NODES, blockDeviceMappings=[{"deviceName": "/dev/xvdb", "ebs": {"volumeSize": 50}}]),
        "cluster/nodes",
    ),
    ("encrypted-at-rest", but("addons/alarms", ":Topic", kmsMasterKeyId=None), "addons/alarms"),
    (
        "encrypted-at-rest",
        without("addons/access-logs", ":BucketServerSideEncryptionConfiguration"),
        "addons/access-logs",
    ),
    (
        "encrypted-in-transit",
        but("data/database", ":ParameterGroup", parameters=[]),
        "data/database",
    ),
    ("encrypted-in-transit", but(*CACHE, transitEncryptionEnabled=False), "data/cache"),
    ("encrypted-in-transit", but(*CACHE, transitEncryptionMode="preferred"), "data/cache"),
    (
        "encrypted-in-transit",
        but("addons/http", defaultActions=[{"type": "forward"}]),
        "addons/http",
    ),
    (
        "encrypted-in-transit",
        but("addons/https", sslPolicy="ELBSecurityPolicy-2016-08"),
        "addons/https",
    ),
    ("recovery-meets-rpo", but(*DATABASE, backupRetentionPeriod=0), "data/database"),
    ("recovery-meets-rpo", but(*DATABASE, backupRetentionPeriod=3), "data/database"),
    ("recovery-meets-rpo", but(*DATABASE, skipFinalSnapshot=True), "data/database"),
    ("multi-az-in-prod", but(*DATABASE, multiAz=False), "data/database"),
    ("multi-az-in-prod", but(*CACHE, automaticFailoverEnabled=False), "data/cache"),
    ("multi-az-in-prod", but("cluster/nodes", ":NodeGroup", subnetIds=["a"]), "cluster/nodes"),
    (
        "multi-az-in-prod",
        but("cluster/nodes", ":NodeGroup", scalingConfig={"minSize": 1}),
        "cluster/nodes",
    ),
    ("deletion-protection", but(*DATABASE, deletionProtection=False), "data/database"),
    ("deletion-protection", but(*CLUSTER, deletionProtection=None), "cluster/cluster"),
    (
        "deletion-protection",
        but("addons/balancer", ":LoadBalancer", enableDeletionProtection=False),
        "addons/balancer",
    ),
    ("deletion-protection", unprotected(*DATABASE), "data/database"),
    ("deletion-protection", unprotected("addons/access-logs", ":Bucket"), "addons/access-logs"),
    (
        "least-privilege",
        beside(POLICY, "all", policy=allowing(Action="*", Resource="arn:aws:s3:::b")),
        "extra/all",
    ),
    (
        "least-privilege",
        beside(POLICY, "many", policy=allowing(Action=["s3:Get*"], Resource="arn:aws:s3:::b/*")),
        "extra/many",
    ),
    (
        "least-privilege",
        beside(POLICY, "wide", policy=allowing(Action=["s3:GetObject"], Resource="*")),
        "extra/wide",
    ),
    (
        "least-privilege",
        beside(POLICY, "not", policy=allowing(NotAction=["iam:CreateUser"], Resource="arn:x")),
        "extra/not",
    ),
    (
        "least-privilege",
        beside(
            "iam/role:Role",
            "anybody",
            assumeRolePolicy=allowing(Action="sts:AssumeRole", Principal={"AWS": "*"}),
        ),
        "extra/anybody",
    ),
    (
        "least-privilege",
        beside(
            "iam/rolePolicyAttachment:RolePolicyAttachment",
            "admin",
            policyArn="arn:aws:iam::aws:policy/AdministratorAccess",
        ),
        "extra/admin",
    ),
    (
        "least-privilege",
        beside(
            "s3/bucketPolicy:BucketPolicy",
            "open",
            policy=allowing(Action=["s3:GetObject"], Resource="arn:aws:s3:::b/*", Principal="*"),
        ),
        "extra/open",
    ),
    (
        "least-privilege",
        beside(
            "iam/role:Role",
            "inline",
            inlinePolicies=[{"name": "all", "policy": allowing(Action="s3:*", Resource="arn:x")}],
        ),
        "extra/inline",
    ),
    (
        "least-privilege",
        beside(
            "iam/role:Role",
            "managed",
            managedPolicyArns=["arn:aws:iam::aws:policy/AdministratorAccess"],
        ),
        "extra/managed",
    ),
    (
        "least-privilege",
        beside(
            "iam/role:Role",
            "namesake",
            managedPolicyArns=["arn:aws:iam::210987654321:policy/AmazonEKSClusterPolicy"],
        ),
        "extra/namesake",
    ),
    (
        "least-privilege",
        beside("kms/key:Key", "shared", policy=allowing(Action="kms:Decrypt", **EVERYBODY)),
        "extra/shared",
    ),
    (
        "least-privilege",
        beside("kms/keyPolicy:KeyPolicy", "late", policy=allowing(Action="kms:*", **EVERYBODY)),
        "extra/late",
    ),
    (
        "least-privilege",
        beside(
            "kms/key:Key",
            "theirs",
            policy=allowing(
                Action="kms:*", Resource="*", Principal={"AWS": "arn:aws:iam::210987654321:root"}
            ),
        ),
        "extra/theirs",
    ),
    (
        "least-privilege",
        beside("sqs/queuePolicy:QueuePolicy", "q", policy=allowing(Action="sqs:Send", **EVERYBODY)),
        "extra/q",
    ),
    (
        "least-privilege",
        beside("sqs/queue:Queue", "jobs", policy=allowing(Action="sqs:SendMessage", **EVERYBODY)),
        "extra/jobs",
    ),
    (
        "least-privilege",
        beside(
            "secretsmanager/secretPolicy:SecretPolicy",
            "key",
            policy=allowing(Action="secretsmanager:GetSecretValue", **EVERYBODY),
        ),
        "extra/key",
    ),
    (
        "least-privilege",
        beside(
            "s3/bucketPolicy:BucketPolicy",
            "by-tls",
            policy=allowing(
                Action=["s3:GetObject"],
                Resource="arn:aws:s3:::b/*",
                Principal={"AWS": ["*"]},
                Condition={"Bool": {"aws:SecureTransport": "true"}},
            ),
        ),
        "extra/by-tls",
    ),
    (
        "least-privilege",
        beside(
            "secretsmanager/secretPolicy:SecretPolicy",
            "others",
            policy=allowing(
                Action="secretsmanager:GetSecretValue",
                Resource="*",
                Principal={"AWS": "arn:aws:iam::210987654321:role/x"},
            ),
        ),
        "extra/others",
    ),
    ("no-plain-secrets", but(*DATABASE, password="hunter2"), "data/database"),
    ("no-plain-secrets", but(*DATABASE, passwordWo="hunter2"), "data/database"),
    (
        "no-plain-secrets",
        beside("ssm/parameter:Parameter", "url", value="postgresql://shop:hunter2@db:5432/shop"),
        "extra/url",
    ),
    (
        "no-plain-secrets",
        beside("ec2/instance:Instance", "box", userData="export KEY=AKIAABCDEFGHIJKLMNOP"),
        "extra/box",
    ),
    (
        "no-plain-secrets",
        beside("elasticache/user:User", "user", passwords=["a-password-in-clear"]),
        "extra/user",
    ),
    ("required-tags", but("network/vpc", tags={"service": "shop"}), "network/vpc"),
    ("required-tags", but("network/vpc", tags=None), "network/vpc"),
    ("residency", but("data/aws", region="us-east-1"), "data/aws"),
    ("residency", but("data/aws", allowedAccountIds=None), "data/aws"),
    ("residency", but("data/aws", allowedAccountIds=["210987654321"]), "data/aws"),
    ("residency", but("network/vpc", region="us-east-1"), "network/vpc"),
    ("residency", but("data/data", ":Key", multiRegion=True), "data/data"),
    (
        "residency",
        beside("s3/bucketReplicationConfig:BucketReplicationConfig", "copy"),
        "extra/copy",
    ),
    ("supported-versions", but(*DATABASE, engineVersion="12.22"), "data/database"),
    ("supported-versions", but(*CLUSTER, version="1.27"), "cluster/cluster"),
    ("supported-versions", but(*CACHE, engineVersion=None), "data/cache"),
    ("logs-expire", but("network/flow", ":LogGroup", retentionInDays=0), "network/flow"),
    ("logs-expire", but("network/flow", ":LogGroup", retentionInDays=7), "network/flow"),
]


@pytest.mark.parametrize(
    ("rule", "seed", "subject"), SEEDS, ids=[f"{s[0]}-{i}" for i, s in enumerate(SEEDS)]
)
def test_a_bad_stack_is_found(rule: str, seed: Seed, subject: str) -> None:
    breaches = {(each.rule, each.subject) for each in found(seed(registered("prod")))}
    assert (rule, subject) in breaches


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"kms:CallerAccount": ACCOUNT}},
        {"ArnLike": {"aws:SourceArn": f"arn:aws:sns:eu-central-1:{ACCOUNT}:alarms"}},
    ],
)
def test_everybody_is_allowed_where_a_condition_says_who(condition: dict[str, object]) -> None:
    policy = allowing(Action="kms:Decrypt", Condition=condition, **EVERYBODY)
    assert found(beside("kms/key:Key", "shared", policy=policy)([])) == ()


def test_every_rule_has_a_seeded_bad_stack() -> None:
    assert {seed[0] for seed in SEEDS} == set(NAMES)


def test_an_rpo_shorter_than_backups_trail_needs_a_standby_or_a_copy() -> None:
    spec = whole("staging", "", "", "2m")
    alone = [
        replace(each, properties={**each.properties, "multiAz": False})
        for each in registered("staging", "")
        if each.title != "data/replica-1"
    ]
    answer = judge(spec, {"staging": alone}, (), TODAY)
    assert {each.rule for each in answer.findings} == {"recovery-meets-rpo"}
    assert "trail by 300 s" in answer.findings[0].message


def test_a_version_is_refused_the_day_after_its_support_ends() -> None:
    (pinned,) = (each for each in versions.SUPPORT if each.version == versions.EKS)
    last = pinned.supported_until
    assert not [e for e in found(registered("prod"), last) if e.subject == "cluster/cluster"]
    after = found(registered("prod"), last.replace(year=last.year + 1))
    assert ("supported-versions", "cluster/cluster") in {(e.rule, e.subject) for e in after}


def test_it_is_said_as_of_when_versions_are_judged_and_when_that_is_too_long_ago() -> None:
    last = versions.READ + timedelta(days=versions.MOST_AGE)
    records = {"prod": registered("prod")}
    (said,) = judge(whole("prod"), records, (), last).remarks
    assert str(versions.READ) in said
    assert "too long" not in said
    (said,) = judge(whole("prod"), records, (), last + timedelta(days=1)).remarks
    assert "181 days ago. That is too long" in said


def test_what_is_marked_secret_is_not_in_clear() -> None:
    records = [
        replace(
            each, properties={**each.properties, "password": "x"}, secret=frozenset({"password"})
        )
        if each.title == "data/database"
        else each
        for each in registered("prod")
    ]
    assert found(records) == ()


def test_what_is_adopted_is_its_owners_to_judge() -> None:
    open_one = Record(
        "aws:rds/instance:Instance", "old", "data", {"publiclyAccessible": True}, adopted=True
    )
    assert found([*registered("prod"), open_one]) == ()


def test_a_gate_that_looked_at_nothing_did_not_pass() -> None:
    assert judge(whole("prod"), {"prod": ()}, (), TODAY).result is Result.TOOL_ERROR


def test_rule_names_are_told_apart() -> None:
    assert len(set(NAMES)) == len(RULES)
    assert ACCOUNT not in " ".join(NAMES)
