"""`backendctl rollout ...` on the fake platform: what a person and a script read."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backendctl.cli.contract import Session
from backendctl.cli.rollout import app
from backendctl.cli.rollout_answer import answer_of
from backendctl.cli.rollout_events import Words
from backendctl.cli.rollout_live import Picture
from backendctl.errors import BackendctlError
from backendctl.rollout.events import Event, Shifted
from backendctl.rollout.outcome import Outcome
from backendctl.rollout.states import Kind
from backendctl.workflows import environment, rollouts
from backendctl.workflows.environment import Opened
from tests.fakes.platform import Behaviour, Fake
from tests.fakes.rollouts import Desk, means


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
    assert "requests that failed: candidate " in text
    assert "requests slower than 300 ms (the SLO's p95): candidate 0 %, stable 0 %" in text
    assert "next: backendctl logs --release 2" in text


def test_explain_offers_a_rollback_only_while_one_would_find_a_release(
    fake: Fake, desk: Desk
) -> None:
    assert desk.deploy().result == "promoted"
    assert data("explain", "3")["next"] == ["backendctl rollback"]
    rollouts.run_rollback(fake.platform, desk.spec, lambda _: None, by="bob", means=means(fake))
    assert data("explain", "3")["next"] == ["backendctl status"]


def test_explain_replays_a_journal_and_says_whether_each_decision_is_the_same(
    desk: Desk, fake: Fake
) -> None:
    assert "each decision came out the same" in run("explain", "--replay").stdout
    found = data("explain", "1", "--replay")
    assert (found["rollout"], found["differences"]) == ("0001", [])
    assert found["records"] == len(fake.store.records("0001"))
    journal = fake.store._journals["0002"]
    place, written = next((n, r) for n, r in enumerate(journal) if "judgement" in r)
    journal[place] = {**written, "judgement": {**written["judgement"], "decision": "pass"}}
    done = run("explain", "--replay")
    assert done.exit_code == 1
    assert f"record {place + 1} (block)" in done.stderr


def test_watch_exits_like_the_deploy_it_watched(desk: Desk) -> None:
    done = run("watch", "--output", "jsonl")
    assert done.exit_code == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    names = [line["event"] for line in lines if "event" in line]
    assert names[0] == "rollout.began"
    assert names[-1] == "rollout.ended"
    assert "rollout.block-observed" in names
    assert lines[-1]["error"]["code"] == "rollout.rolled-back"


def refused(*words: str) -> BackendctlError:
    error = run(*words).exception
    assert isinstance(error, BackendctlError), words
    return error


def hold(fake: Fake, desk: Desk) -> None:
    """Release 3 is held, for nothing could be measured any more."""

    def go_blind(event: Event) -> None:
        fake.env.meter_down = fake.env.meter_down or isinstance(event, Shifted)

    desk.on_event = go_blind
    assert desk.deploy().result == "held"


def test_promoting_without_a_verdict_wants_its_option_a_reason_and_a_yes(
    fake: Fake, desk: Desk
) -> None:
    hold(fake, desk)
    assert refused("promote", "--reason", "sure", "--yes").code == "rollout.state"
    for words in (
        ["promote", "--skip-judgement"],
        ["promote", "--skip-judgement", "--reason", "sure"],
        ["recover", "--promote", "--yes"],
    ):
        assert refused(*words).code == "usage.confirmation", words


@pytest.mark.parametrize(
    "words",
    [
        ["promote"],
        ["promote", "--skip-judgement"],
        ["pause"],
        ["resume"],
        ["approve"],
        ["abort"],
        ["recover", "--promote"],
        ["recover", "--promote", "--take-over"],
    ],
    ids=" ".join,
)
def test_no_question_is_asked_about_a_rollout_that_is_not_there(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    def asked(*_: object, **__: object) -> str:
        raise AssertionError("a question was asked")

    monkeypatch.setattr(Session, "interactive", property(lambda _: True))
    monkeypatch.setattr("typer.prompt", asked)
    monkeypatch.setattr("typer.confirm", asked)
    assert refused(*words).code == "rollout.state"


def test_a_pause_to_come_is_not_called_going_on(desk: Desk) -> None:
    waits = Outcome(
        "0003", Kind.CANARY, 3, 1, "running", "", pausing="before the next shift of traffic"
    )
    said = answer_of(Session("rollout pause"), "local", waits, None)
    assert said.text == (
        "local: the rollout will pause before the next shift of traffic; until then it goes on"
    )
    assert said.data["pausing"] is True


def test_a_rollout_that_has_ended_is_shown_as_what_it_was(desk: Desk) -> None:
    done = run("watch")
    assert done.exit_code == 1
    last = done.stdout.splitlines()
    said = next(line for line in last if line.startswith("local: rollout 0002"))
    assert "(canary, release 2 over 1) ended 20" in said
    assert ": undone: candidate failed" in said
    assert "error:" not in done.output
    assert "serves" not in said
    first = run("watch", "1")
    assert first.exit_code == 0
    assert "(first, release 1 the first) ended" in first.stdout


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
    hold(fake, desk)
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
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "step 1 of " in shown
    assert "candidate (release 2)" in shown
    assert "undone at 100" in shown
    assert "good at 20" in shown
    assert max(map(len, shown.splitlines())) <= 100
