"""The estimate: each line follows from a resource and the table, and nothing is made up."""

from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from backendctl.provision.aws import AWS_STACKS
from backendctl.provision.cost.estimate import estimate
from backendctl.provision.cost.table import MOST_AGE, table
from backendctl.provision.simulate import simulate
from backendctl.shipped.stacks.record import Record
from backendctl.spec import machines_aws
from backendctl.spec.load import read_spec
from backendctl.workflows.infra.cost import cost
from tests.aws_environments import PUBLIC, registered

if TYPE_CHECKING:
    from backendctl.workflows.infra.opened import Opened

pytestmark = pytest.mark.xdist_group("stacks")


LITTLE = """\
[service]
name = "shop"
start = "x"
residency = "eu"
[load]
peak_rps = 5
[data]
engine = "postgresql"
[environments.prod]
platform = "aws"
account = "123456789012"
SIZE
"""


def database(**properties: object) -> Record:
    inputs = {"instanceClass": "db.m7g.large", "allocatedStorage": 100, **properties}
    return Record("aws:rds/instance:Instance", "database", "data", inputs)


def test_a_standby_doubles_machine_and_storage() -> None:
    alone = estimate([database()], "us-east-1")
    both = estimate([database(multiAz=True)], "us-east-1")
    assert alone.monthly == pytest.approx(0.168 * 730 + 100 * 0.115, abs=0.01)
    assert both.monthly == pytest.approx(2 * alone.monthly, abs=0.02)


def test_another_region_costs_by_its_factor_and_the_line_says_so() -> None:
    there = estimate([database()], "eu-central-1")
    assert there.monthly == pytest.approx(
        1.2 * estimate([database()], "us-east-1").monthly, abs=0.02
    )
    assert "x 1.2 (eu-central-1 against us-east-1, about)" in there.lines[0].explanation


def test_a_replica_takes_over_its_sources_storage() -> None:
    source = database(identifier="shop")
    copy = Record(
        "aws:rds/instance:Instance",
        "replica-1",
        "data",
        {"instanceClass": "db.m7g.large", "replicateSourceDb": "shop"},
    )
    found = estimate([source, copy], "us-east-1")
    storage = [each for each in found.lines if "GiB of storage" in each.explanation]
    assert [each.subject for each in storage] == ["data/database", "data/replica-1"]


def test_what_the_table_does_not_have_is_named_and_not_guessed() -> None:
    odd = estimate([database(instanceClass="db.x9.huge")], "us-east-1")
    assert odd.unpriced == ("data/database (db.x9.huge in us-east-1)",)
    far = estimate([database()], "mars-north-1")
    assert far.monthly == 0
    assert len(far.unpriced) == 2


def test_what_is_adopted_costs_its_owner() -> None:
    adopted = Record("aws:eks/cluster:Cluster", "cluster", "cluster", adopted=True)
    assert estimate([adopted], "us-east-1").lines == ()


@pytest.mark.parametrize("environment", ["prod", "staging", "dev"])
@pytest.mark.parametrize("size", ["", 'size = "small"'])
def test_everything_our_stacks_pay_for_is_in_the_table(environment: str, size: str) -> None:
    found = estimate(registered(environment, size), "eu-central-1")
    assert found.unpriced == ()
    assert all(each.source for each in found.lines)


def test_a_small_environment_costs_less_than_a_standard_one_and_dev_less_than_prod() -> None:
    def monthly(environment: str, size: str) -> float:
        return estimate(registered(environment, size), "eu-central-1").monthly

    small = 'size = "small"'
    assert monthly("prod", small) < 0.6 * monthly("prod", "")
    assert monthly("dev", "") < monthly("staging", "") < monthly("prod", "")


def test_every_machine_that_may_be_chosen_has_a_price() -> None:
    prices = table()
    for group, machines in (
        ("ec2", machines_aws.NODES),
        ("rds", machines_aws.DATABASES),
        ("elasticache", machines_aws.CACHES),
    ):
        for each in (*machines[True], *machines[False]):
            assert prices.price(group, each.name) is not None, each.name


def test_the_estimate_says_what_it_does_not_say() -> None:
    said = " ".join(estimate(registered("prod", PUBLIC), "eu-central-1").text_lines())
    assert str(table().read) in said
    assert "without tax, discount or free tier" in said
    assert "Billed by use besides: " in said


def test_old_prices_are_said_to_be_old() -> None:
    last = table().read + timedelta(days=MOST_AGE)
    fresh = estimate([database()], "us-east-1", last)
    old = estimate([database()], "us-east-1", last + timedelta(days=1))
    assert fresh.too_old == ""
    assert "12 months old" in old.too_old
    assert old.too_old in " ".join(old.text_lines())
    assert old.data()["prices_too_old"] == old.too_old


@pytest.mark.parametrize(("size", "most"), [('size = "small"', 300), ("", 1200)])
def test_a_little_service_of_a_small_team_has_a_bill_that_it_can_bear(size: str, most: int) -> None:
    """Most of it is fixed: EKS, NAT and load balancer cost 143 in eu-central-1 by themselves."""
    little = read_spec(LITTLE.replace("SIZE", size).encode(), "backend.toml")
    made = simulate(little, little.environments["prod"], AWS_STACKS)
    assert estimate(made, "eu-central-1").monthly < most


def test_where_the_region_follows_from_residency_its_prices_are_taken() -> None:
    little = read_spec(LITTLE.replace("SIZE", "").encode(), "backend.toml")
    environment = little.environments["prod"]
    assert environment.region == ""
    opened = SimpleNamespace(spec=little, environment=environment, definitions=AWS_STACKS)
    found = cost(cast("Opened", opened))
    assert found.region == "eu-central-1"
    assert found.unpriced == ()


def test_lines_that_say_the_same_are_one_for_a_person() -> None:
    gateways = [Record("aws:ec2/natGateway:NatGateway", f"nat-{n}", "network") for n in range(3)]
    found = estimate(gateways, "us-east-1")
    assert len(found.lines) == 3
    assert next(found.text_lines()).strip().startswith("98.55  network/nat-0 and 2 more, each:")
