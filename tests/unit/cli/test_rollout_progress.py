"""What a rollout looks like while it runs: a table on a terminal, short lines elsewhere."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from backendctl.cli.contract import Session
from backendctl.cli.rollout_events import EVERY, WIDTH, Lines, wrapped
from backendctl.cli.rollout_live import Picture, live_view
from backendctl.cli.rollout_standing import Remaining
from backendctl.rollout.events import BlockObserved, Ended, Event, Held, PhaseChanged
from backendctl.rollout.states import Hold, HoldKind, Phase, Why
from tests.fakes.platform import Behaviour, fake_platform
from tests.fakes.rollouts import Desk, spec_with


@pytest.fixture(scope="module")
def events() -> list[Event]:
    """A good canary with steps of half a minute, as its deploy is told about it."""
    fake = fake_platform()
    desk = Desk(fake, spec_with(step_time=30.0, deadline=1200.0))
    desk.deploy()
    desk.events.clear()
    fake.env.behaviours[2] = Behaviour(errors=0.001)
    assert desk.deploy().result == "promoted"
    return desk.events


def test_lines_are_short_and_come_at_most_every_ten_seconds(events: list[Event]) -> None:
    lines, told, about_numbers = Lines(), 0.0, 0
    for event in events:
        said = lines.of(event)
        assert all(len(line) <= WIDTH for line in said)
        if isinstance(event, BlockObserved) and said:
            assert len(said) == 1
            assert event.at - told >= EVERY
            about_numbers += 1
        if said:
            told = event.at
    blocks = sum(isinstance(event, BlockObserved) for event in events)
    assert 3 < about_numbers < blocks


def test_a_change_of_phase_is_told_at_once(events: list[Event]) -> None:
    lines = Lines()
    said = {
        str(event.phase): lines.of(event) for event in events if isinstance(event, PhaseChanged)
    }
    assert said["start"] == ["  starting the candidate"]
    assert said["bake"] == ["  watching it at 100 %; stable is kept warm"]


def test_a_line_about_the_numbers_says_rates_errors_evidence_and_what_is_left(
    events: list[Event],
) -> None:
    lines = Lines()
    said = [
        line for event in events for line in lines.of(event) if isinstance(event, BlockObserved)
    ]
    early = said[0]
    for part in ("5 %: candidate ", "/s ", " err", "stable ", "against it ", "for it ", " left"):
        assert part in early, early


@pytest.mark.parametrize("problem", ["", "the candidate: the gateway has no counters " * 3])
def test_a_line_about_large_numbers_is_short_too(events: list[Event], problem: str) -> None:
    first = next(event for event in events if isinstance(event, BlockObserved))
    assert first.block.candidate is not None
    large = replace(first.block.candidate, requests=9_999_990, errors=1_234_567)
    lines, told = Lines(), 0
    for event in events:
        if isinstance(event, BlockObserved):
            block = replace(event.block, candidate=large, stable=large)
            event = replace(event, block=block, problem=problem)
        said = lines.of(event)
        told += isinstance(event, BlockObserved) and bool(said)
        assert all(len(line) <= WIDTH for line in said)
    assert told > 3


def test_a_long_reason_is_told_in_several_short_lines() -> None:
    text = "  verdict: fail: " + "candidate failed 12 of 340 requests, " * 8
    lines = wrapped(text)
    assert len(lines) > 1
    assert max(map(len, lines)) <= WIDTH
    assert " ".join(" ".join(lines).split()) == " ".join(text.split())


@pytest.mark.parametrize("kind", [each for each in HoldKind if each is not HoldKind.PAUSED])
def test_a_hold_is_told_with_what_a_person_may_say(kind: HoldKind) -> None:
    """A deploy goes on watching then, for hours if need be: its log must say what it waits for."""
    hold = Hold(kind, 0.0, 60.0, Phase.PROMOTE, Why("approval", "all requests need approval"))
    said = Lines().of(Held(0.0, "0001", hold))
    assert said[0].startswith(f"  held ({kind}): ")
    assert "backendctl rollout " in said[1]


def left_at(events: list[Event]) -> list[float]:
    """Seconds told to be left after each block of the first step."""
    picture = Picture(lambda: 0.0)
    found = []
    for event in events:
        picture.take(event)
        standing = picture.standing
        if isinstance(event, BlockObserved) and (standing.phase, standing.stage) == ("step", 0):
            seconds = standing.seconds_left(event.at)
            assert seconds is not None
            found.append(seconds)
    return found


def test_the_time_left_only_falls_while_nothing_goes_wrong(events: list[Event]) -> None:
    left = left_at(events)
    assert len(left) > 4
    assert left == sorted(left, reverse=True)
    assert left[0] > 20.0


def test_noise_does_not_move_what_is_needed_up_and_down() -> None:
    remaining, told = Remaining(), []
    for block, noise in enumerate([1.0, 1.2, 0.85, 1.15, 0.9, 1.2, 1.0, 1.1, 0.8, 1.2]):
        remaining.passed(100.0)
        remaining.estimate((2000.0 - 100.0 * block) * noise)
        told.append(remaining.told or 0.0)
    assert told == sorted(told, reverse=True)


def test_what_is_needed_grows_when_it_has_really_grown() -> None:
    remaining = Remaining()
    remaining.estimate(100.0)
    for _ in range(10):
        remaining.estimate(1000.0)
    assert remaining.told is not None
    assert remaining.told > 700.0


def terminal(monkeypatch: pytest.MonkeyPatch) -> tuple[Session, io.StringIO]:
    screen = io.StringIO()
    session = Session("deploy")
    console = Console(file=screen, force_terminal=True, width=100, highlight=False, soft_wrap=True)
    monkeypatch.setitem(session.__dict__, "console", console)
    return session, screen


def test_a_terminal_shows_both_arms_and_keeps_what_happened(
    events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, screen = terminal(monkeypatch)
    with live_view(session) as tell:
        for event in events:
            tell(event)
    shown = screen.getvalue()
    for part in ("traffic: release 1: 95 %, release 2: 5 %", "candidate (release 2)", "promoted"):
        assert part in shown
    assert shown.count("Rollout 0002: canary") == 1


def test_a_view_that_joins_late_does_not_tell_the_past_again(
    events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, screen = terminal(monkeypatch)
    shift = next(i for i, event in enumerate(events) if isinstance(event, BlockObserved))
    with live_view(session, events[:shift]) as tell:
        tell(events[shift])
    shown = screen.getvalue()
    assert "starting the candidate" not in shown
    assert "canary of release 2 over 1" in shown
    assert "95 %" in shown


def test_a_view_that_is_left_in_the_middle_gives_the_terminal_back(
    events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = terminal(monkeypatch)

    def watch() -> None:
        with live_view(session) as tell:
            tell(events[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch()
    assert session.console._live_stack == []


def test_the_end_of_a_rollout_gives_the_terminal_back_to_what_follows(
    events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = terminal(monkeypatch)
    with live_view(session) as tell:
        for event in events:
            tell(event)
        assert isinstance(events[-1], Ended)
        with session.step("Packaging"):
            pass
        tell(replace(events[0]))


def test_the_bars_move_towards_their_bounds() -> None:
    from backendctl.cli.rollout_live import BAR, bar

    assert [bar(value, 100.0).count("#") for value in (0.0, 1.0, 10.0, 100.0, 1e9)] == [
        0,
        0,
        BAR // 2,
        BAR,
        BAR,
    ]
