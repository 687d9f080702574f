"""The network stack: who lies where and where its routes lead."""

import ipaddress
import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

import pulumi
import pytest

from backendctl.provision import simulate as simulation
from backendctl.provision.aws import AWS_STACKS
from backendctl.provision.simulate import answer, simulate
from backendctl.shipped.stacks.record import Record
from tests.aws_environments import ACCOUNT, bare, one, registered

pytestmark = pytest.mark.xdist_group("stacks")

Records = Sequence[Record]
VPC = 'vpc = "vpc-0abc"'
SMALL = 'size = "small"'


def kinds(records: Records, name: str) -> list[Record]:
    return [each for each in records if each.type.endswith(f":{name}")]


def subnets(records: Records, layer: str) -> list[Record]:
    return [e for e in kinds(records, "Subnet") if e.properties["tags"]["layer"] == layer]


def test_a_standard_network_has_three_layers_over_three_zones() -> None:
    records = registered("prod")
    for layer in ("public", "private", "data"):
        zones = {each.properties["availabilityZone"] for each in subnets(records, layer)}
        assert zones == {"zone-a", "zone-b", "zone-c"}


def test_no_two_subnets_overlap_and_all_lie_in_the_network() -> None:
    records = registered("prod")
    whole = ipaddress.ip_network(one(records, "network/vpc").properties["cidrBlock"])
    cut = [ipaddress.ip_network(e.properties["cidrBlock"]) for e in kinds(records, "Subnet")]
    assert all(each.subnet_of(whole) for each in cut)
    assert not any(a.overlaps(b) for i, a in enumerate(cut) for b in cut[:i])


def test_the_data_layer_has_no_way_out() -> None:
    records = registered("prod")
    table = "RouteTable/data"
    assert not [e for e in kinds(records, "Route") if e.properties["routeTableId"] == table]
    joined = {
        e.properties["subnetId"]
        for e in kinds(records, "RouteTableAssociation")
        if e.properties["routeTableId"] == table
    }
    assert joined == {f"Subnet/{each.name}" for each in subnets(records, "data")}


@pytest.mark.parametrize(
    ("environment", "extra", "gateways"),
    [("prod", "", 3), ("staging", "", 1), ("dev", "", 1), ("prod", SMALL, 1)],
)
def test_prod_has_a_nat_gateway_in_each_zone_and_the_rest_one(
    environment: str, extra: str, gateways: int
) -> None:
    records = registered(environment, extra)
    assert len(kinds(records, "NatGateway")) == gateways
    ways = [e for e in kinds(records, "Route") if "natGatewayId" in e.properties]
    assert len(ways) == len(subnets(records, "private"))
    assert len({e.properties["natGatewayId"] for e in ways}) == gateways


@pytest.mark.parametrize(("extra", "there"), [("", True), (SMALL, False)])
def test_interface_endpoints_are_what_a_small_environment_does_without(
    extra: str, there: bool
) -> None:
    endpoints = kinds(registered("prod", extra), "VpcEndpoint")
    by_type = {e.properties["vpcEndpointType"] for e in endpoints}
    assert by_type == ({"Gateway", "Interface"} if there else {"Gateway"})


def test_an_adopted_network_is_only_read_and_nothing_in_it_is_made_but_our_group() -> None:
    spec = bare(extra='vpc = "vpc-0abc"')
    found = simulate(spec, spec.environments["prod"], AWS_STACKS[:1])
    vpc = one(found, "network/vpc")
    assert vpc.adopted
    assert vpc.properties == {"id": "vpc-0abc"}
    made = {each.type.rpartition(":")[2] for each in found if not each.adopted}
    assert made == {"aws", "SecurityGroup", "SecurityGroupEgressRule"}


def test_an_adopted_cluster_brings_the_group_that_may_reach_the_database() -> None:
    extra = 'vpc = "vpc-0abc"\ncluster = "platform"\ngateway = "edge/shared"'
    records = registered("prod", extra)
    allowed = one(records, "data/database-in").properties["referencedSecurityGroupId"]
    assert allowed == "sg-cluster"
    made = {each.type for each in records if each.stack == "cluster" and not each.adopted}
    assert made == {"pulumi:providers:aws"}
    assert not [e for e in records if e.type.startswith("kubernetes:")]


