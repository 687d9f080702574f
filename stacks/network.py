"""The network: three layers of subnets over the zones, ways out, and a record of what passed.

public   load balancer and NAT gateways
private  nodes and pods; out through NAT, to AWS through endpoints
data     database and cache; no route out at all
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import pulumi
import pulumi_aws as aws

from backendctl.shipped.stacks import policies
from backendctl.shipped.stacks.inputs import NetworkInputs
from backendctl.shipped.stacks.scope import Scope

ANYWHERE = "0.0.0.0/0"
ROLES: Mapping[str, Mapping[str, str]] = {
    "public": {"kubernetes.io/role/elb": "1"},
    "private": {"kubernetes.io/role/internal-elb": "1"},
    "data": {},
}
"""Tags by which load balancers find their subnets (EKS User Guide, "VPC requirements")."""
WITHOUT_EKS = ("use1-az3", "usw1-az2", "cac1-az3")
"""Zones in which EKS makes no control plane (EKS User Guide, "VPC requirements"). Which letter such
a zone has differs from account to account."""


@dataclass(frozen=True)
class NetworkOutputs:
    """What the other stacks need of it."""

    vpc_id: pulumi.Input[str]
    cidr: pulumi.Input[str]
    balancer_subnet_ids: pulumi.Input[list[str]]
    """One in each zone; public ones where users come over the internet."""
    private_subnet_ids: pulumi.Input[list[str]]
    data_subnet_ids: pulumi.Input[list[str]]
    workload_group_id: pulumi.Input[str]
    """The security group of everything that runs in the cluster."""


def network(inputs: NetworkInputs) -> NetworkOutputs:
    """Make the network, or look up the one that was adopted."""
    scope = Scope("network", inputs.place)
    return _adopted(scope, inputs) if inputs.adopted else _new(scope, inputs)


# --- a network of our own ---------------------------------------------------------------------


def _new(scope: Scope, inputs: NetworkInputs) -> NetworkOutputs:
    place = inputs.place
    vpc = aws.ec2.Vpc(
        "vpc",
        cidr_block=inputs.cidr,
        enable_dns_support=True,
        enable_dns_hostnames=True,
        tags=place.tagged("vpc"),
        opts=scope.options(),
    )
    # The group that AWS makes by itself allows its members everything; ours allows nothing.
    aws.ec2.DefaultSecurityGroup(
        "closed",
        vpc_id=vpc.id,
        ingress=[],
        egress=[],
        tags=place.tagged("closed"),
        opts=scope.options(),
    )
    zones = aws.get_availability_zones_output(
        state="available",
        exclude_zone_ids=list(WITHOUT_EKS),
        filters=[{"name": "opt-in-status", "values": ["opt-in-not-required"]}],
        opts=scope.invoke(),
    )
    public = _subnets(scope, inputs, vpc, zones, "public", inputs.public_cidrs)
    private = _subnets(scope, inputs, vpc, zones, "private", inputs.private_cidrs)
    data = _subnets(scope, inputs, vpc, zones, "data", inputs.data_cidrs)
    tables = _routes(scope, inputs, vpc, public, private, data)
    workload = _workload_group(scope, inputs, vpc.id)
    _endpoints(scope, inputs, vpc, private, tables)
    _flow_log(scope, inputs, vpc)
    return NetworkOutputs(
        vpc_id=vpc.id,
        cidr=vpc.cidr_block,
        balancer_subnet_ids=_ids(public if inputs.public else private),
        private_subnet_ids=_ids(private),
        data_subnet_ids=_ids(data),
        workload_group_id=workload.id,
    )


def _ids(subnets: list[Any]) -> pulumi.Output[list[str]]:
    return pulumi.Output.all(*[each.id for each in subnets])


def _subnets(
    scope: Scope, inputs: NetworkInputs, vpc: Any, zones: Any, layer: str, cidrs: tuple[str, ...]
) -> list[Any]:
    names = zones.names.apply(partial(_sufficient, len(cidrs), inputs.place.region))
    return [
        aws.ec2.Subnet(
            f"{layer}-{number}",
            vpc_id=vpc.id,
            cidr_block=cidr,
            availability_zone=names[number],
            map_public_ip_on_launch=False,
            tags=inputs.place.tagged(f"{layer}-{number}", layer=layer, **ROLES[layer]),
            opts=pulumi.ResourceOptions.merge(
                scope.options(),
                # A zone that is lost or added must not move subnets that are there.
                pulumi.ResourceOptions(ignore_changes=["availabilityZone"]),
            ),
        )
        for number, cidr in enumerate(cidrs)
    ]


def _sufficient(needed: int, region: str, zones: list[str]) -> list[str]:
    if len(zones) < needed:
        raise pulumi.RunError(
            f"this account can use EKS in {len(zones)} zones of {region}, and {needed} are needed: "
            'name another region in backend.toml, or size = "small", which needs two'
        )
    return zones


def _routes(
    scope: Scope,
    inputs: NetworkInputs,
    vpc: Any,
    public: list[Any],
    private: list[Any],
    data: list[Any],
) -> list[Any]:
    """Ways out of each layer; returns the tables that endpoints are entered into."""
    place = inputs.place
    internet = aws.ec2.InternetGateway(
        "internet", vpc_id=vpc.id, tags=place.tagged("internet"), opts=scope.options()
    )

    def table(name: str, **route: Any) -> Any:
        made = aws.ec2.RouteTable(
            name, vpc_id=vpc.id, tags=place.tagged(name), opts=scope.options()
        )
        if route:
            aws.ec2.Route(
                f"{name}-out",
                route_table_id=made.id,
                destination_cidr_block=ANYWHERE,
                opts=scope.options(),
                **route,
            )
        return made

    def joins(name: str, subnet: Any, made: Any) -> None:
        aws.ec2.RouteTableAssociation(
            name, subnet_id=subnet.id, route_table_id=made.id, opts=scope.options()
        )

    outside = table("public", gateway_id=internet.id)
    for number, subnet in enumerate(public):
        joins(f"public-{number}", subnet, outside)
    gateways = []
    for number in range(inputs.nat_gateways):
        address = aws.ec2.Eip(
            f"nat-{number}", domain="vpc", tags=place.tagged(f"nat-{number}"), opts=scope.options()
        )
        gateway = aws.ec2.NatGateway(
            f"nat-{number}",
            allocation_id=address.id,
            subnet_id=public[number].id,
            tags=place.tagged(f"nat-{number}"),
            opts=scope.options(after=[internet]),
        )
        gateways.append(gateway)
    inside = []
    for number, subnet in enumerate(private):
        gateway = gateways[number % len(gateways)]
        made = table(f"private-{number}", nat_gateway_id=gateway.id)
        joins(f"private-{number}", subnet, made)
        inside.append(made)
    closed = table("data")
    for number, subnet in enumerate(data):
        joins(f"data-{number}", subnet, closed)
    return [*inside, closed]


def _workload_group(scope: Scope, inputs: NetworkInputs, vpc_id: pulumi.Input[str]) -> Any:
    """Nodes and pods: what may reach the database is written as this group, not as addresses."""
    place = inputs.place
    group = aws.ec2.SecurityGroup(
        "workload",
        vpc_id=vpc_id,
        description="Nodes and pods of the cluster",
        tags=place.tagged("workload"),
        opts=scope.options(),
    )
    aws.vpc.SecurityGroupEgressRule(
        "workload-out",
        security_group_id=group.id,
        description="Images, AWS and the services it calls",
        ip_protocol="-1",
        cidr_ipv4=ANYWHERE,
        tags=place.tagged("workload-out"),
        opts=scope.options(),
    )
    return group


def _endpoints(
    scope: Scope,
    inputs: NetworkInputs,
    vpc: Any,
    private: list[Any],
    tables: list[Any],
) -> None:
    """Ways to AWS that do not leave the network. The one of S3 is free, so it is always there. The
    names of the services lead to the others from everywhere in the network, so that whatever runs
    there has to be let in, not nodes and pods alone."""
    place = inputs.place
    aws.ec2.VpcEndpoint(
        "s3",
        vpc_id=vpc.id,
        service_name=f"com.amazonaws.{place.region}.s3",
        vpc_endpoint_type="Gateway",
        route_table_ids=[each.id for each in tables],
        tags=place.tagged("s3"),
        opts=scope.options(),
    )
    if not inputs.interface_endpoints:
        return
    group = aws.ec2.SecurityGroup(
        "endpoints",
        vpc_id=vpc.id,
        description="Interface endpoints of AWS services",
        tags=place.tagged("endpoints"),
        opts=scope.options(),
    )
    aws.vpc.SecurityGroupIngressRule(
        "endpoints-in",
        security_group_id=group.id,
        description="HTTPS from inside the network",
        ip_protocol="tcp",
        from_port=443,
        to_port=443,
        cidr_ipv4=vpc.cidr_block,
        tags=place.tagged("endpoints-in"),
        opts=scope.options(),
    )
    for service in inputs.interface_endpoints:
        name = service.replace(".", "-")
        aws.ec2.VpcEndpoint(
            name,
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{place.region}.{service}",
            vpc_endpoint_type="Interface",
            subnet_ids=[each.id for each in private],
            security_group_ids=[group.id],
            private_dns_enabled=True,
            tags=place.tagged(name),
            opts=scope.options(),
        )


def _flow_log(scope: Scope, inputs: NetworkInputs, vpc: Any) -> None:
    """Who talked to whom: what an investigation begins with."""
    place = inputs.place
    source = f"arn:aws:logs:{place.region}:{place.account}:log-group:/{place.name}/flow"
    key = aws.kms.Key(
        "logs",
        description=f"Logs of the network of {place.name}",
        enable_key_rotation=True,
        deletion_window_in_days=30,
        policy=policies.key_policy(place.account, policies.key_for_logs(place.region, source)),
        tags=place.tagged("logs"),
        opts=scope.options(),
    )
    group = aws.cloudwatch.LogGroup(
        "flow",
        name=f"/{place.name}/flow",
        retention_in_days=inputs.log_days,
        kms_key_id=key.arn,
        tags=place.tagged("flow"),
        opts=scope.options(),
    )
    role = aws.iam.Role(
        "flow",
        description="Writes the network's flow log",
        assume_role_policy=policies.trusts("vpc-flow-logs.amazonaws.com", account=place.account),
        tags=place.tagged("flow"),
        opts=scope.options(),
    )
    writing = policies.document(
        policies.statement(
            (
                "logs:CreateLogStream",
                "logs:DescribeLogGroups",
                "logs:DescribeLogStreams",
                "logs:PutLogEvents",
            ),
            (f"{source}:*",),
        )
    )
    rights = aws.iam.RolePolicy(
        "flow", role=role.id, policy=json.dumps(writing), opts=scope.options()
    )
    aws.ec2.FlowLog(
        "flow",
        vpc_id=vpc.id,
        traffic_type="ALL",
        log_destination=group.arn,
        iam_role_arn=role.arn,
        max_aggregation_interval=600,
        tags=place.tagged("flow"),
        opts=scope.options(after=[rights]),
    )


# --- one that exists --------------------------------------------------------------------------


def _adopted(scope: Scope, inputs: NetworkInputs) -> NetworkOutputs:
    """Look a VPC up. Its subnets are told apart by the tags that load balancers go by."""
    vpc = aws.ec2.Vpc.get("vpc", inputs.adopted, opts=scope.options())

    private = _tagged(scope, inputs.adopted, "internal-elb")
    if inputs.adopted_cluster:
        running = aws.eks.Cluster.get("cluster", inputs.adopted_cluster, opts=scope.options())
        workload = running.vpc_config["cluster_security_group_id"]
    else:
        workload = _workload_group(scope, inputs, vpc.id).id
    balancing = _tagged(scope, inputs.adopted, "elb") if inputs.public else private
    all_private = private.apply(lambda zones: sorted(chain(*zones.values())))
    return NetworkOutputs(
        vpc_id=vpc.id,
        cidr=vpc.cidr_block,
        balancer_subnet_ids=balancing.apply(lambda zones: [ids[0] for ids in zones.values()]),
        private_subnet_ids=all_private,
        data_subnet_ids=all_private,
        workload_group_id=workload,
    )


def _tagged(scope: Scope, vpc: str, role: str) -> pulumi.Output[dict[str, list[str]]]:
    """The subnets of that role in each zone."""
    found = aws.ec2.get_subnets_output(
        filters=[
            {"name": "vpc-id", "values": [vpc]},
            {"name": f"tag:kubernetes.io/role/{role}", "values": ["1"]},
        ],
        opts=scope.invoke(),
    )

    def looked_up(ids: list[str]) -> pulumi.Output[dict[str, list[str]]]:
        zones = [
            aws.ec2.get_subnet_output(id=each, opts=scope.invoke()).availability_zone
            for each in sorted(ids)
        ]
        return pulumi.Output.all(*zones).apply(partial(_by_zone, sorted(ids), role, vpc))

    by_zone: pulumi.Output[dict[str, list[str]]] = found.ids.apply(looked_up)
    return by_zone


def _by_zone(ids: list[str], role: str, vpc: str, zones: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for identity, zone in zip(ids, zones, strict=True):
        found.setdefault(zone, []).append(identity)
    if len(found) < 2:
        raise pulumi.RunError(
            f"{vpc} has subnets with the tag kubernetes.io/role/{role}=1 in {len(found)} zones; "
            "two zones are needed"
        )
    return found
