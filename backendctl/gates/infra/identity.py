"""Who may do what, and where secrets stand."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from backendctl.gates.infra.rules import Breach, Judged, at, rule
from backendctl.shipped.stacks.policies import UNSCOPED
from backendctl.shipped.stacks.record import Record

POLICIES: Mapping[str, str] = {
    "iam/rolePolicy:RolePolicy": "policy",
    "iam/policy:Policy": "policy",
    "iam/userPolicy:UserPolicy": "policy",
    "iam/groupPolicy:GroupPolicy": "policy",
    "iam/role:Role": "assumeRolePolicy",
    "s3/bucketPolicy:BucketPolicy": "policy",
    "kms/key:Key": "policy",
    "sns/topicPolicy:TopicPolicy": "policy",
    "ec2/vpcEndpoint:VpcEndpoint": "policy",
}
"""Type -> input that holds a policy."""
OF_A_RESOURCE = frozenset({"assumeRolePolicy"})
ATTACHED = ("iam/rolePolicyAttachment:RolePolicyAttachment",)
MANAGED: Mapping[str, str] = {
    "AmazonEKSClusterPolicy": "EKS needs it to run a cluster",
    "AmazonEKSWorkerNodePolicy": "nodes need it to join",
    "AmazonEC2ContainerRegistryPullOnly": "nodes pull images",
    "AmazonEKS_CNI_Policy": "the network plug-in gives pods their addresses",
    "service-role/AmazonRDSEnhancedMonitoringRole": "RDS writes the monitoring of a database",
}
"""Policies of AWS's own that may be attached, and why; AWS keeps them as narrow as the service
allows ("AWS managed policies for Amazon EKS", "... for Amazon RDS")."""


@rule(
    "rights that nobody needs are rights that an intruder has",
    'AWS IAM User Guide, "Security best practices: Apply least-privilege permissions"; CIS AWS '
    "Foundations Benchmark 3.0, 1.16",
    *POLICIES,
    *ATTACHED,
)
def least_privilege(judged: Judged) -> Iterator[Breach]:
    for kind, key in POLICIES.items():
        for each in judged.of(kind):
            written = at(each, key)
            if written:
                yield from _too_much(each, key, written)
    for each in judged.of(*ATTACHED):
        name = str(at(each, "policyArn")).partition(":policy/")[2]
        if name not in MANAGED:
            yield Breach(
                each.title,
                f"{at(each, 'policyArn')} is none of the policies that may be attached",
                "a policy of its own with the actions that are needed",
            )


def _too_much(each: Record, key: str, written: Any) -> Iterator[Breach]:
    try:
        body = json.loads(written) if isinstance(written, str) else written
    except json.JSONDecodeError:
        yield Breach(each.title, f"`{key}` is no JSON", "a policy document")
        return
    for statement in _many(body.get("Statement")):
        if statement.get("Effect") != "Allow" or _account_governs_key(each, statement):
            continue
        for forbidden in ("NotAction", "NotResource", "NotPrincipal"):
            if forbidden in statement:
                yield Breach(each.title, f"{forbidden} allows what nobody listed", "a list")
        actions = [str(action) for action in _many(statement.get("Action"))]
        for action in actions:
            if "*" in action:
                yield Breach(each.title, f"it allows {action}", "the actions that are needed")
        if _anybody(statement.get("Principal")) and "Condition" not in statement:
            yield Breach(each.title, "it allows everybody", "a principal")
        if each.type.endswith(":Key") or key in OF_A_RESOURCE:
            continue  # "*" is the key itself; a role's trust has no resource
        if "*" in _many(statement.get("Resource")):
            scoped = sorted(set(actions) - UNSCOPED.keys())
            if scoped:
                yield Breach(
                    each.title,
                    f"it allows {', '.join(scoped)} on every resource",
                    "the resources that are meant (or, where AWS knows none for the action, its "
                    "entry in UNSCOPED of stacks/policies.py)",
                )


def _account_governs_key(each: Record, statement: Mapping[str, Any]) -> bool:
    """AWS's own default for keys, without which one can become unmanageable for good."""
    principal = statement.get("Principal")
    root = principal.get("AWS") if isinstance(principal, Mapping) else None
    return each.type.endswith(":Key") and str(root).endswith(":root")


def _anybody(principal: Any) -> bool:
    if isinstance(principal, Mapping):
        return any("*" in _many(value) for value in principal.values())
    return bool(principal == "*")


def _many(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


# --- secrets ----------------------------------------------------------------------------------

SECRET_NAME = re.compile(
    r"(password|passphrase|secretstring|authtoken|privatekey|secretkey|apikey|accesskey|"
    r"credentials?)s?(wo)?$",
    re.IGNORECASE,
)
SECRET_VALUE = re.compile(
    r"AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY-----|://[^/\s:@{]+:[^@/\s{]+@"
)
RESOLVED = "{{resolve:"
"""What CloudFormation puts in by itself; the text holds no secret."""


@rule(
    "what stands in a program or a state in clear is in every copy of it",
    'Pulumi documentation, "Secrets"; OWASP Secrets Management Cheat Sheet',
)
def no_plain_secrets(judged: Judged) -> Iterator[Breach]:
    for each in judged.own:
        for path, value in _texts(each.properties, ""):
            if path.partition(".")[0] in each.secret or RESOLVED in value:
                continue
            name = re.sub(r"\[\d+\]|[^A-Za-z]", "", path.rpartition(".")[2])
            if (SECRET_NAME.search(name) and value) or SECRET_VALUE.search(value):
                yield Breach(
                    each.title,
                    f"`{path}` holds a secret in clear",
                    "a reference to Secrets Manager, or one that AWS makes itself",
                )


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inside in value.items():
            yield from _texts(inside, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for number, inside in enumerate(value):
            yield from _texts(inside, f"{path}[{number}]")
    elif isinstance(value, str):
        yield path, value


RULES = (least_privilege, no_plain_secrets)
