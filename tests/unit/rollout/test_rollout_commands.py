"""People who speak to rollouts, recover them and ask about them."""

from dataclasses import replace
from typing import cast

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Away, PersonCommand
from backendctl.rollout.events import (
    BlockObserved,
    Ended,
    Event,
    Held,
    IntentEnded,
    PhaseChanged,
    Shifted,
)
from backendctl.rollout.explain import Explanation, headline
from backendctl.rollout.outcome import outcome_of
from backendctl.rollout.states import Kind, Phase, Result
from backendctl.workflows.rollouts import (
    Outcome,
    Status,
    explain_rollout,
    history,
    outcome,
    post_command,
    recover,
    run_rollback,
    status,
    watch,
)
from tests.fakes.platform import Behaviour, Fake, Killed, fake_platform
from tests.fakes.rollouts import Desk, means, spec_with


@pytest.fixture
def held_rollout(fake: Fake, desk: Desk) -> Outcome:
    """Release 2 at 5 %, held because the counters went away; they are back."""

    def go_blind(event: Event) -> None:
        fake.env.meter_down = isinstance(event, Shifted | BlockObserved) or fake.env.meter_down

    desk.on_event = go_blind
    found = desk.deploy()
    assert found.result == "held"
    fake.env.meter_down = False
    return found


def say(fake: Fake, verb: str, skip_judgement: bool = False) -> Outcome:
    return post_command(
        fake.platform,
        verb,  # type: ignore[arg-type]
        lambda _: None,
        by="bob",
        reason="because",
        skip_judgement=skip_judgement,
        means=means(fake),
    )


def explained(fake: Fake, rollout: str | None = None) -> Explanation:
    return explain_rollout(fake.platform, rollout, means(fake))


def test_a_held_rollout_goes_on_when_resumed(fake: Fake, held_rollout: Outcome) -> None:
    done = say(fake, "resume")
    assert done.result == "promoted"
    assert fake.platform.runtime.running() == [2]
    assert fake.env.failed == 0


def test_a_held_rollout_promoted_by_a_person_names_them(fake: Fake, held_rollout: Outcome) -> None:
    done = say(fake, "promote", skip_judgement=True)
    assert done.result == "promoted"
    assert "bob promoted it: because" in done.reason
    told = explained(fake)
    assert "on a person's word" in told.headline
    assert "bob skipped the judgement (because); it stood at" in told.notes[0]
    newest = next(history(fake.platform))
    assert (newest.override, newest.override_reason) == ("bob", "because")


def test_a_rollout_that_has_not_passed_is_not_promoted_by_the_bare_word(
    fake: Fake, held_rollout: Outcome
) -> None:
    with pytest.raises(BackendctlError, match="has not passed its judgement") as refused:
        say(fake, "promote")
    assert "backendctl rollout promote --skip-judgement --reason WHY" in refused.value.next
    assert fake.store.posted(held_rollout.rollout) == ()


def test_a_rollout_paused_after_its_last_step_is_promoted_without_skipping_anything(
    fake: Fake, desk: Desk
) -> None:
    """Paused when nothing but the shift to 100 % was to come; then its driver was killed."""

    def person(event: Event) -> None:
        if isinstance(event, PhaseChanged) and (event.phase, event.stage) == (Phase.STEP, 2):
            fake.store.post(event.rollout, PersonCommand("pause", "bob", "lunch", fake.clock.now()))
        if isinstance(event, Held):
            raise Killed

    desk.on_event = person
    with pytest.raises(Killed):
        desk.deploy()
    fake.store.dead.add(desk.owner)
    state = status(fake.platform, means(fake)).state
    assert state is not None
    assert state.hold is not None
    assert state.hold.back is Phase.PROMOTE
    done = say(fake, "promote")
    assert done.result == "promoted"
    assert next(history(fake.platform)).override == ""
    assert "skipped" not in " ".join(explained(fake).notes)


def test_a_rollout_that_waits_for_approval_goes_on_only_when_approved(
    fake: Fake, desk: Desk
) -> None:
    desk.spec = spec_with(approvals=(100,))

    def leave(event: Event) -> None:
        if isinstance(event, Held):
            raise Killed

    desk.on_event = leave
    with pytest.raises(Killed):
        desk.deploy()
    fake.store.dead.add(desk.owner)
    assert "backendctl rollout approve" in status(fake.platform, means(fake)).next
    for verb in ("resume", "promote"):
        with pytest.raises(BackendctlError, match="waits for an approval") as refused:
            say(fake, verb)
        assert "backendctl rollout approve" in refused.value.next
    assert say(fake, "approve").result == "promoted"
    assert "approve by bob" in [line.what for line in explained(fake).timeline]


