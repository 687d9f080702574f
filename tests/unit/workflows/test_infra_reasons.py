"""A preview says why: each derived value beside the change, and what a small size gives up."""

from backendctl.provision.changes import Action, PropertyChange, ResourceChange
from backendctl.provision.engine import Preview
from backendctl.provision.plan import Plan
from backendctl.spec.reasons_aws import reasons
from backendctl.spec.tiers_aws import given_up
from backendctl.workflows.infra.preview import Previewed, change_data, change_lines
from tests.aws_environments import whole

SPEC = whole("prod", 'size = "small"')
PROD = SPEC.environments["prod"]
WHY = reasons(SPEC, PROD)


def database(action: Action, *changes: PropertyChange) -> ResourceChange:
    urn = "urn:pulumi:data::shop::aws:rds/instance:Instance::database"
    return ResourceChange(urn, action, changes)


def test_a_new_resource_is_told_with_the_reason_of_each_derived_value() -> None:
    text = "\n".join(change_lines(database(Action.CREATE), WHY))
    assert "it is new" in text
    assert "instanceClass = db.t4g.xlarge: twice the peak makes 224 queries/s" in text
    assert "multiAz = True: prod fails over by itself" in text
    assert "replica" not in text


def test_a_change_is_told_with_the_reason_of_what_changes_alone() -> None:
    change = PropertyChange("allocatedStorage", "update", "20", "60")
    lines = list(change_lines(database(Action.UPDATE, change), WHY))
    assert lines[1].strip() == "allocatedStorage changes from 20 to 60"
    assert lines[2].strip().startswith("allocatedStorage = 60: data.size is 40 GiB after a year")
    assert len(lines) == 3


def test_machines_are_told_the_same() -> None:
    because = change_data(database(Action.CREATE), WHY)["because"]
    assert {"multiAz", "backupRetentionPeriod"} <= {each["path"] for each in because}


def test_what_a_small_environment_gives_up_is_said() -> None:
    stacks: tuple[Preview, ...] = ()
    plan = Plan("shop", "prod", 0.0, "ana", {}, {})
    said = list(Previewed("prod", stacks, plan, given_up=given_up(PROD)).lines())
    assert any("one NAT gateway" in each for each in said)
