"""What holds data: PostgreSQL on RDS, Valkey on ElastiCache, and the key that encrypts both."""

from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from backendctl.shipped.stacks import policies
from backendctl.shipped.stacks.cache import cache
from backendctl.shipped.stacks.database import adopted_database, database
from backendctl.shipped.stacks.inputs import DataInputs, Place
from backendctl.shipped.stacks.network import NetworkOutputs
from backendctl.shipped.stacks.scope import Scope
from backendctl.shipped.stacks.site import Site

NOTHING = ""
"""Of an output that this environment has not."""


@dataclass(frozen=True)
class DataOutputs:
    """How what holds data is reached. Passwords are named, never given."""

    database_id: pulumi.Input[str] = NOTHING
    database_address: pulumi.Input[str] = NOTHING
    database_port: pulumi.Input[int] = 0
    database_name: pulumi.Input[str] = NOTHING
    database_secret_arn: pulumi.Input[str] = NOTHING
    """Secret in Secrets Manager with `username` and `password` of the service's role; of an
    adopted database, of its master user."""
    database_master_secret_arn: pulumi.Input[str] = NOTHING
    """RDS's own secret of the master user, which makes that role; none of an adopted database."""
    replica_addresses: pulumi.Input[list[str]] = field(default_factory=list)
    cache_id: pulumi.Input[str] = NOTHING
    cache_address: pulumi.Input[str] = NOTHING
    cache_port: pulumi.Input[int] = 0
    cache_secret_arn: pulumi.Input[str] = NOTHING
    """Secret in Secrets Manager, with `username` and `password`."""
    data_key_arn: pulumi.Input[str] = NOTHING


def data(inputs: DataInputs, network: NetworkOutputs) -> DataOutputs:
    """Make database and cache, or look up the database that was adopted."""
    scope = Scope("data", inputs.place)
    key = _key(scope, inputs.place)
    site = Site(scope, inputs.place, network, key, inputs.log_days)
    found: dict[str, Any] = {"data_key_arn": key.arn}
    if inputs.database is not None and inputs.database.adopted:
        found |= adopted_database(scope, inputs.database)
    elif inputs.database is not None:
        found |= database(site, inputs.database)
    if inputs.cache is not None:
        found |= cache(site, inputs.cache)
    return DataOutputs(**found)


def _key(scope: Scope, place: Place) -> Any:
    """Encrypts data, backups, snapshots, passwords, logs and alarms; rotated by KMS each year."""
    logs = f"arn:aws:logs:{place.region}:{place.account}:log-group:*{place.name}*"
    alarms = f"arn:aws:cloudwatch:{place.region}:{place.account}:alarm:{place.name}-*"
    key = aws.kms.Key(
        "data",
        description=f"Data of {place.name}",
        enable_key_rotation=True,
        deletion_window_in_days=30,
        policy=policies.key_policy(
            place.account,
            policies.key_for_logs(place.region, logs),
            policies.key_for_service("cloudwatch.amazonaws.com", place.account, alarms),
        ),
        tags=place.tagged("data"),
        opts=scope.outlives(),
    )
    aws.kms.Alias(
        "data", name=f"alias/{place.name}-data", target_key_id=key.key_id, opts=scope.options()
    )
    return key
