"""Who can reach what."""

from collections.abc import Iterator
from typing import Any

from backendctl.gates.infra.rules import Breach, Judged, at, listed, rule
from backendctl.shipped.stacks.record import Record

ANYWHERE = frozenset({"0.0.0.0/0", "::/0"})
USERS_PORTS = frozenset({80, 443})
DATABASES = ("rds/instance:Instance", "rds/clusterInstance:ClusterInstance")
SUBNET_GROUPS = ("rds/subnetGroup:SubnetGroup", "elasticache/subnetGroup:SubnetGroup")
INGRESS = (
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "ec2/securityGroupRule:SecurityGroupRule",
    "ec2/securityGroup:SecurityGroup",
    "ec2/defaultSecurityGroup:DefaultSecurityGroup",
)


@rule(
    "a database that can be reached from the internet is found by scanners within minutes",
    'Amazon RDS User Guide, "Hiding a DB instance in a VPC from the internet"; CIS AWS Foundations '
    "Benchmark 3.0, 2.3.3",
    *DATABASES,
    *SUBNET_GROUPS,
)
def no_public_database(judged: Judged) -> Iterator[Breach]:
    for each in judged.of(*DATABASES):
        if at(each, "publiclyAccessible") is not False:
            yield Breach(
                each.title,
                "the database gets a public address"
                if at(each, "publiclyAccessible")
                else "it is not said that the database gets no public address",
                "publicly_accessible = False",
            )
    public = _public_subnets(judged)
    for group in judged.of(*SUBNET_GROUPS):
        for subnet in listed(group, "subnetIds"):
            if subnet in public:
                yield Breach(
                    group.title,
                    f"it lies in {subnet}, whose routes lead to the internet",
                    "subnets of the data layer",
                )


def _public_subnets(judged: Judged) -> frozenset[Any]:
    """Subnets whose route table leads to an internet gateway."""
    outside = {
        at(each, "routeTableId") for each in judged.of("ec2/route:Route") if at(each, "gatewayId")
    }
    return frozenset(
        at(each, "subnetId")
        for each in judged.of("ec2/routeTableAssociation:RouteTableAssociation")
        if at(each, "routeTableId") in outside
    )


@rule(
    "only the load balancer's 443 (and 80, which redirects) is meant for everybody",
    "CIS AWS Foundations Benchmark 3.0, 5.2 and 5.3; PCI DSS v4.0.1, requirement 1.3.1",
    *INGRESS,
    "eks/cluster:Cluster",
)
def no_open_ingress(judged: Judged) -> Iterator[Breach]:
    public = _public_balancer_groups(judged)
    for each in judged.of(*INGRESS):
        for group, sources, low, high in _openings(each):
            if not ANYWHERE.intersection(sources):
                continue
            users = low == high and low in USERS_PORTS
            if group in public and users:
                continue
            ports = "every port" if low is None else f"port {low}" + f"-{high}" * (low != high)
            yield Breach(
                each.title,
                f"{ports} is open to the whole internet",
                "a security group or a network as the source",
            )
    for cluster in judged.of("eks/cluster:Cluster"):
        networks = at(cluster, "vpcConfig", "publicAccessCidrs")
        is_open = at(cluster, "vpcConfig", "endpointPublicAccess") is not False
        if is_open and (not networks or ANYWHERE.intersection(networks)):
            yield Breach(
                cluster.title,
                "the cluster's API server answers the whole internet",
                "environments.NAME.api_access = [...] with the networks that need it",
            )


def _public_balancer_groups(judged: Judged) -> frozenset[Any]:
    return frozenset(
        group
        for each in judged.of("lb/loadBalancer:LoadBalancer")
        if not at(each, "internal")
        for group in listed(each, "securityGroups")
    )


def _openings(each: Record) -> Iterator[tuple[Any, list[Any], Any, Any]]:
    """Group, sources, lowest and highest port (None: all) of everything a resource lets in."""
    kind = each.type.rpartition(":")[2]
    if kind == "SecurityGroupIngressRule":
        sources = [at(each, "cidrIpv4"), at(each, "cidrIpv6")]
        yield at(each, "securityGroupId"), sources, *_ports(each.properties, "ipProtocol")
    elif kind == "SecurityGroupRule":
        if at(each, "type") == "ingress":
            sources = [*listed(each, "cidrBlocks"), *listed(each, "ipv6CidrBlocks")]
            yield at(each, "securityGroupId"), sources, *_ports(each.properties, "protocol")
    else:
        for opening in listed(each, "ingress"):
            sources = [*(opening.get("cidrBlocks") or ()), *(opening.get("ipv6CidrBlocks") or ())]
            yield f"{kind}/{each.name}", sources, *_ports(opening, "protocol")


def _ports(opening: Any, protocol: str) -> tuple[Any, Any]:
    if str(opening.get(protocol)) in ("-1", "all"):
        return None, None
    return opening.get("fromPort"), opening.get("toPort")


@rule(
    "what went over the network cannot be found out afterwards",
    "CIS AWS Foundations Benchmark 3.0, 3.7",
    "ec2/vpc:Vpc",
)
def flow_logs(judged: Judged) -> Iterator[Breach]:
    logged = {at(each, "vpcId") for each in judged.of("ec2/flowLog:FlowLog")}
    for each in judged.of("ec2/vpc:Vpc"):
        if f"Vpc/{each.name}" not in logged:
            yield Breach(each.title, "nobody records its traffic", "a FlowLog of all traffic")


@rule(
    "through the older protocol any request forged in a pod takes the node's credentials",
    'Amazon EKS Best Practices, "Restrict access to the instance profile"',
    "ec2/launchTemplate:LaunchTemplate",
    "ec2/instance:Instance",
)
def instance_metadata(judged: Judged) -> Iterator[Breach]:
    for each in judged.of("ec2/launchTemplate:LaunchTemplate", "ec2/instance:Instance"):
        if at(each, "metadataOptions", "httpTokens") != "required":
            yield Breach(each.title, "metadata is given without a token", "http_tokens = required")
        elif (at(each, "metadataOptions", "httpPutResponseHopLimit") or 2) > 1:
            yield Breach(
                each.title,
                "metadata is given to pods, one hop further than the node",
                "http_put_response_hop_limit = 1",
            )


@rule(
    "a bucket is private only if nobody can make it public by mistake",
    "CIS AWS Foundations Benchmark 3.0, 2.1.4",
    "s3/bucket:Bucket",
)
def private_buckets(judged: Judged) -> Iterator[Breach]:
    blocks = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    blocked = {
        at(each, "bucket")
        for each in judged.of("s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
        if all(at(each, key) is True for key in blocks)
    }
    for each in judged.of("s3/bucket:Bucket"):
        if not blocked & {each.name, at(each, "bucket")} - {None}:
            yield Breach(each.title, "public access is not blocked", "a BucketPublicAccessBlock")


RULES = (no_public_database, no_open_ingress, flow_logs, instance_metadata, private_buckets)
