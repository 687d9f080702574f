"""A rollout judged by a metric of the service's own, on the fake platform."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from backendctl.platforms.base import Sample
from backendctl.rollout.judge import shipped
from backendctl.rollout.observe import own_counts
from backendctl.rollout.records import check
from backendctl.spec.model import OwnMetric
from tests.fakes.platform import fake_platform
from tests.fakes.rollouts import Desk, spec_with

CHECKOUT = OwnMetric(name="checkout", limit=0.02, command=("count", "$RELEASE"))


class Counting:
    """The fake gateway, and one checkout in ten requests; some of them bad."""

    def __init__(self, meter: Any, bad: Mapping[int, float]) -> None:
        self._meter = meter
        self._bad = bad
        self.broken: set[int] = set()
        self.unknown: set[int] = set()
        """Releases whose code came before the metric."""

    def sample(self) -> Sample:
        found: Sample = self._meter.sample()
        arms = {}
        for number, arm in found.arms.items():
            done = arm.requests // 10
            counted = {"checkout": (done, int(done * self._bad.get(number, 0.0)))}
            arms[number] = replace(arm, counted=counted)
            if number in self.unknown:
                arms[number] = replace(arm, uncounted={"checkout": "count could not be started"})
            if number in self.broken:
                arms[number] = replace(arm, uncounted={"checkout": "count ended with status 3"})
        return Sample(found.at, arms)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._meter, name)


def desk_with(**bad: float) -> tuple[Desk, Counting]:
    fake = fake_platform()
    counting = Counting(fake.platform.meter, {int(name[1:]): rate for name, rate in bad.items()})
    desk = Desk(replace(fake, platform=replace(fake.platform, meter=counting)))
    desk.spec = spec_with().model_copy(update={"metrics": (CHECKOUT,)})
    assert desk.deploy().result == "promoted"
    return desk, counting


def test_a_release_that_breaks_checkouts_is_undone_though_all_requests_are_answered() -> None:
    desk, _ = desk_with(r2=0.3)
    found = desk.deploy()
    assert found.result == "restored"
    assert found.reason.startswith("candidate did badly by checkout in ")
    assert check(desk.fake.store.records(found.rollout), shipped()) == []


def test_a_release_that_does_well_is_promoted_and_its_journal_holds_the_counts() -> None:
    desk, _ = desk_with()
    found = desk.deploy()
    assert found.result == "promoted"
    records = desk.fake.store.records(found.rollout)
    assert '"counted": {"checkout": [' in json.dumps(records)


def test_a_metric_that_cannot_be_read_promotes_nothing_and_says_why() -> None:
    desk, counting = desk_with()
    counting.broken.add(2)
    found = desk.deploy()
    assert found.result in ("held", "restored")
    assert "checkout could not be read: count ended with status 3" in found.reason


def test_a_metric_that_stable_does_not_count_yet_is_judged_in_the_candidate_alone() -> None:
    desk, counting = desk_with()
    counting.unknown.add(1)
    assert desk.deploy().result == "promoted"
    desk, counting = desk_with(r2=0.3)
    counting.unknown.add(1)
    found = desk.deploy()
    assert found.result == "restored"
    assert "checkout" in found.reason
    assert check(desk.fake.store.records(found.rollout), shipped()) == []


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"a": (5, 1)}, {"a": (9, 2)}, {"a": (4, 1)}),
        ({"a": (5, 1)}, {"a": (3, 1)}, {}),
        ({"a": (5, 3)}, {"a": (9, 2)}, {}),
        ({}, {"a": (9, 2)}, {}),
        ({"a": (5, 1)}, {}, {}),
        ({"a": (5, 1)}, {"a": (6, 3)}, {"a": (2, 2)}),
    ],
)
def test_counts_that_began_anew_are_missing_and_not_zero(
    before: dict[str, tuple[int, int]],
    after: dict[str, tuple[int, int]],
    found: dict[str, tuple[int, int]],
) -> None:
    assert own_counts(before, after) == found
