"""IAM documents, as plain data: who may do what to which resource.

No action ends in `*`. A statement on every resource (`"*"`) stands only where AWS knows no
resource for the action; each such action is listed in `UNSCOPED` with where that is said, and
`check infra` refuses any other.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

VERSION = "2012-10-17"

UNSCOPED: Mapping[str, str] = {
    "autoscaling:DescribeAutoScalingGroups": "EC2 Auto Scaling: Describe actions know no resource",
    "autoscaling:DescribeAutoScalingInstances": "EC2 Auto Scaling: as above",
    "autoscaling:DescribeLaunchConfigurations": "EC2 Auto Scaling: as above",
    "autoscaling:DescribeScalingActivities": "EC2 Auto Scaling: as above",
    "autoscaling:DescribeTags": "EC2 Auto Scaling: as above",
    "ec2:DescribeAvailabilityZones": "EC2: Describe actions know no resource",
    "ec2:DescribeImages": "EC2: as above",
    "ec2:DescribeInstanceTypes": "EC2: as above",
    "ec2:DescribeInstances": "EC2: as above",
    "ec2:DescribeLaunchTemplateVersions": "EC2: as above",
    "ec2:DescribeNetworkInterfaces": "EC2: as above",
    "ec2:DescribeSecurityGroups": "EC2: as above",
    "ec2:DescribeSubnets": "EC2: as above",
    "ec2:DescribeVpcs": "EC2: as above",
    "ec2:GetInstanceTypesFromInstanceRequirements": "EC2: knows no resource",
    "ecr:GetAuthorizationToken": "ECR: a token is for the registry as a whole",
    "elasticloadbalancing:DescribeTargetGroups": "ELB: Describe actions know no resource",
    "elasticloadbalancing:DescribeTargetHealth": "ELB: as above",
    "xray:GetSamplingRules": "X-Ray: knows no resource for this action",
    "xray:GetSamplingTargets": "X-Ray: as above",
    "xray:PutTelemetryRecords": "X-Ray: as above",
    "xray:PutTraceSegments": "X-Ray: as above",
}
"""Actions without resource-level permissions (AWS Service Authorization Reference, "Actions,
resources, and condition keys" of each service)."""


def statement(
    actions: Sequence[str], resources: Sequence[Any], condition: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Something that is allowed."""
    body: dict[str, Any] = {
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": list(resources),
    }
    return {**body, "Condition": condition} if condition else body


def document(*statements: Mapping[str, Any]) -> dict[str, Any]:
    """A policy of these statements."""
    return {"Version": VERSION, "Statement": [dict(each) for each in statements]}


def trusts(service: str, *, session_tags: bool = False, account: str = "") -> str:
    """Who may take a role: a service of AWS, for our account only where the service says so."""
    allowed: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["sts:AssumeRole", "sts:TagSession"] if session_tags else ["sts:AssumeRole"],
    }
    if account:
        allowed["Condition"] = {"StringEquals": {"aws:SourceAccount": account}}
    return json.dumps(document(allowed))


def pods() -> str:
    """A role that pods take through EKS Pod Identity."""
    return trusts("pods.eks.amazonaws.com", session_tags=True)


def key_policy(account: str, *statements: Mapping[str, Any]) -> str:
    """A key that the account's own policies govern, and which services may use besides.

    `kms:*` for the account is what AWS makes by default and asks to keep: without it a key can
    become unmanageable for good (KMS Developer Guide, "Default key policy").
    """
    root = {
        "Sid": "AccountGoverns",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps(document(root, *statements))


def key_for_logs(region: str, group: str) -> dict[str, Any]:
    """Lets CloudWatch Logs encrypt one log group (CloudWatch Logs User Guide, "Encrypt log
    data"): the service names the group in the encryption context."""
    return {
        "Sid": "Logs",
        "Effect": "Allow",
        "Principal": {"Service": f"logs.{region}.amazonaws.com"},
        "Action": [
            "kms:Encrypt",
            "kms:Decrypt",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:DescribeKey",
        ],
        "Resource": "*",
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": group}},
    }


def key_for_service(service: str, account: str, source: str) -> dict[str, Any]:
    """Lets a service of AWS encrypt with a key, only on behalf of `source` in this account."""
    return {
        "Sid": service.split(".")[0].capitalize(),
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"],
        "Resource": "*",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": account},
            "ArnLike": {"aws:SourceArn": source},
        },
    }
