"""A plan is for one environment and one state."""

import json
from dataclasses import replace

import pytest

from backendctl.errors import BackendctlError, Exit
from backendctl.provision.changes import Action
from backendctl.provision.plan import Plan, base_digest, check
from backendctl.provision.timings import Timings

PLAN = Plan("shop", "prod", 1.0, "ann@laptop", {"app": "d1"}, {"app": {"x": 1}}, ("app: a",))


def test_a_plan_comes_back_from_its_file() -> None:
    assert Plan.from_bytes(PLAN.to_bytes(), "plan.json") == PLAN


@pytest.mark.parametrize("body", [b"{}", b"no json", b'{"schema": "other"}', b"[]"])
def test_what_is_no_plan_is_refused(body: bytes) -> None:
    with pytest.raises(BackendctlError) as raised:
        Plan.from_bytes(body, "plan.json")
    assert raised.value.code == "infra.stale-plan"
    assert raised.value.exit is Exit.USAGE


def test_a_plan_fits_only_the_state_it_was_made_against() -> None:
    check(PLAN, "shop", "prod", {"app": "d1"})
    for service, environment, bases in (
        ("shop", "staging", {"app": "d1"}),
        ("other", "prod", {"app": "d1"}),
        ("shop", "prod", {"app": "d2"}),
        ("shop", "prod", {"app": "d1", "data": "d1"}),
    ):
        with pytest.raises(BackendctlError, match="the plan"):
            check(PLAN, service, environment, bases)


def test_the_digest_of_a_state_tells_any_change_of_its_resources() -> None:
    one = {"resources": [{"type": "t", "urn": "u", "inputs": {"a": 1}}]}
    other = json.loads(json.dumps(one).replace("1", "2"))
    assert base_digest(one) != base_digest(other)
    assert base_digest(None) == base_digest({"resources": [{"type": "pulumi:pulumi:Stack"}]})
    assert base_digest(one) != base_digest({**one, "pending_operations": [{}]})


def test_durations_are_remembered_by_what_was_done() -> None:
    timings = Timings().with_run("up", "data", 540.0, {("urn:db", Action.CREATE): 530.04})
    assert timings.of_resource("urn:db", Action.CREATE) == 530.0
    assert timings.of_resource("urn:db", Action.UPDATE) is None
    assert timings.of_operation("up", "data", 1) == 540.0
    assert timings.of_operation("up", "data", 2) is None
    assert replace(timings).with_run("up", "data", 1.0, {}).of_operation("up", "data", 0) == 1.0
