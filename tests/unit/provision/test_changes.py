"""What becomes of a resource is told in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.provision.changes import (
    UNKNOWN,
    WRAPPED,
    Action,
    PropertyChange,
    ResourceChange,
    differences,
    short_type,
    shown,
    unknown_paths,
)

URN = "urn:pulumi:prod::shop-data::aws:rds/instance:Instance::db"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def words(before: dict, after: dict, *replacing: str) -> list[str]:
    return [c.in_words() for c in differences(before, after, frozenset(replacing))]


def test_each_leaf_that_differs_is_said_once() -> None:
    before = {"spec": {"hard": {"pods": "42", "cpu": "4"}}, "kind": "ResourceQuota"}
    after = {"spec": {"hard": {"pods": "3", "memory": "1Gi"}}, "kind": "ResourceQuota"}
    assert words(before, after) == [
        'spec.hard.cpu is taken away (was "4")',
        'spec.hard.memory is set to "1Gi"',
        'spec.hard.pods changes from "42" to "3"',
    ]


def test_what_forces_a_replacement_is_said() -> None:
    assert words({"engine": "mysql"}, {"engine": "postgres"}, "engine") == [
        'engine changes from "mysql" to "postgres", which cannot be done in place'
    ]


def test_a_property_below_one_that_forces_a_replacement_forces_it_too() -> None:
    [change] = differences({"a": {"b": 1}}, {"a": {"b": 2}}, frozenset({"a"}))
    assert change.replaces


@pytest.mark.parametrize("secret", ["[secret]", {WRAPPED: "x", "ciphertext": "v1:abc"}])
def test_a_secret_is_never_shown(secret: object) -> None:
    assert words({"password": secret}, {"password": "[secret]x"})[0].startswith(
        "password changes from [secret] to"
    )
    assert shown({"inside": secret}) == "{inside: [secret]}"


def test_an_unknown_value_is_said_to_be_known_later() -> None:
    assert words({"vpc": "vpc-1"}, {"vpc": UNKNOWN}) == [
        'vpc changes from "vpc-1" to (known once it exists)'
    ]
    assert list(unknown_paths({"a": [UNKNOWN], "b": {"c d": UNKNOWN}, "e": 1})) == [
        "a[0]",
        'b["c d"]',
    ]


@given(VALUES.map(lambda v: {"v": v}), VALUES.map(lambda v: {"v": v}))
def test_there_is_a_difference_exactly_where_values_differ(before: dict, after: dict) -> None:
    found = list(differences(before, after))
    assert bool(found) == (before != after)
    assert all(isinstance(each, PropertyChange) and each.in_words() for each in found)


def test_reasons_name_what_a_person_has_to_know() -> None:
    assert ResourceChange(URN, Action.CREATE).reason() == "it is new"
    gone = ResourceChange(URN, Action.DELETE, retained=True).reason()
    assert gone == "it is no longer asked for; the thing itself stays"
    assert "no property of ours" in ResourceChange(URN, Action.UPDATE).reason()


def test_types_are_short_and_say_what_it_is() -> None:
    assert ResourceChange(URN, Action.SAME).title == "rds Instance db"
    assert short_type("kubernetes:apps/v1:Deployment") == "Deployment"
    assert short_type("aws:index/getRegion:getRegion") == "getRegion"


def test_long_values_are_cut() -> None:
    assert len(shown("x" * 500)) == 60
