"""`backendctl rollout ...` on the fake platform: what a person and a script read."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backendctl.cli.rollout import app
from backendctl.cli.rollout_events import Words
from backendctl.cli.rollout_live import Picture
from backendctl.errors import BackendctlError
from backendctl.rollout.events import Event, Shifted
from backendctl.workflows import environment
from backendctl.workflows.environment import Opened
from tests.fakes.platform import Behaviour, Fake, fake_platform
from tests.fakes.rollouts import Desk


@pytest.fixture
def fake() -> Fake:
    return fake_platform()


@pytest.fixture
def desk(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Release 1 serves; release 2 was convicted."""
    desk = Desk(fake)
    opened = Opened(Path(), desk.spec, desk.spec.environments["local"], fake.platform)
    monkeypatch.setattr(environment, "open_environment", lambda *_, **__: opened)
    desk.deploy()
    fake.env.behaviours[2] = Behaviour(errors=0.3)
    desk.deploy()
    return desk


def run(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def data(*words: str) -> dict[str, Any]:
    done = run(*words, "--output", "json")
    body: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return body["data"]  # type: ignore[no-any-return]


def test_status_says_who_serves_and_how_the_last_rollout_ended(desk: Desk) -> None:
    found = data("status")
    assert (found["stable"], found["weights"], found["in_flight"]) == (1, {"1": 100}, False)
    assert found["rollout"]["result"] == "restored"
    assert "release 1: 100 %" in run("status").stdout


def test_history_lists_rollouts_and_one_of_them_decision_by_decision(desk: Desk) -> None:
    assert [each["rollout"] for each in data("history")["rollouts"]] == ["0002", "0001"]
    decisions = data("history", "2")["decisions"]
    failed = next(each for each in decisions if each["what"] == "judged fail")
    assert failed["numbers"]["evidence"] >= 100
    assert "restored" in run("history").stdout


def test_explain_gives_the_reason_the_numbers_and_what_to_type(desk: Desk) -> None:
    text = run("explain").stdout
    assert "was undone" in text
    assert "Why: candidate failed" in text
    assert "errors: candidate" in text
    assert "next: backendctl logs --release 2" in text


def test_watch_exits_like_the_deploy_it_watched(desk: Desk) -> None:
    done = run("watch", "--output", "jsonl")
    assert done.exit_code == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    names = [line["event"] for line in lines if "event" in line]
    assert names[0] == "rollout.began"
    assert names[-1] == "rollout.ended"
    assert "rollout.block-observed" in names
    assert lines[-1]["error"]["code"] == "rollout.rolled-back"


def test_promote_wants_a_reason_and_a_yes(desk: Desk) -> None:
    for words in (["promote"], ["promote", "--reason", "sure"], ["recover", "--promote", "--yes"]):
        error = run(*words).exception
        assert isinstance(error, BackendctlError), words
        assert error.code == "usage.confirmation"


def test_speaking_to_no_rollout_is_a_usage_error_that_says_where_to_look(desk: Desk) -> None:
    error = run("abort").exception
    assert isinstance(error, BackendctlError)
    assert (error.code, error.exit) == ("rollout.state", 2)


def test_recover_with_nothing_to_recover_is_no_error(desk: Desk) -> None:
    done = run("recover", "--output", "json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["data"] == {
        "environment": "local",
        "rollout": None,
        "cleared": [],
    }


def test_a_held_rollout_exits_3_and_names_the_ways_on(fake: Fake, desk: Desk) -> None:
    def go_blind(event: Event) -> None:
        fake.env.meter_down = fake.env.meter_down or isinstance(event, Shifted)

    desk.on_event = go_blind
    assert desk.deploy().result == "held"
    done = run("recover", "--output", "json")
    assert done.exit_code == 3
    assert "backendctl rollout resume" in json.loads(done.stdout)["error"]["next"]
    assert data("status")["hold"]["kind"] == "inconclusive"


def test_words_for_a_first_release_speak_of_no_stable_one(desk: Desk) -> None:
    words = Words()
    said = "\n".join(line for event in desk.events[:30] for line in words.lines_of(event))
    assert "stays healthy" in said
    assert "stable" not in said


def test_the_live_picture_can_be_drawn_after_every_event(desk: Desk) -> None:
    from rich.console import Console

    picture, console = Picture(), Console(width=100, file=io.StringIO())
    for event in desk.events:
        picture.take(event)
        console.print(picture.render())
    assert "undoing" in console.file.getvalue()  # type: ignore[attr-defined]
