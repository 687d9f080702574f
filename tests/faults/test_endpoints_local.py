"""A release that breaks one endpoint of many, on the local platform under load."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendctl.platforms.base import Platform
from backendctl.rollout.judge import shipped
from backendctl.rollout.records import check
from backendctl.workflows.rollouts import explain_rollout
from tests.faults.rollout_driver import deploy, environment
from tests.open_loop import OpenLoop

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("rollout-local")]
MIX = (*(("GET", f"/products/{i}") for i in range(24)), ("GET", "/report/2026?user=anna"))
"""One request in 25 asks for the report: less than the errors that the SLO allows."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Platform, Path]]:
    project = tmp_path_factory.mktemp("shop")
    platform = environment(project)
    try:
        platform.foundation.ensure(lambda _: None)
        assert deploy(platform, project, {}).result == "promoted"
        yield platform, project
    finally:
        platform.foundation.stop(purge=True)


def test_the_broken_endpoint_is_found_named_and_shown(shop: tuple[Platform, Path]) -> None:
    platform, project = shop
    with OpenLoop(platform.router.url, 100.0, MIX) as users:
        users.run(0.5)
        outcome = deploy(platform, project, {"BROKEN": "/report"})
        users.run(0.3)
    assert outcome.result == "restored"
    assert outcome.reason.startswith("GET /report/{id}: candidate failed "), outcome.reason
    assert {(each.status, each.path) for each in users.failed} == {(500, MIX[-1][1])}
    records = platform.store.records(outcome.rollout)
    assert check(records, shipped()) == []
    told = explain_rollout(platform, outcome.rollout)
    assert {each.endpoint for each in told.samples.requests} == {"GET /report/{id}"}
    assert "listening" in told.samples.log
    for text in (json.dumps(list(records)), repr(told)):
        assert "anna" not in text
        assert "127.0.0.1" not in text
