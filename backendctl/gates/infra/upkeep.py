"""Where things are, whose they are, how old they are, how long records are kept."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from backendctl.gates.infra.rules import Breach, Judged, at, rule
from backendctl.shipped.stacks.versions import SUPPORT
from backendctl.spec import derive_aws, tiers_aws
from backendctl.spec.places import zone_of

REQUIRED_TAGS = ("service", "environment", "managed-by")
UNTAGGED = frozenset(
    {
        "acm/certificateValidation:CertificateValidation",
        "ec2/route:Route",
        "ec2/routeTableAssociation:RouteTableAssociation",
        "eks/accessPolicyAssociation:AccessPolicyAssociation",
        "iam/rolePolicy:RolePolicy",
        "iam/rolePolicyAttachment:RolePolicyAttachment",
        "kms/alias:Alias",
        "route53/record:Record",
        "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "s3/bucketPolicy:BucketPolicy",
        "s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "sns/topicSubscription:TopicSubscription",
        "wafv2/webAclAssociation:WebAclAssociation",
    }
)
"""Types that take no tags."""
PROVIDER = "pulumi:providers:aws"
NEWEST_WITHOUT_END = "none that is known"


@rule(
    "what nobody can tell the owner of is neither paid for nor deleted by anybody",
    'AWS whitepaper "Best Practices for Tagging AWS Resources"',
)
def required_tags(judged: Judged) -> Iterator[Breach]:
    for each in judged.own:
        if not each.type.startswith("aws:") or each.type.removeprefix("aws:") in UNTAGGED:
            continue
        tags = at(each, "tags")
        missing = [
            key for key in REQUIRED_TAGS if not isinstance(tags, Mapping) or not tags.get(key)
        ]
        if missing:
            yield Breach(each.title, f"it has no tag {', '.join(missing)}", "Place.tagged")


@rule(
    "data that must stay somewhere stays there only if everything is made there",
    "GDPR, Chapter V (Articles 44-49); service.residency in backend.toml",
)
def residency(judged: Judged) -> Iterator[Breach]:
    must = judged.spec.service.residency
    stated = derive_aws.region(judged.spec, judged.environment)
    for each in judged.records:
        region = at(each, "region")
        if each.type == PROVIDER:
            if _accounts(at(each, "allowedAccountIds")) != [judged.environment.account]:
                yield Breach(
                    each.title,
                    "it would work in any account that the credentials are for",
                    "allowed_account_ids = [environment.account]",
                )
            if not region:
                yield Breach(each.title, "its region is whatever is configured", "region")
        if region and not _allowed(str(region), must, stated):
            place = f'data must stay in "{must}"' if must else f"the environment is in {stated}"
            yield Breach(each.title, f"it is in {region}, and {place}", "the environment's region")
        if at(each, "multiRegion") is True:
            yield Breach(each.title, "its key material leaves the region", "multi_region = False")
    yield from _replicated(judged)


def _accounts(written: Any) -> list[Any]:
    """Of a provider: their inputs are passed as JSON."""
    read = json.loads(written) if isinstance(written, str) else written
    return list(read or ())


def _allowed(region: str, must: str, stated: str) -> bool:
    if not must:
        return region == stated
    return region == must or (must == zone_of(must) and zone_of(region) == must)


def _replicated(judged: Judged) -> Iterator[Breach]:
    copies = (
        "s3/bucketReplicationConfig:BucketReplicationConfig",
        "rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication",
        "elasticache/globalReplicationGroup:GlobalReplicationGroup",
    )
    if not judged.spec.service.residency:
        return
    for each in judged.of(*copies):
        yield Breach(
            each.title,
            "it copies data to another region, and nothing shows that that one is allowed",
            "a copy inside the region",
        )


VERSIONED: Mapping[str, tuple[str, str]] = {
    "eks/cluster:Cluster": ("eks", "version"),
    "rds/instance:Instance": ("postgres", "engineVersion"),
    "elasticache/replicationGroup:ReplicationGroup": ("valkey", "engineVersion"),
}


@rule(
    "a version that gets no more fixes is a hole that stays open",
    "the calendars named in stacks/versions.py, with the day they were read",
    *VERSIONED,
)
def supported_versions(judged: Judged) -> Iterator[Breach]:
    known = {(each.product, each.version): each for each in SUPPORT}
    for kind, (product, key) in VERSIONED.items():
        current = ", ".join(
            each.version
            for each in SUPPORT
            if each.product == product and each.supported_until >= judged.today
        )
        for each in judged.of(kind):
            if at(each, "replicateSourceDb"):
                continue  # its version is its source's
            written = str(at(each, key) or "")
            major = written.partition(".")[0] if product == "postgres" else written
            found = known.get((product, major))
            remedy = current or NEWEST_WITHOUT_END
            if found is None:
                yield Breach(
                    each.title,
                    f"{product} {written or 'of whatever version'} is not in the table of "
                    "supported versions",
                    remedy,
                )
            elif found.supported_until < judged.today:
                yield Breach(
                    each.title,
                    f"standard support of {product} {major} ended on {found.supported_until}",
                    remedy,
                )


@rule(
    "logs that expire too early leave nothing to look into; those that never do are a cost and a "
    "liability",
    "PCI DSS v4.0.1, requirement 10.5.1; 45 CFR 164.316(b)(2)(i); GDPR Article 5(1)(e)",
    "cloudwatch/logGroup:LogGroup",
)
def logs_expire(judged: Judged) -> Iterator[Breach]:
    needed = tiers_aws.log_days(judged.spec, judged.environment)
    for each in judged.of("cloudwatch/logGroup:LogGroup"):
        days = at(each, "retentionInDays") or 0
        if days == 0:
            yield Breach(each.title, "it is kept for ever", f"retention_in_days = {needed}")
        elif days < needed:
            yield Breach(
                each.title,
                f"it is kept for {days:g} days, and {needed} are asked for",
                f"retention_in_days = {needed}",
            )


RULES = (required_tags, residency, supported_versions, logs_expire)
