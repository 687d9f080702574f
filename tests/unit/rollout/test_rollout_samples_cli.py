"""`rollout explain` and `rollout history ID` show what the candidate failed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backendctl.cli.rollout import app
from backendctl.platforms.base import FailedRequest
from backendctl.workflows import environment
from backendctl.workflows.environment import Opened
from tests.fakes.platform import START, Behaviour, fake_platform
from tests.fakes.rollouts import Desk

REPORT = "GET /report/{id}"


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Release 1 serves; release 2 was undone for one endpoint."""
    desk = Desk(fake_platform())
    opened = Opened(Path(), desk.spec, desk.spec.environments["local"], desk.fake.platform)
    monkeypatch.setattr(environment, "open_environment", lambda *_, **__: opened)
    desk.fake.env.behaviours[1] = Behaviour(endpoints={"GET /": 0.0})
    desk.deploy()
    desk.fake.env.behaviours[2] = Behaviour(
        errors=0.03,
        endpoints={REPORT: 0.03},
        failures=(FailedRequest(START, REPORT, 500, "", 12.0),),
        log=("division by zero",),
    )
    desk.deploy()
    return desk


@pytest.mark.parametrize("words", [("explain",), ("history", "2")])
def test_a_person_sees_the_requests_and_the_log(desk: Desk, words: tuple[str, ...]) -> None:
    text = CliRunner().invoke(app, [*words]).stdout
    assert f"{REPORT}: candidate failed" in text
    assert f"{REPORT} answered 500 after 12 ms" in text
    assert "| division by zero" in text


@pytest.mark.parametrize("words", [("explain",), ("history", "2")])
def test_a_script_gets_them_as_json(desk: Desk, words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*words, "--output", "json"])
    samples = json.loads(done.stdout.splitlines()[-1])["data"]["samples"]
    (request,) = samples["requests"]
    assert (request["endpoint"], request["status"]) == (REPORT, 500)
    assert samples["log"] == ["division by zero"]


def test_the_log_is_shown_where_no_requests_could_be_kept(desk: Desk) -> None:
    """As in a cluster, where no gateway keeps examples."""
    desk.fake.env.behaviours[3] = Behaviour(errors=0.3, log=("out of memory",))
    desk.deploy()
    text = CliRunner().invoke(app, ["explain"]).stdout
    assert "Requests that the candidate failed" not in text
    assert "| out of memory" in text
