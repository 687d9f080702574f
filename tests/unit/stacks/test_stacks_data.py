"""What holds data: how it is kept, and that its passwords are nowhere."""

import json

import pytest

from backendctl.provision.aws import AWS_STACKS
from backendctl.provision.definition import Inputs
from backendctl.provision.simulate import simulate
from backendctl.shipped.stacks.database import database_name
from backendctl.shipped.stacks.inputs import Place
from tests.aws_environments import PUBLIC, bare, one, registered, whole

pytestmark = pytest.mark.xdist_group("stacks")


def test_what_holds_data_is_protected_and_its_key_outlives_it() -> None:
    records = registered("prod")
    protected = {each.title for each in records if each.protected}
    assert {"data/database", "data/replica-1", "data/cache", "data/data"} <= protected
    assert {"data/database-access", "data/cache-access"} <= protected
    assert {"cluster/cluster", "addons/access-logs", "addons/balancer"} <= protected
    assert one(records, "data/data", ":Key").retained
    assert not one(records, "data/database", ":Instance").retained


def test_everything_stands_under_its_stacks_component_and_no_alias_is_of_ours() -> None:
    """The provider itself names the older types of some of its resources."""
    for each in registered("prod"):
        if each.type.startswith("aws:"):
            assert f"backendctl:stack:{each.stack.capitalize()}" in each.parent, each.title
        assert all(alias.startswith("aws:") for alias in each.aliases), each.title


def test_prod_has_a_standby_and_two_weeks_of_backups_and_dev_neither() -> None:
    prod = one(registered("prod"), "data/database", ":Instance").properties
    dev = one(registered("dev", ""), "data/database", ":Instance").properties
    assert (prod["multiAz"], prod["backupRetentionPeriod"]) == (True, 14)
    assert (dev["multiAz"], dev["backupRetentionPeriod"]) == (False, 1)
    assert (prod["deletionProtection"], dev["deletionProtection"]) == (True, True)
    assert prod["finalSnapshotIdentifier"] == "shop-prod-final"


def test_a_replica_is_encrypted_by_its_sources_key_which_rds_refuses_to_be_told() -> None:
    replica = one(registered("prod"), "data/replica-1", ":Instance").properties
    assert replica["storageEncrypted"] is True
    assert "kmsKeyId" not in replica
    assert "kmsKeyId" in one(registered("prod"), "data/database", ":Instance").properties


def test_every_log_that_rds_writes_has_a_group_of_ours_before() -> None:
    """RDS would make one itself, without a key and for ever."""
    records = registered("prod")
    groups = {e.properties["name"] for e in records if e.type.endswith(":LogGroup")}
    for each in (e for e in records if e.type.endswith("rds/instance:Instance")):
        identifier = each.properties["identifier"]
        for kind in each.properties["enabledCloudwatchLogsExports"]:
            assert f"/aws/rds/instance/{identifier}/{kind}" in groups


@pytest.mark.parametrize(
    ("service", "name"),
    [("shop-api", "shop_api"), ("order", "order_db"), ("user", "user_db"), ("orders", "orders")],
)
def test_the_database_has_a_name_that_postgresql_takes(service: str, name: str) -> None:
    assert database_name(Place(service, "prod", "1", "r", {})) == name


@pytest.mark.parametrize("regime", ["hipaa", "pci-dss"])
def test_regulated_data_is_backed_up_as_long_as_rds_can(regime: str) -> None:
    records = registered("prod", PUBLIC, regime)
    assert one(records, "data/database", ":Instance").properties["backupRetentionPeriod"] == 35


def test_the_master_users_password_is_made_and_kept_by_rds() -> None:
    database = one(registered("prod"), "data/database", ":Instance").properties
    assert database["manageMasterUserPassword"] is True
    assert "password" not in database
    assert database["masterUserSecretKmsKeyId"] == database["kmsKeyId"]


@pytest.mark.parametrize("part", ["database", "cache"])
def test_the_services_passwords_are_made_inside_cloudformation_and_only_named_here(
    part: str,
) -> None:
    access = one(registered("prod"), f"data/{part}-access").properties
    secret = json.loads(access["templateBody"])["Resources"]["Secret"]["Properties"]
    assert secret["Name"] == f"shop-prod/{part}"
    assert json.loads(secret["GenerateSecretString"]["SecretStringTemplate"]) == {
        "username": "service"
    }


def test_the_cache_takes_its_password_from_there() -> None:
    access = one(registered("prod"), "data/cache-access").properties
    template = json.loads(access["templateBody"])
    (password,) = template["Resources"]["User"]["Properties"]["Passwords"]
    assert password["Fn::Sub"].startswith("{{resolve:secretsmanager:")


def test_a_service_without_database_and_cache_gets_a_key_and_nothing_else() -> None:
    spec = bare()
    found = simulate(spec, spec.environments["prod"], AWS_STACKS[:2])
    made = {each.type for each in found if each.stack == "data"}
    assert made == {"pulumi:providers:aws", "aws:kms/key:Key", "aws:kms/alias:Alias"}


def test_an_adopted_database_is_only_read() -> None:
    records = registered("prod", 'database = "old-shop"\n' + PUBLIC)
    database = one(records, "data/database", ":Instance")
    assert database.adopted
    assert database.properties == {"id": "old-shop"}
    assert not [e for e in records if e.title.startswith("data/database-")]


def test_protection_comes_off_only_for_a_confirmed_destroy_and_snapshots_are_still_taken() -> None:
    spec = whole("prod")
    network = {
        "vpc_id": "v",
        "cidr": "c",
        "balancer_subnet_ids": ["a"],
        "private_subnet_ids": ["a"],
    }
    upstream = {"network": {**network, "data_subnet_ids": ["a"], "workload_group_id": "g"}}
    from backendctl.provision import simulate as simulation

    found, _ = simulation._alone(
        AWS_STACKS[1], Inputs(spec, spec.environments["prod"], upstream, releasing=True)
    )
    assert not [each.title for each in found if each.protected]
    database = one(found, "data/database", ":Instance").properties
    assert database["deletionProtection"] is False
    assert database["skipFinalSnapshot"] is False


def test_names_longer_than_aws_takes_are_cut_and_stay_different() -> None:
    def name(service: str) -> str:
        return Place(service, "production", "1", "r", {}).within(32)

    long = "a-service-with-a-rather-long-name"
    assert len(name(long)) <= 32
    assert name(long) != name(long + "r")
    assert name("shop") == "shop-production"
