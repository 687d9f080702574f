"""Whether data is unreadable to others, recoverable, and hard to delete."""

from collections.abc import Iterator

from backendctl.gates.infra.rules import Breach, Judged, at, listed, rule
from backendctl.shipped.stacks.record import Record
from backendctl.shipped.stacks.versions import TLS_POLICIES
from backendctl.spec import derive, tiers_aws
from backendctl.spec.tiers_aws import Tier

DATABASE = "rds/instance:Instance"
CACHE = "elasticache/replicationGroup:ReplicationGroup"
CLUSTER = "eks/cluster:Cluster"
BALANCER = "lb/loadBalancer:LoadBalancer"
TEMPLATE = "ec2/launchTemplate:LaunchTemplate"
HOLDS_DATA = (
    DATABASE,
    CACHE,
    "rds/cluster:Cluster",
    "s3/bucket:Bucket",
    "efs/fileSystem:FileSystem",
)


def _replica(database: Record) -> bool:
    return bool(at(database, "replicateSourceDb"))


@rule(
    "disks, backups and snapshots are readable to whoever gets hold of them",
    "45 CFR 164.312(a)(2)(iv); PCI DSS v4.0.1, requirement 3.5.1; CIS AWS Foundations Benchmark "
    "3.0, 2.2.1 and 2.3.1",
    DATABASE,
    CACHE,
    CLUSTER,
    TEMPLATE,
    "ebs/volume:Volume",
    "efs/fileSystem:FileSystem",
    "sns/topic:Topic",
    "s3/bucket:Bucket",
)
def encrypted_at_rest(judged: Judged) -> Iterator[Breach]:
    flags = {
        DATABASE: "storageEncrypted",
        CACHE: "atRestEncryptionEnabled",
        "ebs/volume:Volume": "encrypted",
        "efs/fileSystem:FileSystem": "encrypted",
    }
    for kind, flag in flags.items():
        for each in judged.of(kind):
            if at(each, flag) is not True:
                yield Breach(each.title, "it is not encrypted at rest", f"{flag} = true")
    for each in judged.of(CLUSTER):
        if "secrets" not in (at(each, "encryptionConfig", "resources") or ()):
            yield Breach(
                each.title, "Secrets are not encrypted by a key of ours", "encryption_config"
            )
    for each in judged.of(TEMPLATE):
        for disk in listed(each, "blockDeviceMappings"):
            if str(disk.get("ebs", {}).get("encrypted")).lower() != "true":
                yield Breach(each.title, f"{disk.get('deviceName')} is not encrypted", "encrypted")
    for each in judged.of("sns/topic:Topic"):
        if not at(each, "kmsMasterKeyId"):
            yield Breach(each.title, "messages are not encrypted", "kms_master_key_id")
    covered = {
        at(each, "bucket")
        for each in judged.of(
            "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
        )
    }
    for each in judged.of("s3/bucket:Bucket"):
        if not covered & {each.name, at(each, "bucket")} - {None}:
            yield Breach(
                each.title,
                "it is not said how it is encrypted",
                "a BucketServerSideEncryptionConfiguration",
            )


@rule(
    "what goes over a wire in clear can be read and changed on the way",
    "45 CFR 164.312(e); PCI DSS v4.0.1, requirement 4.2.1; RFC 9325 (TLS 1.2 and 1.3 only)",
    DATABASE,
    CACHE,
    "lb/listener:Listener",
)
def encrypted_in_transit(judged: Judged) -> Iterator[Breach]:
    forcing = {
        name
        for each in judged.of("rds/parameterGroup:ParameterGroup")
        for setting in listed(each, "parameters")
        if setting.get("name") == "rds.force_ssl" and str(setting.get("value")) == "1"
        for name in (each.name, at(each, "name"))
    }
    for each in judged.of(DATABASE):
        if at(each, "parameterGroupName") not in forcing:
            yield Breach(
                each.title,
                "connections without TLS are accepted",
                "a parameter group with rds.force_ssl = 1",
            )
    for each in judged.of(CACHE):
        if at(each, "transitEncryptionEnabled") is not True:
            yield Breach(each.title, "connections are in clear", "transit_encryption_enabled")
        elif at(each, "transitEncryptionMode") == "preferred":
            yield Breach(
                each.title, "connections in clear are accepted too", "transit_encryption_mode"
            )
    inside = {f"arn:aws:lb:::{b.name}" for b in judged.of(BALANCER) if at(b, "internal")}
    for each in judged.of("lb/listener:Listener"):
        secure = at(each, "protocol") in ("HTTPS", "TLS")
        redirects = all(a.get("type") == "redirect" for a in listed(each, "defaultActions"))
        if not secure and not redirects and at(each, "loadBalancerArn") not in inside:
            yield Breach(each.title, "users are answered in clear", "HTTPS, and a redirect on 80")
        if secure and at(each, "sslPolicy") not in TLS_POLICIES:
            yield Breach(
                each.title,
                f"{at(each, 'sslPolicy')} is not known to refuse TLS 1.1",
                f"one of {', '.join(sorted(TLS_POLICIES))}",
            )


