"""PostgreSQL on RDS: encrypted, private, recoverable to any second of its retention."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from backendctl.shipped.stacks import passwords, policies
from backendctl.shipped.stacks.inputs import MASTER, ROLE, DatabaseInputs, Place
from backendctl.shipped.stacks.scope import Scope
from backendctl.shipped.stacks.site import Site
from backendctl.shipped.stacks.versions import RDS_CERTIFICATE_AUTHORITY

PORT = 5432
LONGEST = 50
"""Characters of an identifier: RDS takes 63, and `-replica-15` may follow."""
LOGS = ("postgresql", "upgrade")
BACKUP_WINDOW = "02:00-02:45"
MAINTENANCE_WINDOW = "sun:03:00-sun:04:00"
"""UTC; after the backup, so that a change that went wrong has one just before it."""


def parameters(inputs: DatabaseInputs) -> Mapping[str, str]:
    """Settings of the server that are not RDS's own defaults."""
    return {
        "rds.force_ssl": "1",
        "ssl_min_protocol_version": "TLSv1.2",
        "password_encryption": "scram-sha-256",
        "max_connections": str(inputs.max_connections),
        "log_connections": "1",
        "log_disconnections": "1",
        "log_lock_waits": "1",
        "log_min_duration_statement": "1000",
        "log_statement": "ddl",
    }


NEEDS_RESTART = frozenset({"max_connections"})
RESERVED = frozenset(
    "all analyse analyze and any array as asc asymmetric "  # noqa: SIM905 - a hundred lines otherwise
    "authorization binary both case cast check collate collation column concurrently "
    "constraint create cross current_catalog current_date current_role current_schema "
    "current_time current_timestamp current_user default deferrable desc distinct do else end "
    "except false fetch for foreign freeze from full grant group having ilike in initially "
    "inner intersect into is isnull join lateral leading left like limit localtime "
    "localtimestamp natural not notnull null offset on only or order outer overlaps placing "
    "primary references returning right select session_user similar some symmetric "
    "system_user table tablesample then to trailing true union unique user using variadic "
    "verbose when where window with".split()
)
"""Of PostgreSQL (pg_get_keywords, categories R and T), which RDS takes for no database's name."""


def database(site: Site, inputs: DatabaseInputs) -> dict[str, Any]:
    """Make the database and its replicas; returns fields of DataOutputs."""
    place = site.place
    access = passwords.made(site, "database", ROLE)
    name = place.within(LONGEST)
    common = {
        "instance_class": inputs.instance_class,
        **_protection(site),
        **_reach(site, inputs),
        **_storage(inputs),
        **_upkeep(site, inputs),
    }
    primary = aws.rds.Instance(
        "database",
        identifier=name,
        kms_key_id=site.key.arn,
        **_engine(place, inputs),
        **_master(site),
        **_recovery(place, inputs),
        **common,
        db_subnet_group_name=_subnets(site).name,
        allocated_storage=inputs.storage_gib,
        tags=place.tagged("database"),
        opts=site.scope.holds_data(after=_logs(site, "database", name)),
    )
    copies = [_replica(site, primary, number, common) for number in range(1, inputs.replicas + 1)]
    return {
        "database_id": primary.identifier,
        "database_address": primary.address,
        "database_port": PORT,
        "database_name": database_name(place),
        "database_secret_arn": access.outputs["SecretArn"],
        "database_master_secret_arn": primary.master_user_secrets.apply(lambda all_: _arn(all_)),
        "replica_addresses": pulumi.Output.all(*[each.address for each in copies]),
    }


def _replica(site: Site, primary: Any, number: int, common: Mapping[str, Any]) -> Any:
    """In the primary's region, so under its key: RDS refuses to be told which."""
    name = f"replica-{number}"
    identifier = f"{site.place.within(LONGEST)}-{name}"
    return aws.rds.Instance(
        name,
        identifier=identifier,
        replicate_source_db=primary.identifier,
        skip_final_snapshot=True,  # a copy: what it holds is the primary's
        **common,
        tags=site.place.tagged(name),
        opts=site.scope.holds_data(after=_logs(site, name, identifier)),
    )


def _logs(site: Site, name: str, identifier: str) -> list[Any]:
    return [
        site.log_group(f"{name}-{kind}", f"/aws/rds/instance/{identifier}/{kind}") for kind in LOGS
    ]


