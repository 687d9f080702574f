"""A wait over a second says what it waits for; a short one says nothing."""

from queue import Queue

import pytest

from backendctl.cli.contract import Output, Session
from backendctl.cli.rollout_events import awaited, teller
from backendctl.cli.waits import Waits
from backendctl.rollout.events import IntentBegun, IntentEnded
from backendctl.rollout.intents import EnsureReady

LONG = 30.0
"""Seconds that no test waits out."""


def test_a_wait_that_goes_on_is_told_once() -> None:
    told: Queue[str] = Queue()
    waits = Waits(told.put, patience=0.01)
    waits.say("waiting for postgres to answer")
    assert told.get(timeout=LONG) == "waiting for postgres to answer"
    waits.say("waiting for valkey to answer")
    assert told.get(timeout=LONG) == "waiting for valkey to answer"


def test_only_the_newest_of_lines_that_follow_each_other_is_told() -> None:
    told: Queue[str] = Queue()
    waits = Waits(told.put, patience=0.5)
    for line in ("collecting", "installing", "waiting"):
        waits.say(line)
    assert told.get(timeout=LONG) == "waiting"


def test_a_wait_that_is_over_is_not_told() -> None:
    told: Queue[str] = Queue()
    waits = Waits(told.put, patience=0.5)
    waits.say("waiting")
    waits.say("")
    waits.say("another")
    assert told.get(timeout=LONG) == "another"


@pytest.mark.parametrize("output", Output)
def test_a_step_says_what_it_waits_for_where_there_is_no_terminal(
    output: Output, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session("down", output=output)
    told: Queue[str] = Queue()
    show = session._show

    def tell(text: str) -> None:
        show(text)
        told.put(text)

    session._waits = Waits(tell, patience=0.01)
    with session.step("Stopping the servers") as say:
        say("waiting for postgres to end\nat most 30 s")
        told.get(timeout=LONG)
    written = capsys.readouterr()
    progress = written.out if output is Output.JSONL else written.err
    assert "  waiting for postgres to end" in progress
    assert "at most" not in progress


def test_a_rollout_says_which_of_its_effects_it_waits_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = Session("rollout recover")
    told: Queue[str] = Queue()
    session._waits = Waits(told.put, patience=0.01)
    monkeypatch.setattr(session, "line", lambda _: None)
    tell = teller(session)
    tell(IntentBegun(0.0, "0002", EnsureReady(1, 60.0)))
    assert told.get(timeout=LONG) == "    start release 1 and wait until it is ready ..."
    assert awaited(IntentEnded(0.0, "0002", EnsureReady(1, 60.0), True, "", 0.1)) == ""
