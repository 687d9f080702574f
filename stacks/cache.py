"""Valkey on ElastiCache: encrypted both ways, with a password that no state ever holds."""

from typing import Any

import pulumi_aws as aws

from backendctl.shipped.stacks import passwords
from backendctl.shipped.stacks.inputs import CacheInputs
from backendctl.shipped.stacks.site import Site

PORT = 6379
USER = "service"
ACCESS = "on ~* &* +@all -@admin -@dangerous"
"""Everything a service does with a cache; not what empties, reconfigures or spies on it."""
SNAPSHOT_WINDOW = "01:00-02:00"
MAINTENANCE_WINDOW = "sun:04:00-sun:05:00"
"""UTC; after the snapshot, and after the database's."""


def cache(site: Site, inputs: CacheInputs) -> dict[str, Any]:
    """Make the cache; returns fields of DataOutputs."""
    access = _access(site)
    group = aws.elasticache.ReplicationGroup(
        "cache",
        replication_group_id=site.place.within(40),
        description=f"Cache of {site.place.name}",
        **_engine(inputs),
        **_reach(site, access),
        **_protection(site, inputs),
        **_upkeep(site),
        tags=site.place.tagged("cache"),
        opts=site.scope.holds_data(),
    )
    return {
        "cache_id": group.replication_group_id,
        "cache_address": group.primary_endpoint_address,
        "cache_port": PORT,
        "cache_secret_arn": access.outputs["SecretArn"],
    }


def _engine(inputs: CacheInputs) -> dict[str, Any]:
    return {
        "engine": "valkey",
        "engine_version": inputs.version,
        "node_type": inputs.node_type,
        "num_cache_clusters": 1 + inputs.replicas,
        "automatic_failover_enabled": inputs.replicas > 0,
        "multi_az_enabled": inputs.replicas > 0,
    }


def _reach(site: Site, access: Any) -> dict[str, Any]:
    """From the cluster only, by TLS only, by one user only."""
    place, scope = site.place, site.scope
    users = aws.elasticache.UserGroup(
        "cache",
        engine="valkey",
        user_group_id=place.within(40),
        user_ids=[access.outputs["UserId"]],
        tags=place.tagged("cache"),
        opts=scope.options(),
    )
    subnets = aws.elasticache.SubnetGroup(
        "cache",
        description=f"Cache of {place.name}",
        subnet_ids=site.network.data_subnet_ids,
        tags=place.tagged("cache"),
        opts=scope.options(),
    )
    return {
        "port": PORT,
        "subnet_group_name": subnets.name,
        "security_group_ids": [site.group("cache", "Valkey", PORT).id],
        "transit_encryption_enabled": True,
        "transit_encryption_mode": "required",
        "user_group_ids": [users.user_group_id],
    }


def _protection(site: Site, inputs: CacheInputs) -> dict[str, Any]:
    return {
        "at_rest_encryption_enabled": True,
        "kms_key_id": site.key.arn,
        "snapshot_retention_limit": inputs.snapshot_days,
        "snapshot_window": SNAPSHOT_WINDOW,
        "final_snapshot_identifier": f"{site.place.name}-final",
    }


def _upkeep(site: Site) -> dict[str, Any]:
    slow = site.log_group("cache-slow", f"/{site.place.name}/cache-slow")
    delivery = {
        "destination": slow.name,
        "destination_type": "cloudwatch-logs",
        "log_format": "json",
        "log_type": "slow-log",
    }
    return {
        "maintenance_window": MAINTENANCE_WINDOW,
        "auto_minor_version_upgrade": True,
        "apply_immediately": False,
        "log_delivery_configurations": [delivery],
    }


def _access(site: Site) -> Any:
    """The cache's user, and its password."""
    user = {
        "Type": "AWS::ElastiCache::User",
        "Properties": {
            "UserId": f"{site.place.within(32)}-service",
            "UserName": USER,
            "Engine": "valkey",
            "AccessString": ACCESS,
            "Passwords": [{"Fn::Sub": passwords.RESOLVED}],
        },
    }
    return passwords.made(
        site, "cache", USER, {"User": user}, {"UserId": {"Value": {"Ref": "User"}}}
    )
