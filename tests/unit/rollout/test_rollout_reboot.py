"""`rollout recover` after a reboot: nothing runs, the journal and the gateway's routes are kept."""

from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Condition, PersonCommand, ServiceStatus
from backendctl.rollout.events import BlockObserved, Event, Shifted
from backendctl.workflows.environment import Opened
from backendctl.workflows.rollouts import Recovered, post_command, recover
from backendctl.workflows.status import look
from tests.fakes.platform import Fake, Killed
from tests.fakes.progress import Listener
from tests.fakes.rollouts import Desk, means


def hold(fake: Fake, desk: Desk) -> None:
    """Release 2 at 5 %, held because the counters went away; they are back."""

    def go_blind(event: Event) -> None:
        fake.env.meter_down = isinstance(event, Shifted | BlockObserved) or fake.env.meter_down

    desk.on_event = go_blind
    assert desk.deploy().result == "held"
    fake.env.meter_down = False


def kill_at_a_step(fake: Fake, desk: Desk) -> None:
    def die(event: Event) -> None:
        if isinstance(event, BlockObserved):
            raise Killed

    desk.on_event = die
    with pytest.raises(Killed):
        desk.deploy()
    fake.store.dead.add(desk.owner)


def reboot(fake: Fake) -> None:
    for behaviour in fake.env.behaviours.values():
        behaviour.started = None


def recovered(fake: Fake, listener: Listener | None = None) -> Recovered:
    return recover(
        fake.platform,
        lambda _: None,
        by="bob",
        progress=listener or Listener(),
        means=means(fake),
    )


def test_a_held_rollout_stays_held_and_both_its_releases_run_again(fake: Fake, desk: Desk) -> None:
    hold(fake, desk)
    weights = fake.env.routes
    reboot(fake)
    listener = Listener()
    done = recovered(fake, listener)
    assert done.outcome is not None
    assert done.outcome.result == "held"
    assert [fake.env.condition(number) for number in (1, 2)] == [Condition.READY] * 2
    assert fake.env.routes == weights
    for said in ("gateway to answer", "release 1 to be ready", "release 2 to be ready"):
        assert [line for line in listener.lines if said in line], said
    resumed = post_command(
        fake.platform, "resume", lambda _: None, by="bob", reason="", means=means(fake)
    )
    assert resumed.result == "promoted"


def test_a_held_candidate_that_does_not_start_leaves_stable_and_says_how_to_undo(
    fake: Fake, desk: Desk
) -> None:
    hold(fake, desk)
    reboot(fake)
    fake.env.behaviour(2).dies_after = 0.0
    with pytest.raises(BackendctlError) as raised:
        recovered(fake)
    assert raised.value.code == "release.start"
    assert "backendctl rollout recover --abort" in raised.value.next
    assert fake.env.condition(1) is Condition.READY


def test_a_rollout_whose_driver_went_with_the_machine_is_undone_without_its_candidate(
    fake: Fake, desk: Desk
) -> None:
    kill_at_a_step(fake, desk)
    reboot(fake)
    started: list[str] = []
    fake.env.behaviour(2).dies_after = 0.0  # it would not start: nobody may ask it to
    fake.env.point = lambda name: started.append(name) if name == "start:before" else None
    done = recovered(fake)
    assert done.outcome is not None
    assert done.outcome.result == "restored"
    assert fake.env.condition(1) is Condition.READY
    assert started == ["start:before"]


def test_an_abort_that_nobody_drives_is_not_said_to_have_come_too_late(
    fake: Fake, desk: Desk
) -> None:
    kill_at_a_step(fake, desk)
    done = post_command(
        fake.platform, "abort", lambda _: None, by="bob", reason="because", means=means(fake)
    )
    assert (done.result, done.notes) == ("restored", ())
    assert "aborted by bob: because" in done.reason


def test_an_abort_left_for_a_driver_that_died_is_what_recovery_does_anyway(
    fake: Fake, desk: Desk
) -> None:
    kill_at_a_step(fake, desk)
    rollout = fake.store.rollouts()[-1]
    fake.store.post(rollout, PersonCommand("abort", "ann", "why", fake.clock.now()))
    done = recovered(fake)
    assert done.outcome is not None
    assert (done.outcome.result, done.outcome.notes) == ("restored", ())


def test_status_says_to_start_the_servers_before_anything_is_told_to_the_rollout(
    fake: Fake, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(fake, desk)
    reboot(fake)
    stopped = [ServiceStatus("gateway", False, "")]
    monkeypatch.setattr(fake.platform.foundation, "status", lambda: stopped)
    spec = desk.spec
    found = look(Opened(Path(), spec, spec.environments["local"], fake.platform))
    assert found.next[0] == "backendctl up"
    assert "backendctl rollout resume" in found.next
