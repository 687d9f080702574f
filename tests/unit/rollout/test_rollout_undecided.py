"""What is said of a rollout that is not decided, and where it stands, in a short sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backendctl.cli.rollout import app
from backendctl.cli.rollout_events import Words
from backendctl.rollout.events import BlockObserved, Event, Held, Shifted
from backendctl.rollout.states import Hold, HoldKind, Kind, Phase, Result, Why
from backendctl.rollout.wording import end_in_words, whereabouts
from backendctl.workflows import environment
from backendctl.workflows.environment import Opened
from backendctl.workflows.rollouts import recover
from tests.fakes.platform import Killed, fake_platform
from tests.fakes.rollouts import Desk, means


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Release 2 is at its first step, and not decided."""
    desk = Desk(fake_platform())
    opened = Opened(Path(), desk.spec, desk.spec.environments["local"], desk.fake.platform)
    monkeypatch.setattr(environment, "open_environment", lambda *_, **__: opened)
    desk.deploy()
    seen: list[Event] = []

    def leave(event: Event) -> None:
        if isinstance(event, BlockObserved):
            seen.append(event)
        if len(seen) == 5:
            raise Killed

    desk.on_event = leave
    with pytest.raises(Killed):
        desk.deploy()
    return desk


def shown(*words: str) -> str:
    return CliRunner().invoke(app, [*words]).stdout


@pytest.mark.parametrize("words", ["explain", "status"])
def test_the_reason_is_one_short_sentence(desk: Desk, words: str) -> None:
    line = next(each for each in shown(words).splitlines() if "Nothing bad seen so far" in each)
    assert "more requests of the candidate (about " in line
    assert "at the present rate) until it can pass, slowest: " in line
    assert "certificate" not in line
    assert len(line) < 250


@pytest.mark.parametrize(
    ("rps", "said"),
    [(3.0, "Nothing bad seen so far; about "), (0.0, "no verdict by the deadline")],
)
def test_a_step_without_a_verdict_says_what_it_lacked(desk: Desk, rps: float, said: str) -> None:
    desk.fake.store.dead.add(desk.owner)
    recover(desk.fake.platform, lambda _: None, by="bob", means=means(desk.fake))
    other = Desk(desk.fake, owner="carol")

    def quieter(event: Event) -> None:
        if isinstance(event, Shifted):
            desk.fake.env.rps = rps

    other.on_event = quieter
    done = other.deploy()
    assert done.result == "held"
    assert done.reason.startswith("no verdict by the deadline")
    assert said in done.reason
    assert "certificate" not in done.reason
    assert len(done.reason) < 250
    assert "The numbers that decided:" in shown("explain")
    top, below = shown("history").splitlines()[:2]
    assert " held " in top
    assert below.strip() == "no verdict by the deadline"


def test_the_numbers_are_those_so_far_and_the_step_is_named(desk: Desk) -> None:
    text = shown("explain")
    assert "The numbers so far:" in text
    assert "decided" not in text
    assert "is at step 1 of 3 (5 %): release 1: 95 %, release 2: 5 %." in text
    assert "phase" not in text + shown("history") + shown("history", "2")


def test_the_judges_own_words_stay_for_a_program(desk: Desk) -> None:
    done = CliRunner().invoke(app, ["status", "--output", "json"])
    body: dict[str, Any] = json.loads(done.stdout)
    assert "certificate" in body["data"]["judgement"]["reason"]
    assert body["data"]["rollout"]["phase"] == "step"


def test_times_are_told_in_utc(desk: Desk) -> None:
    for words in (("history",), ("history", "2")):
        lines = [line for line in shown(*words).splitlines() if "2026-" in line or "20" in line]
        assert any(" UTC  " in line for line in lines), words


@pytest.mark.parametrize(
    ("kind", "stable", "result", "said"),
    [
        (Kind.FIRST, None, Result.RESTORED, "withdrawn"),
        (Kind.FIRST, None, Result.PROMOTED, "promoted"),
        (Kind.CANARY, 1, Result.RESTORED, "restored"),
        (Kind.ROLLBACK, 3, Result.PROMOTED, "done: release 2 serves"),
    ],
)
def test_ends_have_words_of_their_own(
    kind: Kind, stable: int | None, result: Result, said: str
) -> None:
    assert end_in_words(kind, 2, stable, result) == said


def test_a_pause_says_whose_it_is() -> None:
    why = Why("person", "paused by bob: a customer's report")
    hold = Hold(HoldKind.PAUSED, 0.0, 60.0, Phase.STEP, why)
    assert Words().lines_of(Held(0.0, "0002", hold)) == ["  paused by bob: a customer's report"]


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        ("prepare", "being prepared"),
        ("bake", "watching release 2 at 100 %"),
        ("drain", "draining and stopping release 1"),
        ("abort", "going back to release 1"),
    ],
)
def test_where_a_rollout_stands_is_said_in_words(phase: str, said: str) -> None:
    assert whereabouts(phase, 3, (5, 25, 50), 2, 1) == said


def test_a_signal_is_told_with_the_process_that_it_came_to(desk: Desk) -> None:
    desk.fake.store.dead.add(desk.owner)
    recover(desk.fake.platform, lambda _: None, by="bob", means=means(desk.fake))

    def signal(event: Event) -> None:
        if isinstance(event, BlockObserved):
            raise KeyboardInterrupt

    other = Desk(desk.fake, owner="carol@laptop")
    other.on_event = signal
    done = other.deploy()
    assert done.signalled
    assert done.reason == (
        "aborted by a signal: Ctrl-C or SIGTERM to the process that drove it (carol@laptop)"
    )
