"""PostgreSQL on RDS: encrypted, private, recoverable to any second of its retention."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from backendctl.shipped.stacks import policies
from backendctl.shipped.stacks.inputs import DatabaseInputs, Place
from backendctl.shipped.stacks.network import NetworkOutputs
from backendctl.shipped.stacks.scope import Scope
from backendctl.shipped.stacks.versions import RDS_CERTIFICATE_AUTHORITY

PORT = 5432
OWNER = "owner"
LOGS = ("postgresql", "upgrade")
BACKUP_WINDOW = "02:00-02:45"
MAINTENANCE_WINDOW = "sun:03:00-sun:04:00"
"""UTC; after the backup, so that a change that went wrong has one just before it."""


def parameters(inputs: DatabaseInputs) -> Mapping[str, str]:
    """Settings of the server that are not RDS's own defaults."""
    return {
        "rds.force_ssl": "1",
        "ssl_min_protocol_version": "TLSv1.2",
        "max_connections": str(inputs.max_connections),
        "log_connections": "1",
        "log_disconnections": "1",
        "log_lock_waits": "1",
        "log_min_duration_statement": "1000",
        "log_statement": "ddl",
    }


NEEDS_RESTART = frozenset({"max_connections"})


def database(
    scope: Scope,
    place: Place,
    inputs: DatabaseInputs,
    network: NetworkOutputs,
    key: Any,
    log_days: int,
) -> dict[str, Any]:
    """Make the database and its replicas; returns fields of DataOutputs."""
    group = _group(scope, place, network)
    settings = _parameter_group(scope, place, inputs)
    subnets = aws.rds.SubnetGroup(
        "database",
        description=f"Database of {place.name}",
        subnet_ids=network.data_subnet_ids,
        tags=place.tagged("database"),
        opts=scope.options(),
    )
    logs = _logs(scope, place, place.name, key, log_days)
    common = {
        "instance_class": inputs.instance_class,
        "storage_encrypted": True,
        "kms_key_id": key.arn,
        "storage_type": "gp3",
        "max_allocated_storage": inputs.most_storage_gib,
        "parameter_group_name": settings.name,
        "vpc_security_group_ids": [group.id],
        "publicly_accessible": False,
        "ca_cert_identifier": RDS_CERTIFICATE_AUTHORITY,
        "iam_database_authentication_enabled": True,
        "copy_tags_to_snapshot": True,
        "deletion_protection": not place.releasing,
        "auto_minor_version_upgrade": True,
        "maintenance_window": MAINTENANCE_WINDOW,
        "enabled_cloudwatch_logs_exports": list(LOGS),
        "database_insights_mode": inputs.insights,
        "performance_insights_enabled": True,
        "performance_insights_kms_key_id": key.arn,
        "performance_insights_retention_period": inputs.insights_days,
        **_monitoring(scope, place, inputs),
    }
    primary = aws.rds.Instance(
        "database",
        identifier=place.name,
        engine="postgres",
        engine_version=inputs.major,
        engine_lifecycle_support="open-source-rds-extended-support-disabled",
        db_name=database_name(place),
        username=OWNER,
        manage_master_user_password=True,
        master_user_secret_kms_key_id=key.arn,
        db_subnet_group_name=subnets.name,
        allocated_storage=inputs.storage_gib,
        multi_az=inputs.multi_az,
        backup_retention_period=inputs.backup_days,
        backup_window=BACKUP_WINDOW,
        delete_automated_backups=False,
        skip_final_snapshot=False,
        final_snapshot_identifier=f"{place.name}-final",
        apply_immediately=False,
        tags=place.tagged("database"),
        opts=scope.holds_data(after=logs),
        **common,
    )
    copies = [
        aws.rds.Instance(
            f"replica-{number}",
            identifier=f"{place.name}-replica-{number}",
            replicate_source_db=primary.identifier,
            skip_final_snapshot=True,  # a copy: what it holds is the primary's
            apply_immediately=False,
            tags=place.tagged(f"replica-{number}"),
            opts=scope.holds_data(),
            **common,
        )
        for number in range(1, inputs.replicas + 1)
    ]
    return {
        "database_id": primary.identifier,
        "database_address": primary.address,
        "database_port": PORT,
        "database_name": database_name(place),
        "database_secret_arn": primary.master_user_secrets.apply(lambda all_: _arn(all_)),
        "replica_addresses": pulumi.Output.all(*[each.address for each in copies]),
    }


def database_name(place: Place) -> str:
    """A name that needs no quoting: `shop-api` has the database `shop_api`."""
    return place.service.replace("-", "_")


def adopted_database(scope: Scope, inputs: DatabaseInputs) -> dict[str, Any]:
    """Look a database up; nothing about it is changed. Who reaches it is its owner's to say."""
    found = aws.rds.Instance.get("database", inputs.adopted, opts=scope.options())
    return {
        "database_id": inputs.adopted,
        "database_address": found.address,
        "database_port": found.port,
        "database_name": found.db_name,
        "database_secret_arn": found.master_user_secrets.apply(lambda all_: _arn(all_)),
    }


def _arn(secrets: Any) -> str:
    return str(secrets[0]["secret_arn"]) if secrets else ""


def _group(scope: Scope, place: Place, network: NetworkOutputs) -> Any:
    group = aws.ec2.SecurityGroup(
        "database",
        vpc_id=network.vpc_id,
        description="PostgreSQL: only from the cluster",
        tags=place.tagged("database"),
        opts=scope.options(),
    )
    aws.vpc.SecurityGroupIngressRule(
        "database-in",
        security_group_id=group.id,
        description="PostgreSQL from nodes and pods",
        ip_protocol="tcp",
        from_port=PORT,
        to_port=PORT,
        referenced_security_group_id=network.workload_group_id,
        tags=place.tagged("database-in"),
        opts=scope.options(),
    )
    return group


def _parameter_group(scope: Scope, place: Place, inputs: DatabaseInputs) -> Any:
    return aws.rds.ParameterGroup(
        "database",
        name_prefix=f"{place.name}-",
        family=f"postgres{inputs.major}",
        description=f"Settings of the database of {place.name}",
        parameters=[
            {
                "name": name,
                "value": value,
                "apply_method": "pending-reboot" if name in NEEDS_RESTART else "immediate",
            }
            for name, value in parameters(inputs).items()
        ],
        tags=place.tagged("database"),
        opts=scope.options(),
    )


def _logs(scope: Scope, place: Place, identifier: str, key: Any, log_days: int) -> list[Any]:
    """Made by us before RDS would make them, so that they are encrypted and expire."""
    return [
        aws.cloudwatch.LogGroup(
            f"database-{name}",
            name=f"/aws/rds/instance/{identifier}/{name}",
            retention_in_days=log_days,
            kms_key_id=key.arn,
            tags=place.tagged(f"database-{name}"),
            opts=scope.options(),
        )
        for name in LOGS
    ]


def _monitoring(scope: Scope, place: Place, inputs: DatabaseInputs) -> dict[str, Any]:
    if inputs.monitoring_seconds == 0:
        return {}
    role = aws.iam.Role(
        "monitoring",
        description="Enhanced monitoring of the database",
        assume_role_policy=policies.trusts("monitoring.rds.amazonaws.com", account=place.account),
        tags=place.tagged("monitoring"),
        opts=scope.options(),
    )
    aws.iam.RolePolicyAttachment(
        "monitoring",
        role=role.name,
        policy_arn="arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
        opts=scope.options(),
    )
    return {"monitoring_interval": inputs.monitoring_seconds, "monitoring_role_arn": role.arn}