def adopted(monkeypatch: pytest.MonkeyPatch, subnets: dict[str, list[str]], extra: str) -> Records:
    """All stacks in a VPC with these subnets: by role, the last letter is the zone."""

    def answered(token: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        if not token.endswith(":getSubnets"):
            return answer(token, asked)
        roles = {each["name"].rpartition("/")[2] for each in asked["filters"]}
        return {"id": "subnets", "ids": next(subnets[role] for role in roles if role in subnets)}

    monkeypatch.setattr(simulation, "answer", answered)
    spec = bare(extra=f'vpc = "vpc-0abc"\n{extra}')
    return simulate(spec, spec.environments["prod"], AWS_STACKS)


HOST = 'host = "shop.example.com"\nzone = "Z0123"'


def test_a_load_balancer_in_an_adopted_network_takes_one_subnet_of_each_zone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subnets = {"elb": ["p2-a", "p1-a", "p3-b"], "internal-elb": ["i1-a", "i2-a", "i3-b"]}
    public = adopted(monkeypatch, subnets, HOST)
    inside = adopted(monkeypatch, subnets, "")
    assert [
        one(records, "addons/balancer", ":LoadBalancer").properties["subnets"]
        for records in (public, inside)
    ] == [["p1-a", "p3-b"], ["i1-a", "i3-b"]]
    nodes = one(public, "cluster/nodes", ":NodeGroup").properties
    assert nodes["subnetIds"] == ["i1-a", "i2-a", "i3-b"]


@pytest.mark.parametrize("elb", [[], ["p1-a"], ["p1-a", "p2-a"]])
def test_public_subnets_in_two_zones_are_needed_where_users_come_over_the_internet_only(
    monkeypatch: pytest.MonkeyPatch, elb: list[str]
) -> None:
    subnets = {"elb": elb, "internal-elb": ["i1-a", "i3-b"]}
    assert adopted(monkeypatch, subnets, "")
    with pytest.raises(pulumi.RunError, match=r"role/elb=1 in [01] zones; two"):
        adopted(monkeypatch, subnets, HOST)


def test_an_adopted_cluster_needs_no_public_subnets(monkeypatch: pytest.MonkeyPatch) -> None:
    subnets = {"elb": [], "internal-elb": ["i1-a", "i3-b"]}
    whose = 'cluster = "platform"\ngateway = "edge/shared"\nhost = "shop.example.com"'
    assert adopted(monkeypatch, subnets, whose)


def test_no_zone_is_taken_in_which_eks_makes_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Mapping[str, Any]] = []

    def answered(token: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(given)
        return answer(token, given)

    monkeypatch.setattr(simulation, "answer", answered)
    spec = bare()
    simulate(spec, spec.environments["prod"], AWS_STACKS[:1])
    assert "use1-az3" in asked[0]["excludeZoneIds"]


def test_a_region_with_two_zones_takes_a_small_environment_and_says_so_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(simulation, "answer", lambda _token, _asked: {"names": ["a", "b"]})
    small, standard = bare(extra=SMALL), bare()
    assert simulate(small, small.environments["prod"], AWS_STACKS[:1])
    with pytest.raises(pulumi.RunError, match=r'2 zones of us-east-1, and 3.*size = "small"'):
        simulate(standard, standard.environments["prod"], AWS_STACKS[:1])


def test_a_zone_that_is_lost_moves_no_subnet() -> None:
    assert {each.ignored for each in kinds(registered("prod"), "Subnet")} == {("availabilityZone",)}


@pytest.mark.parametrize(("extra", "cidr"), [("", "10.0.0.0/16"), (VPC, "172.31.0.0/16")])
def test_whoever_is_inside_the_network_reaches_the_api_server(extra: str, cidr: str) -> None:
    """Without api_access nothing else does, and backendctl has to."""
    rule = one(registered("prod", extra), "cluster/api-in").properties
    assert (rule["securityGroupId"], rule["cidrIpv4"]) == ("sg-cluster", cidr)
    assert (rule["fromPort"], rule["toPort"]) == (443, 443)


def test_whatever_runs_in_the_network_reaches_the_services_that_have_endpoints_there() -> None:
    rule = one(registered("prod"), "network/endpoints-in").properties
    assert rule["cidrIpv4"] == "10.0.0.0/16"
    assert "referencedSecurityGroupId" not in rule


def test_keys_and_roles_let_the_logs_services_do_what_aws_documents() -> None:
    """CloudWatch Logs User Guide, "Encrypt log data"; VPC User Guide, "IAM role for publishing
    flow logs". The group is there already, so nothing may make one."""
    records = registered("prod")
    role = json.loads(one(records, "network/flow", ":RolePolicy").properties["policy"])
    assert {each.removeprefix("logs:") for each in role["Statement"][0]["Action"]} == {
        "CreateLogStream",
        "DescribeLogGroups",
        "DescribeLogStreams",
        "PutLogEvents",
    }
    for title in ("network/logs", "data/data", "cluster/cluster"):
        policy = json.loads(one(records, title, ":Key").properties["policy"])
        (logs,) = [each for each in policy["Statement"] if each["Sid"] == "Logs"]
        assert {"kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey"} <= {*logs["Action"]}
        (group,) = logs["Condition"]["ArnLike"].values()
        key = f":::{title.rpartition('/')[2]}"
        for each in kinds(records, "LogGroup"):
            if each.properties["kmsKeyId"].endswith(key):
                named = f"log-group:{each.properties['name']}"
                assert fnmatch(f"arn:aws:logs:eu-central-1:{ACCOUNT}:{named}", group), each.title
