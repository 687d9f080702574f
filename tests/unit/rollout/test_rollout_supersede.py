"""A deploy while another rollout is in flight: refused, or told to undo that one first."""

from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.rollout.events import BlockObserved, Event, PhaseChanged, Shifted
from backendctl.rollout.history import serving
from backendctl.rollout.states import Phase
from backendctl.workflows.deploy import check_deploy
from backendctl.workflows.environment import Opened
from backendctl.workflows.rollouts import (
    check_supersede,
    explain_rollout,
    recover,
    refuse_a_second,
    supersede,
)
from tests.fakes.platform import Fake, Killed
from tests.fakes.rollouts import Desk, means


def killed(fake: Fake, desk: Desk, kind: type[Event], phase: Phase | None = None) -> None:
    """Release 2's driver is gone after such an event; nobody has noticed yet."""

    def die(event: Event) -> None:
        if isinstance(event, kind) and phase in (None, getattr(event, "phase", None)):
            raise Killed

    desk.on_event = die
    with pytest.raises(Killed):
        desk.deploy()


def undo(fake: Fake) -> str:
    done = supersede(fake.platform, lambda _: None, by="bob", reason="a hotfix", means=means(fake))
    assert done is not None
    assert serving(fake.store).rollout_in_flight is None
    assert fake.store.holder() is None
    assert fake.env.failed == 0
    assert fake.env.broken_rules == []
    return done.result


def test_nothing_in_flight_is_nothing_to_undo(fake: Fake, desk: Desk) -> None:
    assert supersede(fake.platform, lambda _: None, by="bob", reason="x") is None
    refuse_a_second(fake.platform, "bob", fake.clock)


def test_a_held_rollout_is_undone_with_who_and_why(fake: Fake, desk: Desk) -> None:
    def go_blind(event: Event) -> None:
        fake.env.meter_down = fake.env.meter_down or isinstance(event, Shifted)

    desk.on_event = go_blind
    assert desk.deploy().result == "held"
    assert undo(fake) == "restored"
    assert fake.platform.runtime.running() == [1]
    why = explain_rollout(fake.platform, None, means(fake)).because
    assert why == "aborted by bob: superseded by a new deploy: a hotfix"


def test_what_a_dead_driver_left_is_undone_from_here(fake: Fake, desk: Desk) -> None:
    killed(fake, desk, BlockObserved)
    fake.store.dead.add(desk.owner)
    assert undo(fake) == "restored"
    assert fake.platform.runtime.running() == [1]


def test_a_living_driver_is_told_to_and_waited_for(fake: Fake, desk: Desk) -> None:
    killed(fake, desk, BlockObserved)
    obeyed: list[str] = []

    def obey(_: float) -> None:  # stands in for the driver in its own process
        posted = fake.store.posted(fake.store.rollouts()[-1])
        if posted and not obeyed:
            obeyed.append(posted[0].verb)
            recover(fake.platform, lambda _: None, by="ann", take_over=True, means=means(fake))

    fake.clock.on_pass.append(obey)
    assert undo(fake) == "restored"
    assert obeyed == ["abort"]


def test_one_that_is_past_undoing_is_finished_first(fake: Fake, desk: Desk) -> None:
    killed(fake, desk, PhaseChanged, Phase.DRAIN)
    fake.store.dead.add(desk.owner)
    assert undo(fake) == "promoted"
    assert fake.platform.runtime.running() == [2]


def test_the_first_release_is_not_undone_for_the_next(fake: Fake) -> None:
    desk = Desk(fake)
    killed(fake, desk, PhaseChanged, Phase.VERIFY)
    with pytest.raises(BackendctlError, match="first release") as refused:
        check_supersede(fake.platform)
    assert refused.value.code == "missing.environment"


@pytest.mark.parametrize("alive", [True, False])
def test_a_deploy_is_refused_naming_the_holder_and_the_way_on(
    fake: Fake, desk: Desk, alive: bool
) -> None:
    killed(fake, desk, BlockObserved)
    if not alive:
        fake.store.dead.add(desk.owner)
    with pytest.raises(BackendctlError) as refused:
        refuse_a_second(fake.platform, "bob", fake.clock)
    error = refused.value
    assert (error.code, error.exit) == ("rollout.locked", 6)
    assert "ann" in error.message
    assert "backendctl deploy --supersede --reason WHY" in error.next
    assert len(fake.store.releases()) == 2


def test_a_deploy_is_checked_before_anybody_is_asked(fake: Fake, desk: Desk) -> None:
    killed(fake, desk, BlockObserved)
    fake.store.dead.add(desk.owner)
    opened = Opened(Path(), desk.spec, desk.spec.environments["local"], fake.platform)
    with pytest.raises(BackendctlError, match="rollout 0002 of release 2"):
        check_deploy(opened)
    assert check_deploy(opened, supersede=True) == "0002"
