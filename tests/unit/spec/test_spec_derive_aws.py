"""The numbers of an environment on AWS, each from its inputs."""

from dataclasses import fields

import pytest

from backendctl.spec import derive_aws, machines_aws, tiers_aws
from backendctl.spec.derive_aws import plan_of
from backendctl.spec.load import read_spec
from backendctl.spec.model import Environment, Spec
from backendctl.spec.tiers_aws import Tier, tier_of


def spec(
    environment: str = "prod", extra: str = "", load: str = "peak_rps = 50", **tables: str
) -> Spec:
    rest = "".join(f"[{name}]\n{keys}\n" for name, keys in tables.items())
    text = (
        f'[service]\nname = "shop"\nstart = "x"\nresidency = "eu"\n[load]\n{load}\n{rest}'
        f'[environments.{environment}]\nplatform = "aws"\naccount = "123456789012"\n{extra}\n'
    )
    return read_spec(text.encode(), "backend.toml")


def plan(environment: str = "prod", extra: str = "", **more: str) -> derive_aws.Plan:
    found = spec(environment, extra, **more)
    return plan_of(found, found.environments[environment])


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        ("prod", Tier.PROD),
        ("production-eu", Tier.PROD),
        ("live", Tier.PROD),
        ("staging", Tier.STAGING),
        ("preprod", Tier.STAGING),
        ("dev", Tier.DEV),
        ("qa", Tier.DEV),
    ],
)
def test_an_environments_name_says_what_it_is_for(name: str, tier: Tier) -> None:
    assert tier_of(Environment(name=name)) is tier


@pytest.mark.parametrize(
    ("residency", "stated", "region"),
    [("eu", "", "eu-central-1"), ("uk", "", "eu-west-2"), ("eu", "eu-west-1", "eu-west-1"),
     ("eu-north-1", "", "eu-north-1")],
)  # fmt: skip
def test_the_region_follows_from_where_data_must_stay(
    residency: str, stated: str, region: str
) -> None:
    found = spec("prod", f'region = "{stated}"' if stated else "")
    moved = found.model_copy(
        update={"service": found.service.model_copy(update={"residency": residency})}
    )
    assert derive_aws.region(moved, moved.environments["prod"]) == region


def test_every_difference_between_the_tiers_has_a_reason_and_is_one() -> None:
    for name, each in tiers_aws.DIFFERENCES.items():
        assert len({each.dev, each.staging, each.prod}) > 1, name
        assert len(each.reason) > 20, name
    for name, sacrifice in tiers_aws.GIVEN_UP.items():
        assert sacrifice.meaning, name


def test_plans_of_two_tiers_differ_in_nothing_but_what_the_table_says() -> None:
    """Whatever else differs would be a decision hidden somewhere."""
    data = {"data": 'engine = "postgresql"', "cache": 'engine = "valkey"'}
    prod, staging = plan("prod", **data), plan("staging", **data)
    differing = {
        f"{stack.name}.{field.name}"
        for stack in fields(prod)
        for field in fields(getattr(prod, stack.name))
        if field.name not in ("place", "database", "cache", "namespace")
        and getattr(getattr(prod, stack.name), field.name)
        != getattr(getattr(staging, stack.name), field.name)
    }
    assert differing == {
        "network.nat_gateways",  # nat_gateways
        "network.log_days",  # log_days
        "data.log_days",
        "cluster.log_days",
        "addons.log_days",
        "cluster.instance_type",  # burstable
    }


def test_a_small_environment_says_what_it_gives_up_and_a_standard_one_nothing() -> None:
    small = spec("prod", 'size = "small"').environments["prod"]
    said = tiers_aws.given_up(small)
    assert any("one NAT gateway" in each for each in said)
    assert any("no interface endpoints" in each for each in said)
    assert tiers_aws.given_up(spec().environments["prod"]) == ()


def test_a_network_of_six_zones_still_fits_its_sixteen() -> None:
    cut = derive_aws.subnets(6)
    assert len({*cut.public, *cut.private, *cut.data}) == 18
    assert cut.private[0] == "10.0.0.0/19"
    assert cut.public[0] == "10.0.224.0/24"


def test_the_database_holds_its_hot_data_and_its_connections_in_memory() -> None:
    little = plan(data='engine = "postgresql"\nsize = "1 GiB"').data.database
    much = plan(data='engine = "postgresql"\nsize = "100 GiB"').data.database
    assert little is not None
    assert much is not None
    assert little.instance_class == "db.m7g.large"
    assert much.instance_class == "db.m7g.2xlarge"
    assert (little.storage_gib, much.storage_gib) == (20, 150)
    assert much.most_storage_gib == 600
    whole_disk = plan(data='engine = "postgresql"\nsize = "12 TiB"').data.database
    assert whole_disk is not None
    assert whole_disk.most_storage_gib == 65_536


def test_a_cache_takes_reads_off_the_database() -> None:
    busy = {"load": "peak_rps = 3000", "data": 'engine = "postgresql"\nmax_connections = 900'}
    alone = plan(**busy).data.database
    cached = plan(**busy, cache='engine = "valkey"').data.database
    assert alone is not None
    assert cached is not None
    assert (alone.instance_class, cached.instance_class) == ("db.m7g.2xlarge", "db.m7g.xlarge")


@pytest.mark.parametrize(
    ("environment", "recovery", "data", "multi_az"),
    [
        ("prod", "rpo = '15m'", "", True),
        ("staging", "rpo = '15m'", "", False),
        ("staging", "rpo = '15m'", "standby = true", True),
        ("staging", "rpo = '1m'", "replicas = 1", False),
        ("staging", "rpo = '1m'", "standby = true", True),
        ("dev", "rpo = '1m'", "standby = true", False),
    ],
)
def test_a_standby_where_the_tier_the_file_or_the_rpo_asks_for_one(
    environment: str, recovery: str, data: str, multi_az: bool
) -> None:
    found = plan(
        environment, recovery=recovery, data=f'engine = "postgresql"\n{data}'
    ).data.database
    assert found is not None
    assert found.multi_az is multi_az


def test_the_strictest_regime_says_how_long_logs_are_kept() -> None:
    base = spec()
    both = base.model_copy(update={"compliance": frozenset({"hipaa", "pci-dss"})})
    assert tiers_aws.log_days(base, base.environments["prod"]) == 90
    assert tiers_aws.log_days(both, both.environments["prod"]) == 2192


@pytest.mark.parametrize("rps", [1, 50, 500, 3000])
def test_the_most_nodes_hold_both_arms_of_a_rollout_at_twice_the_peak(rps: int) -> None:
    from backendctl.spec import derive

    found = spec(load=f"peak_rps = {rps}")
    environment = found.environments["prod"]
    nodes = machines_aws.node_plan(found, environment)
    assert nodes.nodes >= 3
    assert nodes.most > nodes.nodes or nodes.most >= nodes.nodes
    cores = derive.ARMS * derive.demand(found).rps / found.service.rps_per_worker
    room = nodes.most * nodes.machine.cpus * machines_aws.NODE_SHARE
    assert room >= cores + machines_aws.SYSTEM_CORES


def test_only_addresses_of_mail_are_told_by_mail() -> None:
    found = plan(
        on_call='primary = "ana@example.com"\nescalation = ["+49 30 123", "b@example.com"]'
    )
    assert found.addons.alarms.contacts == ("ana@example.com", "b@example.com")


def test_an_environment_is_protected_unless_it_is_being_released() -> None:
    found = spec()
    environment = found.environments["prod"]
    assert not plan_of(found, environment).place.releasing
    assert plan_of(found, environment, releasing=True).place.releasing
