"""Another cluster than a stack's own is refused; a namespace that was there stays."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backendctl.errors import BackendctlError
from backendctl.provision.app import definition
from backendctl.provision.changes import (
    NAMESPACE,
    NAMESPACE_TAKEN_OVER,
    Action,
    ResourceChange,
)
from backendctl.provision.definition import Inputs, StackDefinition
from backendctl.provision.simulate import simulate
from backendctl.provision.target import Target, parting, recorded, refuse_another, taken_over
from backendctl.spec.model import Environment, Load, PlatformName, Service, Spec

OURS = Target("uid-1", "https://10.0.0.1:6443", "ana@staging")


def state(identifier: str, *types: str) -> Mapping[str, Any]:
    provider = {"type": "pulumi:providers:kubernetes", "inputs": {"clusterIdentifier": identifier}}
    return {"resources": [provider, *({"type": each} for each in types)]}


def refuse(given: Mapping[str, Any]) -> None:
    refuse_another(OURS, "app", given, "staging", parting(Path("/p/state"), "app"))


@pytest.mark.parametrize("given", [{}, state("uid-1"), state("environment")])
def test_the_same_cluster_and_one_that_nobody_recorded_are_worked_with(
    given: Mapping[str, Any],
) -> None:
    refuse(given)


def test_another_cluster_is_refused_by_what_it_is_and_what_to_type() -> None:
    with pytest.raises(BackendctlError) as raised:
        refuse(state("uid-2"))
    error = raised.value
    assert error.code == "infra.cluster"
    assert "ana@staging (https://10.0.0.1:6443)" in error.message
    assert "uid-1" in error.cause
    assert "uid-2" in error.cause
    assert error.next[1] == 'in [environments.staging]: context = "NAME"'
    assert error.next[2].startswith("mv /p/state /p/state.old  # only if")
    assert "pulumi stack rm" in parting(None, "organization/shop-app/staging")


def test_a_namespace_that_was_there_is_taken_over_for_as_long_as_the_state_knows_it() -> None:
    there = Target("uid-1", "https://c", occupied=True)
    assert taken_over({}, there)
    assert not taken_over({}, OURS)
    assert not taken_over({}, None)
    # Once the stack has made it, it is there too: what was recorded then holds.
    assert not taken_over(state("uid-1", NAMESPACE), there)
    assert taken_over(state("uid-1", NAMESPACE_TAKEN_OVER), there)


def test_the_stack_keeps_the_cluster_and_leaves_a_namespace_that_it_did_not_make() -> None:
    environment = Environment(name="prod", platform=PlatformName.KUBERNETES)
    spec = Spec(
        service=Service(name="shop", start=("serve",)),
        load=Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1),
        environments={"prod": environment},
    )
    for occupied in (True, False):

        def program(inputs: Inputs, occupied: bool = occupied) -> None:
            given = replace(inputs, cluster="uid-1", taken_over=occupied)
            definition(environment).program(given)

        made = simulate(spec, environment, (StackDefinition("app", program),))
        kind = NAMESPACE_TAKEN_OVER if occupied else NAMESPACE
        [namespace] = [each for each in made if each.type.startswith(NAMESPACE)]
        assert (namespace.type, namespace.protected) == (kind, not occupied)
        [provider] = [each for each in made if each.type == "pulumi:providers:kubernetes"]
        kept = {"resources": [{"type": provider.type, "inputs": provider.properties}]}
        assert recorded(kept) == "uid-1"


def test_the_preview_says_that_a_namespace_is_there_already() -> None:
    urn = f"urn:pulumi:prod::shop-app::{NAMESPACE}::shop-prod"
    assert ResourceChange(urn, Action.CREATE).reason() == "it is new"
    patch = urn.replace(NAMESPACE, NAMESPACE_TAKEN_OVER)
    assert "outlives the stack" in ResourceChange(patch, Action.CREATE).reason()
