"""Every reason is about a value that the stacks really have."""

import pytest

from backendctl.gates.infra.rules import at
from backendctl.spec.reasons_aws import DATABASE, NODES, Reason, reasons
from tests.aws_environments import PUBLIC, registered, whole

pytestmark = pytest.mark.xdist_group("stacks")
SMALL = 'size = "small"'
CASES = [
    ("prod", PUBLIC, ""),
    ("prod", PUBLIC, "hipaa"),
    ("prod", PUBLIC, "pci-dss"),
    ("prod", SMALL, ""),
    ("staging", "", ""),
    ("dev", "", ""),
]


@pytest.mark.parametrize(("environment", "extra", "regime"), CASES)
def test_the_value_that_a_reason_names_is_the_one_that_is_registered(
    environment: str, extra: str, regime: str
) -> None:
    spec, records = whole(environment, extra, regime), registered(environment, extra, regime)
    for reason in reasons(spec, spec.environments[environment]):
        about = [each for each in records if reason.about(each.type, each.name)]
        assert about, reason
        if reason.property:
            path = reason.property.split(".")
            assert [at(each, *path) for each in about] == [reason.value] * len(about), reason


def said(environment: str, extra: str = PUBLIC, regime: str = "") -> dict[str, str]:
    spec = whole(environment, extra, regime)
    return {
        f"{each.type}.{each.property}": each.line()
        for each in reasons(spec, spec.environments[environment])
    }


def test_numbers_of_the_load_are_in_the_reasons_that_rest_on_them() -> None:
    found = said("prod")
    assert "twice the peak makes 224 queries/s" in found[f"{DATABASE}.instanceClass"]
    assert "replicas" in found[f"{NODES}.scalingConfig.maxSize"]


def test_a_regime_and_a_small_size_are_named_where_they_decide() -> None:
    assert (
        "compliance with hipaa"
        in said("prod", PUBLIC, "hipaa")[f"{DATABASE}.backupRetentionPeriod"]
    )
    assert 'size = "small": one NAT' in said("prod", SMALL)["aws:ec2/natGateway:NatGateway."]


def test_a_reason_is_about_its_resource_alone() -> None:
    reason = Reason(DATABASE, "database", "multiAz", True, "x")
    assert reason.about(DATABASE, "database")
    assert not reason.about(DATABASE, "replica-1")
    assert not reason.about(NODES, "database")