def database_name(place: Place) -> str:
    """A name that needs no quoting: `shop-api` has the database `shop_api`, `order` `order_db`."""
    name = place.service.replace("-", "_")
    return f"{name}_db" if name in RESERVED else name


def adopted_database(scope: Scope, inputs: DatabaseInputs) -> dict[str, Any]:
    """Look a database up; nothing about it is changed. Who reaches it, and as whom, is its owner's
    to say: the only user that is known is its master user."""
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


# --- what the instance and its replicas are given ----------------------------------------------


def _engine(place: Place, inputs: DatabaseInputs) -> dict[str, Any]:
    return {
        "engine": "postgres",
        "engine_version": inputs.major,
        "engine_lifecycle_support": "open-source-rds-extended-support-disabled",
        "db_name": database_name(place),
    }


def _master(site: Site) -> dict[str, Any]:
    """RDS makes and keeps the password."""
    return {
        "username": MASTER,
        "manage_master_user_password": True,
        "master_user_secret_kms_key_id": site.key.arn,
    }


def _recovery(place: Place, inputs: DatabaseInputs) -> dict[str, Any]:
    return {
        "multi_az": inputs.multi_az,
        "backup_retention_period": inputs.backup_days,
        "backup_window": BACKUP_WINDOW,
        "delete_automated_backups": False,
        "skip_final_snapshot": False,
        "final_snapshot_identifier": f"{place.name}-final",
    }


def _protection(site: Site) -> dict[str, Any]:
    return {
        "storage_encrypted": True,
        "copy_tags_to_snapshot": True,
        "deletion_protection": not site.place.releasing,
    }


def _reach(site: Site, inputs: DatabaseInputs) -> dict[str, Any]:
    """From the cluster only, by TLS only."""
    return {
        "publicly_accessible": False,
        "vpc_security_group_ids": [site.group("database", "PostgreSQL", PORT).id],
        "parameter_group_name": _parameter_group(site, inputs).name,
        "ca_cert_identifier": RDS_CERTIFICATE_AUTHORITY,
        "iam_database_authentication_enabled": True,
    }


def _storage(inputs: DatabaseInputs) -> dict[str, Any]:
    return {"storage_type": "gp3", "max_allocated_storage": inputs.most_storage_gib}


def _upkeep(site: Site, inputs: DatabaseInputs) -> dict[str, Any]:
    return {
        "apply_immediately": False,
        "auto_minor_version_upgrade": True,
        "maintenance_window": MAINTENANCE_WINDOW,
        "enabled_cloudwatch_logs_exports": list(LOGS),
        "database_insights_mode": inputs.insights,
        "performance_insights_enabled": True,
        "performance_insights_kms_key_id": site.key.arn,
        "performance_insights_retention_period": inputs.insights_days,
        **_monitoring(site, inputs),
    }


def _subnets(site: Site) -> Any:
    return aws.rds.SubnetGroup(
        "database",
        description=f"Database of {site.place.name}",
        subnet_ids=site.network.data_subnet_ids,
        tags=site.place.tagged("database"),
        opts=site.scope.options(),
    )


def _parameter_group(site: Site, inputs: DatabaseInputs) -> Any:
    return aws.rds.ParameterGroup(
        "database",
        name_prefix=f"{site.place.name}-",
        family=f"postgres{inputs.major}",
        description=f"Settings of the database of {site.place.name}",
        parameters=[
            {
                "name": name,
                "value": value,
                "apply_method": "pending-reboot" if name in NEEDS_RESTART else "immediate",
            }
            for name, value in parameters(inputs).items()
        ],
        tags=site.place.tagged("database"),
        opts=site.scope.options(),
    )


def _monitoring(site: Site, inputs: DatabaseInputs) -> dict[str, Any]:
    if inputs.monitoring_seconds == 0:
        return {}
    place = site.place
    role = aws.iam.Role(
        "monitoring",
        description="Enhanced monitoring of the database",
        assume_role_policy=policies.trusts("monitoring.rds.amazonaws.com", account=place.account),
        tags=place.tagged("monitoring"),
        opts=site.scope.options(),
    )
    aws.iam.RolePolicyAttachment(
        "monitoring",
        role=role.name,
        policy_arn="arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
        opts=site.scope.options(),
    )
    return {"monitoring_interval": inputs.monitoring_seconds, "monitoring_role_arn": role.arn}
