"""Valkey on ElastiCache: encrypted both ways, with a password that no state ever holds."""

import json
from typing import Any

import pulumi_aws as aws

from backendctl.shipped.stacks.inputs import CacheInputs, Place
from backendctl.shipped.stacks.network import NetworkOutputs
from backendctl.shipped.stacks.scope import Scope

PORT = 6379
USER = "service"
ACCESS = "on ~* &* +@all -@admin -@dangerous"
"""Everything a service does with a cache; not what empties, reconfigures or spies on it."""


def cache(
    scope: Scope,
    place: Place,
    inputs: CacheInputs,
    network: NetworkOutputs,
    key: Any,
    log_days: int,
) -> dict[str, Any]:
    """Make the cache; returns fields of DataOutputs."""
    access = _access(scope, place, key)
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
        subnet_ids=network.data_subnet_ids,
        tags=place.tagged("cache"),
        opts=scope.options(),
    )
    slow = aws.cloudwatch.LogGroup(
        "cache-slow",
        name=f"/{place.name}/cache-slow",
        retention_in_days=log_days,
        kms_key_id=key.arn,
        tags=place.tagged("cache-slow"),
        opts=scope.options(),
    )
    group = aws.elasticache.ReplicationGroup(
        "cache",
        replication_group_id=place.within(40),
        description=f"Cache of {place.name}",
        engine="valkey",
        engine_version=inputs.version,
        node_type=inputs.node_type,
        num_cache_clusters=1 + inputs.replicas,
        automatic_failover_enabled=inputs.replicas > 0,
        multi_az_enabled=inputs.replicas > 0,
        port=PORT,
        subnet_group_name=subnets.name,
        security_group_ids=[_group(scope, place, network).id],
        at_rest_encryption_enabled=True,
        kms_key_id=key.arn,
        transit_encryption_enabled=True,
        transit_encryption_mode="required",
        user_group_ids=[users.user_group_id],
        snapshot_retention_limit=inputs.snapshot_days,
        snapshot_window="01:00-02:00",
        final_snapshot_identifier=f"{place.name}-final",
        maintenance_window="sun:04:00-sun:05:00",
        auto_minor_version_upgrade=True,
        apply_immediately=False,
        log_delivery_configurations=[
            {
                "destination": slow.name,
                "destination_type": "cloudwatch-logs",
                "log_format": "json",
                "log_type": "slow-log",
            }
        ],
        tags=place.tagged("cache"),
        opts=scope.holds_data(),
    )
    return {
        "cache_id": group.replication_group_id,
        "cache_address": group.primary_endpoint_address,
        "cache_port": PORT,
        "cache_secret_arn": access.outputs["SecretArn"],
    }


def _access(scope: Scope, place: Place, key: Any) -> Any:
    """The cache's user and its password.

    AWS makes the password, keeps it in Secrets Manager and hands it to ElastiCache, all inside
    CloudFormation: neither this program nor Pulumi's state ever sees it. (The provider's own
    resources could only be given a password that is then in the state.)
    """
    template = {
        "Parameters": {"Key": {"Type": "String"}},
        "Resources": {
            "Secret": {
                "Type": "AWS::SecretsManager::Secret",
                "Properties": {
                    "Name": f"{place.name}/cache",
                    "KmsKeyId": {"Ref": "Key"},
                    "GenerateSecretString": {
                        "SecretStringTemplate": json.dumps({"username": USER}),
                        "GenerateStringKey": "password",
                        "PasswordLength": 48,
                        "ExcludePunctuation": True,
                    },
                },
            },
            "User": {
                "Type": "AWS::ElastiCache::User",
                "Properties": {
                    "UserId": f"{place.within(32)}-service",
                    "UserName": USER,
                    "Engine": "valkey",
                    "AccessString": ACCESS,
                    "Passwords": [
                        {"Fn::Sub": "{{resolve:secretsmanager:${Secret}:SecretString:password}}"}
                    ],
                },
            },
        },
        "Outputs": {
            "SecretArn": {"Value": {"Ref": "Secret"}},
            "UserId": {"Value": {"Ref": "User"}},
        },
    }
    return aws.cloudformation.Stack(
        "cache-access",
        name=f"{place.name}-cache-access",
        template_body=json.dumps(template),
        parameters={"Key": key.arn},
        tags=place.tagged("cache-access"),
        opts=scope.options(),
    )


def _group(scope: Scope, place: Place, network: NetworkOutputs) -> Any:
    group = aws.ec2.SecurityGroup(
        "cache",
        vpc_id=network.vpc_id,
        description="Valkey: only from the cluster",
        tags=place.tagged("cache"),
        opts=scope.options(),
    )
    aws.vpc.SecurityGroupIngressRule(
        "cache-in",
        security_group_id=group.id,
        description="Valkey from nodes and pods",
        ip_protocol="tcp",
        from_port=PORT,
        to_port=PORT,
        referenced_security_group_id=network.workload_group_id,
        tags=place.tagged("cache-in"),
        opts=scope.options(),
    )
    return group