def test_approving_what_asks_for_no_approval_is_refused(fake: Fake, held_rollout: Outcome) -> None:
    with pytest.raises(BackendctlError, match="does not wait for an approval"):
        say(fake, "approve")


def test_a_word_to_promote_that_came_too_late_is_no_override(fake: Fake, desk: Desk) -> None:
    def person(event: Event) -> None:
        if isinstance(event, PhaseChanged) and event.phase is Phase.DRAIN:
            word = PersonCommand("promote", "bob", "late", fake.clock.now())
            fake.store.post(event.rollout, word)

    desk.on_event = person
    assert desk.deploy().result == "promoted"
    assert next(history(fake.platform)).override == ""


def test_a_pause_asked_for_while_it_starts_is_told_as_one_to_come(fake: Fake, desk: Desk) -> None:
    seen: list[Status] = []

    def person(event: Event) -> None:
        if isinstance(event, PhaseChanged) and event.phase is Phase.START:
            word = PersonCommand("pause", "bob", "lunch", fake.clock.now())
            fake.store.post(event.rollout, word)
        if isinstance(event, IntentEnded):
            looked = status(fake.platform, means(fake))
            if looked.state is not None and looked.state.pause is not None:
                seen.append(looked)
        if isinstance(event, Held):
            raise Killed

    desk.on_event = person
    with pytest.raises(Killed):
        desk.deploy()
    looked = seen[0]
    assert looked.state is not None
    told = outcome_of("0002", looked.state)
    assert (told.result, told.pausing) == ("running", "before the next shift of traffic")
    said = headline("0002", looked.state, 0.0)
    assert "It will pause before the next shift of traffic, as bob asked: lunch" in said
    assert "backendctl rollout resume" in looked.next
    held_now = status(fake.platform, means(fake)).state
    assert held_now is not None
    assert held_now.hold is not None
    assert held_now.candidate_share == 0, "the pause came before users' requests were moved"


def test_a_held_rollout_is_aborted_without_that_being_an_error(
    fake: Fake, held_rollout: Outcome
) -> None:
    done = say(fake, "abort")
    assert done.result == "restored"
    assert done.error() is None
    assert fake.platform.runtime.running() == [1]


def test_recover_leaves_a_held_rollout_to_people_unless_told(
    fake: Fake, held_rollout: Outcome
) -> None:
    found = recover(fake.platform, lambda _: None, by="bob", means=means(fake))
    assert found.outcome is not None
    assert found.outcome.result == "held"
    found = recover(fake.platform, lambda _: None, by="bob", wish="promote", means=means(fake))
    assert found.outcome is not None
    assert found.outcome.result == "promoted"


def test_no_other_rollout_begins_while_one_is_held(
    fake: Fake, desk: Desk, held_rollout: Outcome
) -> None:
    with pytest.raises(BackendctlError) as refused:
        desk.deploy()
    assert (refused.value.code, refused.value.exit) == ("rollout.locked", 6)
    assert "begun by ann" in refused.value.message
    assert "backendctl deploy --supersede --reason WHY" in refused.value.next
    assert len(fake.store.releases()) == 2, "what was refused used no number"


def test_rollback_while_a_rollout_is_in_flight_is_its_abort(
    fake: Fake, desk: Desk, held_rollout: Outcome
) -> None:
    done = run_rollback(fake.platform, desk.spec, lambda _: None, by="bob", means=means(fake))
    assert (done.result, done.serving) == ("restored", 1)
    assert done.error() is None
    assert fake.env.broken_rules == []


@pytest.mark.parametrize("verb", ["pause", "resume", "promote", "abort"])
def test_speaking_without_a_rollout_is_refused(fake: Fake, desk: Desk, verb: str) -> None:
    with pytest.raises(BackendctlError, match="no rollout is in flight"):
        say(fake, verb)


def killed_at_a_step(fake: Fake, desk: Desk) -> None:
    def die(event: Event) -> None:
        if isinstance(event, BlockObserved):
            raise Killed

    desk.on_event = die
    with pytest.raises(Killed):
        desk.deploy()
    fake.store.dead.add(desk.owner)


def test_while_it_is_being_undone_there_is_only_to_watch(fake: Fake, desk: Desk) -> None:
    seen: list[Status] = []

    def look(event: Event) -> None:
        if isinstance(event, PhaseChanged) and event.phase is Phase.ABORT:
            seen.append(status(fake.platform, means(fake)))

    fake.env.behaviours[2] = Behaviour(errors=0.3)
    desk.on_event = look
    assert desk.deploy().result == "restored"
    assert [each.next for each in seen] == [("backendctl rollout watch",)]


