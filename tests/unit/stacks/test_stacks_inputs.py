"""Every input of every resource is one that the installed provider has."""

import pytest

from backendctl.provision.definition import Inputs, StackDefinition
from backendctl.provision.simulate import simulate
from backendctl.shipped.stacks.record import Record
from tests.aws_environments import PUBLIC, bare, registered
from tests.unit.stacks.provider_schema import mistakes

pytestmark = pytest.mark.xdist_group("stacks")

SMALL = 'size = "small"'
ACCESS = (
    'api_access = ["203.0.113.0/24"]\nadmins = ["arn:aws:iam::123456789012:role/platform"]\n'
    'host = "shop.example.com"\n'
    'certificate = "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b"'
)


@pytest.mark.parametrize(
    ("environment", "extra", "regime"),
    [
        ("prod", PUBLIC, ""),
        ("prod", PUBLIC, "pci-dss"),
        ("prod", ACCESS, "hipaa"),
        ("prod", SMALL, ""),
        ("staging", "", ""),
        ("dev", "", ""),
    ],
)
def test_the_provider_knows_every_input(environment: str, extra: str, regime: str) -> None:
    records = [e for e in registered(environment, extra, regime) if e.type.startswith("aws:")]
    assert len(records) > 80
    assert [wrong for each in records for wrong in mistakes(each)] == []


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"vpcConfig": {"subnetIds": []}}, "`role_arn` is needed"),
        ({"roleArn": "r", "vpcConfig": {"subnetIds": [], "endpointPrivat": True}}, "endpointPriva"),
        ({"roleArn": "r", "vpcConfig": {"subnetIds": "a"}}, "is no list"),
        ({"roleArn": "r", "vpcConfig": {"subnetIds": []}, "deletionProtection": "yes"}, "no bool"),
        ({"roleArn": "r", "vpcConfig": {"subnetIds": []}, "encryption": {}}, "`encryption`"),
    ],
)
def test_a_wrong_input_is_found(properties: dict[str, object], said: str) -> None:
    record = Record("aws:eks/cluster:Cluster", "cluster", "cluster", properties)
    assert said in " ".join(mistakes(record))


def test_an_argument_that_a_resource_does_not_have_fails_the_program() -> None:
    def program(_inputs: Inputs) -> None:
        import pulumi_aws as aws

        aws.rds.Instance("database", instance_class="db.t4g.medium", storage_encrypt=True)

    spec = bare()
    with pytest.raises(TypeError, match="storage_encrypt"):
        simulate(spec, spec.environments["prod"], [StackDefinition("data", program)])
