"""Where what holds data stands: who reaches it, what encrypts it, how long its logs stay."""

from dataclasses import dataclass
from typing import Any

import pulumi_aws as aws

from backendctl.shipped.stacks.inputs import Place
from backendctl.shipped.stacks.network import NetworkOutputs
from backendctl.shipped.stacks.scope import Scope


@dataclass(frozen=True)
class Site:
    """What database and cache are made with, alike."""

    scope: Scope
    place: Place
    network: NetworkOutputs
    key: Any
    """The KMS key of the environment's data."""
    log_days: int

    def group(self, name: str, product: str, port: int) -> Any:
        """A security group that only what runs in the cluster gets through, to one port."""
        group = aws.ec2.SecurityGroup(
            name,
            vpc_id=self.network.vpc_id,
            description=f"{product}: only from the cluster",
            tags=self.place.tagged(name),
            opts=self.scope.options(),
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-in",
            security_group_id=group.id,
            description=f"{product} from nodes and pods",
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            referenced_security_group_id=self.network.workload_group_id,
            tags=self.place.tagged(f"{name}-in"),
            opts=self.scope.options(),
        )
        return group

    def log_group(self, name: str, path: str) -> Any:
        """Made before the service that writes to it would make it: encrypted, and it expires."""
        return aws.cloudwatch.LogGroup(
            name,
            name=path,
            retention_in_days=self.log_days,
            kms_key_id=self.key.arn,
            tags=self.place.tagged(name),
            opts=self.scope.options(),
        )