@pytest.mark.parametrize("verb", ["pause", "promote"])
def test_only_recovery_helps_a_rollout_whose_driver_died(fake: Fake, desk: Desk, verb: str) -> None:
    killed_at_a_step(fake, desk)
    with pytest.raises(BackendctlError, match="nobody drives") as refused:
        say(fake, verb)
    assert refused.value.next == ("backendctl rollout recover",)
    looked = status(fake.platform, means(fake))
    assert not looked.driver_lives
    assert looked.stranded
    assert looked.next == ("backendctl rollout recover",)


def test_abort_recovers_a_rollout_whose_driver_died(fake: Fake, desk: Desk) -> None:
    killed_at_a_step(fake, desk)
    assert say(fake, "abort").result == "restored"
    assert fake.platform.runtime.running() == [1]


def test_a_command_to_a_driver_that_dies_before_it_hears_says_so(fake: Fake, desk: Desk) -> None:
    killed_at_a_step(fake, desk)
    fake.store.dead.clear()  # it lives when the command is posted, and dies before it looks
    fake.clock.on_pass.append(lambda _: fake.store.dead.add(desk.owner))
    with pytest.raises(BackendctlError, match="nobody drives"):
        say(fake, "pause")


def test_an_abort_that_another_process_overtook_ends_well(fake: Fake, desk: Desk) -> None:
    killed_at_a_step(fake, desk)
    fake.store.dead.clear()
    took: list[str] = []

    def take_over(_: float) -> None:
        if not took:
            took.append("carol")
            recover(fake.platform, lambda _: None, by="carol", take_over=True, means=means(fake))

    fake.clock.on_pass.append(take_over)
    done = say(fake, "abort")
    assert done.result == "restored"
    assert done.error() is None


def test_a_journal_that_cannot_be_written_stops_the_rollout_and_says_what_state_it_is_in(
    fake: Fake, desk: Desk
) -> None:
    full: list[str] = []

    def fill_disk(name: str) -> None:
        if full and name == "append:before":
            raise BackendctlError("platform.disk-full", "no space left")

    fake.env.point = fill_disk
    desk.on_event = lambda event: full.append("x") if isinstance(event, Shifted) else None
    with pytest.raises(BackendctlError) as stopped:
        desk.deploy()
    assert stopped.value.code == "platform.disk-full"
    assert "phase step" in stopped.value.state
    assert fake.env.routes is not None
    assert fake.env.routes.weights[2] == 5
    full.clear()
    fake.store.dead.add(desk.owner)
    done = recover(fake.platform, lambda _: None, by="bob", means=means(fake))
    assert done.outcome is not None
    assert done.outcome.result == "restored"
    assert fake.env.failed == 0


def test_a_short_outage_of_the_store_is_waited_out(fake: Fake, desk: Desk) -> None:
    refused: list[float] = []

    def fill_disk(name: str) -> None:
        if name == "append:before" and len(refused) < 3:
            refused.append(fake.clock.now())
            raise BackendctlError("platform.disk-full", "no space left")

    desk.on_event = lambda event: setattr(fake.env, "point", fill_disk)
    assert desk.deploy().result == "promoted"
    assert len(refused) == 3


def test_recovery_may_promote_on_a_persons_word(fake: Fake, desk: Desk) -> None:
    killed_at_a_step(fake, desk)
    done = recover(
        fake.platform, lambda _: None, by="bob", wish="promote", reason="sure", means=means(fake)
    )
    assert done.outcome is not None
    assert done.outcome.result == "promoted"
    assert "bob promoted it: sure" in done.outcome.reason
    assert fake.platform.runtime.running() == [2]
    assert fake.env.failed == 0


def test_recovery_stops_releases_that_belong_to_nothing_but_none_that_serves_users(
    fake: Fake, desk: Desk
) -> None:
    lease = desk.lease()
    for number in (2, 3):
        release = fake.add_release(lease.grant)
        fake.platform.runtime.start(release)
        fake.clock.wait(1.0)
        fake.platform.router.connect(number, 1.0)
    fake.store.release(lease.grant)
    assert fake.env.routes is not None
    fake.platform.router.apply(replace(fake.env.routes, weights={1: 50, 3: 50}))
    done = recover(fake.platform, lambda _: None, by="bob", means=means(fake))
    assert [(each.number, each.stopped) for each in done.cleared] == [(2, True), (3, False)]
    assert "users" in done.cleared[1].message
    assert fake.platform.runtime.running() == [1, 3]


