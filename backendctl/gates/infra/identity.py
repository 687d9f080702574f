"""Who may do what, and where secrets stand."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from backendctl.gates.infra.rules import Breach, Judged, at, listed, rule
from backendctl.shipped.stacks.policies import UNSCOPED
from backendctl.shipped.stacks.record import Record

POLICIES: Mapping[str, str] = {
    "iam/rolePolicy:RolePolicy": "policy",
    "iam/policy:Policy": "policy",
    "iam/userPolicy:UserPolicy": "policy",
    "iam/groupPolicy:GroupPolicy": "policy",
    "iam/role:Role": "assumeRolePolicy",
    "s3/bucketPolicy:BucketPolicy": "policy",
    "sns/topicPolicy:TopicPolicy": "policy",
    "sns/topic:Topic": "policy",
    "ec2/vpcEndpoint:VpcEndpoint": "policy",
    "kms/key:Key": "policy",
    "kms/keyPolicy:KeyPolicy": "policy",
    "sqs/queue:Queue": "policy",
    "sqs/queuePolicy:QueuePolicy": "policy",
    "secretsmanager/secret:Secret": "policy",
    "secretsmanager/secretPolicy:SecretPolicy": "policy",
    "ecr/repositoryPolicy:RepositoryPolicy": "policy",
}
"""Type -> input that holds a policy."""
OF_ITSELF = frozenset(
    {
        "iam/role:Role",
        "kms/key:Key",
        "kms/keyPolicy:KeyPolicy",
        "sqs/queue:Queue",
        "sqs/queuePolicy:QueuePolicy",
        "secretsmanager/secret:Secret",
        "secretsmanager/secretPolicy:SecretPolicy",
        "ecr/repositoryPolicy:RepositoryPolicy",
    }
)
"""Whose policy is about nothing but the resource that it hangs on: there "*" is that one."""
KEYS = ("kms/key:Key", "kms/keyPolicy:KeyPolicy")
ATTACHED: Mapping[str, str] = {
    "iam/rolePolicyAttachment:RolePolicyAttachment": "policyArn",
    "iam/userPolicyAttachment:UserPolicyAttachment": "policyArn",
    "iam/groupPolicyAttachment:GroupPolicyAttachment": "policyArn",
    "iam/policyAttachment:PolicyAttachment": "policyArn",
    "iam/role:Role": "managedPolicyArns",
    "iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive": "policyArns",
}
"""Type -> input that names policies which stand elsewhere."""
WHO = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceorgid",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "kms:calleraccount",
    }
)
"""Conditions that say who is meant (IAM User Guide, "AWS global condition context keys"). Any
other, such as that TLS is used, still lets everybody in."""
POSITIVE = ("StringEquals", "StringLike", "ArnEquals", "ArnLike")
"""Operators by which a condition names somebody; a negated one or `...IfExists` lets others in."""
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
            yield from _too_much(judged, each, key, at(each, key), kind in OF_ITSELF)
    for each in judged.of("iam/role:Role"):
        for number, inline in enumerate(listed(each, "inlinePolicies")):
            key = f"inlinePolicies[{number}]"
            yield from _too_much(judged, each, key, inline.get("policy"), of_itself=False)
    ours = {f"arn:aws:iam:::{each.name}" for each in judged.of("iam/policy:Policy")}
    for kind, key in ATTACHED.items():
        for each in judged.of(kind):
            for arn in _many(at(each, key)):
                name = str(arn).partition(":policy/")[2]
                if arn not in ours and not (
                    name in MANAGED and str(arn).startswith("arn:aws:iam::aws:")
                ):
                    yield Breach(
                        each.title,
                        f"{arn} is none of the policies that may be attached",
                        "a policy of its own with the actions that are needed",
                    )


def _too_much(
    judged: Judged, each: Record, key: str, written: Any, of_itself: bool
) -> Iterator[Breach]:
    if not written:
        return
    try:
        body = json.loads(written) if isinstance(written, str) else written
    except json.JSONDecodeError:
        yield Breach(each.title, f"`{key}` is no JSON", "a policy document")
        return
    account = judged.environment.account
    for statement in _many(body.get("Statement")):
        if statement.get("Effect") != "Allow" or _account_governs_key(each, statement, account):
            continue
        yield from _whom(each, statement, account)
        yield from _what(each, statement, of_itself)


def _whom(each: Record, statement: Mapping[str, Any], account: str) -> Iterator[Breach]:
    principal = statement.get("Principal")
    if "NotPrincipal" in statement:
        yield Breach(each.title, "NotPrincipal allows what nobody listed", "a list")
    if _anybody(principal) and not _says_who(statement.get("Condition")):
        yield Breach(
            each.title,
            "it allows everybody",
            "a principal, or a condition that says who (aws:PrincipalAccount, aws:SourceArn ...)",
        )
    named = _many(principal.get("AWS")) if isinstance(principal, Mapping) else []
    for who in named:
        found = re.search(r"(?<!\d)\d{12}(?!\d)", str(who))
        if found and found[0] != account:
            yield Breach(
                each.title, f"it allows another account, {found[0]}", f"principals of {account}"
            )


def _what(each: Record, statement: Mapping[str, Any], of_itself: bool) -> Iterator[Breach]:
    for forbidden in ("NotAction", "NotResource"):
        if forbidden in statement:
            yield Breach(each.title, f"{forbidden} allows what nobody listed", "a list")
    actions = [str(action) for action in _many(statement.get("Action"))]
    for action in actions:
        if "*" in action:
            yield Breach(each.title, f"it allows {action}", "the actions that are needed")
    if of_itself or "*" not in _many(statement.get("Resource")):
        return
    scoped = sorted(set(actions) - UNSCOPED.keys())
    if scoped:
        yield Breach(
            each.title,
            f"it allows {', '.join(scoped)} on every resource",
            "the resources that are meant (or, where AWS knows none for the action, its "
            "entry in UNSCOPED of stacks/policies.py)",
        )


def _account_governs_key(each: Record, statement: Mapping[str, Any], account: str) -> bool:
    """AWS's own default for keys, without which one can become unmanageable for good."""
    principal = statement.get("Principal")
    root = principal.get("AWS") if isinstance(principal, Mapping) else None
    of_a_key = each.type.removeprefix("aws:") in KEYS
    return of_a_key and _many(root) in ([f"arn:aws:iam::{account}:root"], [account])


def _says_who(condition: Any) -> bool:
    if not isinstance(condition, Mapping):
        return False
    return any(
        key.lower() in WHO and "*" not in _many(value)
        for operator, keys in condition.items()
        if operator in POSITIVE
        for key, value in keys.items()
    )


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