@rule(
    "an RPO that no backup and no copy keeps is a wish",
    'Amazon RDS User Guide, "Restoring a DB instance to a specified time": recovery trails by '
    "about five minutes; recovery.rpo in backend.toml",
    DATABASE,
)
def recovery_meets_rpo(judged: Judged) -> Iterator[Breach]:
    databases = list(judged.of(DATABASE))
    copies = [each for each in databases if _replica(each)]
    rpo, needed = judged.spec.recovery.rpo, tiers_aws.backup_days(judged.spec, judged.environment)
    for each in databases:
        if _replica(each):
            continue
        days = at(each, "backupRetentionPeriod") or 0
        if days < 1:
            yield Breach(each.title, "there are no backups", "backup_retention_period")
        elif days < needed:
            yield Breach(
                each.title,
                f"backups are kept for {days} days; the file and its regimes ask for {needed}",
                f"backup_retention_period = {needed}",
            )
        standby = at(each, "multiAz") is True
        asked = rpo < derive.PITR_LAG and judged.tier is not Tier.DEV
        if asked and not standby and not copies:
            yield Breach(
                each.title,
                f"an RPO of {rpo:g} s is promised, and backups trail by {derive.PITR_LAG:g} s",
                "multi_az, or a replica",
            )
        if at(each, "skipFinalSnapshot") is not False:
            yield Breach(
                each.title, "it is deleted without a last snapshot", "skip_final_snapshot = False"
            )


@rule(
    "a zone is lost now and then, and prod has to outlive it",
    'AWS Well-Architected Framework, REL10-BP01 "Deploy the workload to multiple locations"',
    DATABASE,
    CACHE,
    CLUSTER,
    "eks/nodeGroup:NodeGroup",
)
def multi_az_in_prod(judged: Judged) -> Iterator[Breach]:
    if judged.tier is not Tier.PROD:
        return
    for each in judged.of(DATABASE):
        if not _replica(each) and at(each, "multiAz") is not True:
            yield Breach(each.title, "it has no standby in another zone", "multi_az")
    for each in judged.of(CACHE):
        if (
            at(each, "multiAzEnabled") is not True
            or at(each, "automaticFailoverEnabled") is not True
        ):
            yield Breach(
                each.title, "it has no copy in another zone that takes over", "multi_az_enabled"
            )
    for each in judged.of("eks/nodeGroup:NodeGroup"):
        if len(set(listed(each, "subnetIds"))) < 2:
            yield Breach(each.title, "all nodes are in one zone", "subnets of several zones")
        if (at(each, "scalingConfig", "minSize") or 0) < 2:
            yield Breach(each.title, "one node may be all there is", "min_size of at least 2")


@rule(
    "one wrong command must not delete what cannot be made again",
    'Amazon RDS User Guide, "Deletion protection"; Pulumi documentation, "protect"',
    *HOLDS_DATA,
    CLUSTER,
    BALANCER,
)
def deletion_protection(judged: Judged) -> Iterator[Breach]:
    flags = {
        DATABASE: "deletionProtection",
        "rds/cluster:Cluster": "deletionProtection",
        CLUSTER: "deletionProtection",
        BALANCER: "enableDeletionProtection",
    }
    for kind, flag in flags.items():
        for each in judged.of(kind):
            inside = kind == BALANCER and at(each, "internal") is True
            if at(each, flag) is not True and not inside:
                yield Breach(each.title, "AWS would delete it when asked", f"{flag} = true")
    for each in judged.of(*HOLDS_DATA, CLUSTER):
        if not each.protected:
            yield Breach(each.title, "Pulumi would delete it when asked", "protect = True")


RULES = (
    encrypted_at_rest,
    encrypted_in_transit,
    recovery_meets_rpo,
    multi_az_in_prod,
    deletion_protection,
)