def test_commands_reach_a_driver_that_lives(fake: Fake, desk: Desk) -> None:
    """Posted from outside while it runs, as another process would."""
    said: list[str] = []

    def person(event: Event) -> None:
        rollout = event.rollout
        for verb, when in (("pause", BlockObserved), ("abort", BlockObserved)):
            if isinstance(event, when) and verb not in said:
                said.append(verb)
                fake.store.post(rollout, PersonCommand(verb, "bob", "why", fake.clock.now()))
                return

    desk.on_event = person
    done = desk.deploy()
    assert done.result == "restored"
    assert "aborted by bob: why" in done.reason
    kinds = [line.what for line in explained(fake).timeline]
    assert "pause by bob" in kinds
    assert "held (paused)" in kinds


def test_a_command_nobody_knows_is_taken_in_and_not_heeded(fake: Fake, desk: Desk) -> None:
    def person(event: Event) -> None:
        if isinstance(event, Shifted) and not fake.store.posted(event.rollout):
            word = PersonCommand("dance", "bob", "why", fake.clock.now())
            fake.store.post(event.rollout, word)

    desk.on_event = person
    assert desk.deploy().result == "promoted"


def test_history_lists_newest_first_with_the_reason(fake: Fake, desk: Desk) -> None:
    fake.env.behaviours[2] = Behaviour(errors=0.3)
    desk.deploy()
    listed = list(history(fake.platform))
    assert [(each.candidate, each.result) for each in listed] == [
        (2, Result.RESTORED),
        (1, Result.PROMOTED),
    ]
    assert "evidence" in listed[0].why
    assert listed[1].kind is Kind.FIRST


def test_explain_says_why_with_the_decisive_numbers_and_what_to_type(
    fake: Fake, desk: Desk
) -> None:
    fake.env.behaviours[2] = Behaviour(errors=0.3)
    found = desk.deploy()
    told = explained(fake, found.rollout.lstrip("0"))
    assert "was undone" in told.headline
    assert "back to release 1" in told.headline
    assert "serves" not in told.headline, "nobody looked at what serves now"
    assert told.numbers["evidence"] >= told.numbers["evidence_limit"]
    assert told.next[0] == "backendctl logs --release 2"
    whats = [line.what for line in told.timeline]
    assert whats.index("judged fail") < whats.index("undoing") < whats.index("phase restored")


def test_whoever_stops_watching_a_hold_is_told_what_it_waits_for(fake: Fake, desk: Desk) -> None:
    desk.spec = spec_with(approvals=(100,))

    def leave(event: Event) -> None:
        if isinstance(event, Held):
            fake.clock.on_pass.append(stop)

    def stop(_seconds: float) -> None:
        fake.clock.on_pass.remove(stop)
        raise KeyboardInterrupt

    desk.on_event = leave
    with pytest.raises(BackendctlError) as left:
        desk.deploy()
    assert left.value.code == "interrupted"
    assert "still held" in left.value.message
    assert "backendctl rollout approve" in left.value.next


def test_what_failed_is_explained_next_and_then_deployed_anew(fake: Fake, desk: Desk) -> None:
    fake.env.behaviours[2] = Behaviour(errors=0.3)
    found = desk.deploy()
    assert found.next == (f"backendctl rollout explain {found.rollout}", "backendctl deploy")


def test_a_first_release_that_failed_leaves_nothing_to_deploy_over() -> None:
    fake = fake_platform()
    fake.env.behaviours[1] = Behaviour(dies_after=0.1)
    found = Desk(fake).deploy()
    assert found.result == "restored"
    assert found.next == ("backendctl rollout explain 0001", "backendctl up")
    assert explained(fake).next[-1] == "backendctl up"


def test_no_logs_are_offered_where_they_went_with_the_pods(fake: Fake, desk: Desk) -> None:
    fake.env.behaviours[2] = Behaviour(errors=0.3)
    desk.deploy()
    in_cluster = replace(fake.platform, away=cast(Away, object()))
    assert explain_rollout(in_cluster, None, means(fake)).next == ("backendctl deploy",)


def test_watch_tells_a_finished_rollout_from_its_beginning_to_its_end(
    fake: Fake, desk: Desk
) -> None:
    done = desk.deploy()
    events = list(watch(fake.platform, done.rollout, means(fake)))
    assert isinstance(events[-1], Ended)
    assert [e for e in events if isinstance(e, BlockObserved)] == [
        e for e in desk.events if isinstance(e, BlockObserved)
    ]
    looked = outcome(fake.platform, done.rollout, means(fake))
    assert looked.ended == events[-1].at
    assert replace(looked, ended=None, next=done.next) == done


def test_a_rollout_that_never_was_is_named(fake: Fake, desk: Desk) -> None:
    with pytest.raises(BackendctlError, match="there is no rollout 77"):
        explained(fake, "77")
