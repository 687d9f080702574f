"""Whole rollouts on the fake platform, with the verdict that ships."""

from dataclasses import replace

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Condition, PersonCommand, ReleaseStatus
from backendctl.rollout.events import BlockObserved, PhaseChanged, Shifted, StepsLeftOut
from backendctl.rollout.history import serving
from backendctl.rollout.judge import shipped
from backendctl.rollout.records import check, fold
from backendctl.rollout.states import Kind, Result, Word
from backendctl.spec.model import OnInconclusive, Strategy
from backendctl.workflows.rollouts import history, run_rollback
from tests.fakes.platform import Behaviour, Fake
from tests.fakes.rollouts import Desk, means, spec_with


def shares(desk: Desk) -> list[dict[int, int]]:
    return [dict(e.weights) for e in desk.events if isinstance(e, Shifted)]


def assert_clean(fake: Fake, serving_release: int | None) -> None:
    """Only that release runs, is connected and is routed to; no user saw anything."""
    left = [] if serving_release is None else [serving_release]
    assert fake.platform.runtime.running() == left
    assert fake.env.connected == set(left)
    assert fake.env.routes is not None
    assert dict(fake.env.routes.weights) == dict.fromkeys(left, 100)
    assert fake.env.routes.preview is None
    assert fake.env.routes.fallback is None
    assert fake.env.broken_rules == []
    assert fake.env.failed == 0


def test_a_first_release_serves_after_smoke_and_a_settling_time(fake: Fake) -> None:
    outcome = Desk(fake).deploy()
    assert (outcome.result, outcome.kind, outcome.stable) == ("promoted", Kind.FIRST, None)
    assert_clean(fake, 1)
    assert "nothing to go back to" in outcome.reason


def test_a_first_release_that_dies_after_five_seconds_is_withdrawn_with_its_log(
    fake: Fake,
) -> None:
    fake.env.behaviours[1] = Behaviour(dies_after=5.0, log=("connecting", "Boom: no route"))
    outcome = Desk(fake).deploy()
    assert outcome.result == "restored"
    assert "Boom: no route" in outcome.tail
    error = outcome.error()
    assert error is not None
    assert error.code == "rollout.rolled-back"
    assert "no release serves" in error.state
    assert fake.platform.runtime.running() == []
    assert serving(fake.store).stable is None


def test_a_good_canary_is_promoted_step_by_step(fake: Fake, desk: Desk) -> None:
    outcome = desk.deploy()
    assert outcome.result == "promoted", outcome
    assert shares(desk) == [
        {1: 95, 2: 5},
        {1: 75, 2: 25},
        {1: 50, 2: 50},
        {2: 100},
    ]
    assert "shown to be" in outcome.reason
    assert_clean(fake, 2)
    full = next(e.at for e in desk.events if isinstance(e, Shifted) and e.weights == {2: 100})
    drained = next(e.at for e in desk.events if isinstance(e, PhaseChanged) and e.phase == "drain")
    assert drained - full >= desk.spec.rollout.bake
    now = serving(fake.store)
    assert (now.stable, now.previous, now.rollout_in_flight) == (2, 1, None)


def test_a_canary_whose_requests_fail_is_rolled_back_by_the_verdict(fake: Fake, desk: Desk) -> None:
    fake.env.behaviours[2] = Behaviour(errors=0.2)
    outcome = desk.deploy()
    assert outcome.result == "restored"
    assert "evidence" in outcome.reason
    assert {2: 100} not in shares(desk)
    assert_clean(fake, 1)
    assert serving(fake.store).stable == 1


def test_a_slow_canary_is_rolled_back_by_the_verdict(fake: Fake, desk: Desk) -> None:
    fake.env.behaviours[2] = Behaviour(slow=0.3)
    outcome = desk.deploy()
    assert outcome.result == "restored"
    assert "ms" in outcome.reason
    assert_clean(fake, 1)


def test_blue_green_switches_at_once_and_is_judged_in_its_bake(fake: Fake, desk: Desk) -> None:
    outcome = desk.deploy(Strategy.BLUE_GREEN)
    assert outcome.result == "promoted"
    assert shares(desk) == [{2: 100}]
    assert_clean(fake, 2)


def test_blue_green_that_breaks_the_limits_goes_back_while_stable_is_warm(
    fake: Fake, desk: Desk
) -> None:
    fake.env.behaviours[2] = Behaviour(errors=0.1)
    outcome = desk.deploy(Strategy.BLUE_GREEN)
    assert outcome.result == "restored"
    assert shares(desk) == [{2: 100}, {1: 100}]
    assert_clean(fake, 1)


def test_a_candidate_that_dies_at_a_step_is_undone_with_its_last_lines(
    fake: Fake, desk: Desk
) -> None:
    fake.env.behaviours[2] = Behaviour(
        dies_after=9.0, log=("serving", "panic: postgresql://app:hunter2secret@127.0.0.1/app")
    )
    outcome = desk.deploy()
    assert outcome.result == "restored"
    assert "died" in outcome.reason
    assert any(line.startswith("panic") for line in outcome.tail)
    assert "hunter2secret" not in str(fake.store.records(outcome.rollout))
    assert_clean(fake, 1)


def test_a_candidate_that_never_becomes_ready_gets_no_request(fake: Fake, desk: Desk) -> None:
    fake.env.behaviours[2] = Behaviour(ready_after=float("inf"))
    outcome = desk.deploy()
    assert outcome.result == "restored"
    assert "2" not in str(shares(desk))
    assert_clean(fake, 1)


def test_a_failed_migration_starts_nothing(fake: Fake, desk: Desk) -> None:
    fake.env.behaviours[2] = Behaviour(migration_status=3)
    outcome = desk.deploy(migrate=True)
    assert outcome.result == "restored"
    assert "status 3" in outcome.reason
    assert "ended with 3" in outcome.tail
    assert_clean(fake, 1)


def test_a_failed_smoke_check_keeps_users_away(fake: Fake, desk: Desk) -> None:
    fake.env.behaviours[2] = Behaviour(smoke="GET / answered 500")
    outcome = desk.deploy()
    assert outcome.result == "restored"
    assert "GET / answered 500" in outcome.reason
    assert fake.env.counters.get(2) is None
    assert_clean(fake, 1)


def test_silence_is_held_not_promoted(fake: Fake, desk: Desk) -> None:
    def go_silent(event: object) -> None:
        if isinstance(event, Shifted):
            fake.env.meter_down = True

    desk.on_event = go_silent
    outcome = desk.deploy()
    assert outcome.result == "held"
    error = outcome.error()
    assert error is not None
    assert error.exit == 3
    assert "counters cannot be had" in outcome.reason
    assert fake.env.routes is not None
    assert fake.env.routes.weights[2] == 5
    assert fake.env.failed == 0


def test_silence_is_undone_where_the_policy_says_abort(fake: Fake, desk: Desk) -> None:
    def go_silent(event: object) -> None:
        if isinstance(event, Shifted):
            fake.env.rps = 0.0

    desk.on_event = go_silent
    desk.spec = spec_with(on_inconclusive=OnInconclusive.ABORT)
    assert desk.deploy().result == "restored"
    assert_clean(fake, 1)


def test_a_bake_without_a_single_request_does_not_finish_by_itself(fake: Fake, desk: Desk) -> None:
    def go_silent(event: object) -> None:
        if isinstance(event, Shifted) and event.weights.get(2) == 100:
            fake.env.rps = 0.0

    desk.on_event = go_silent
    assert desk.deploy().result == "held"
    assert fake.platform.runtime.running() == [1, 2]


def test_too_little_traffic_is_refused_before_anything_changes(fake: Fake, desk: Desk) -> None:
    fake.env.rps = 0.01
    with pytest.raises(BackendctlError, match="no verdict is possible") as refused:
        desk.deploy()
    assert refused.value.exit == 3
    assert any("--unjudged" in line for line in refused.value.next)
    assert_clean(fake, 1)
    assert serving(fake.store).rollout_in_flight is None


def test_a_person_may_promote_without_a_verdict_and_is_named(fake: Fake, desk: Desk) -> None:
    fake.env.rps = 0.01
    outcome = desk.deploy(override=Word("ann", "no users yet"))
    assert outcome.result == "promoted"
    assert "ann promoted it: no users yet" in outcome.reason
    assert next(iter(history(fake.platform))).override == "ann"
    assert_clean(fake, 2)


def test_stable_that_is_down_does_not_keep_its_repair_out(fake: Fake, desk: Desk) -> None:
    fake.env.behaviours[1].dies_after = 0.0
    outcome = desk.deploy()
    assert outcome.result == "promoted", outcome
    assert shares(desk)[0] == {2: 100}
    assert fake.platform.runtime.running() == [2]


def test_rollback_starts_the_former_release_and_goes_further_back_the_second_time(
    fake: Fake, desk: Desk
) -> None:
    desk.deploy()
    desk.deploy()
    spec, told = desk.spec, desk.events.append
    first = run_rollback(fake.platform, spec, told, by="ann", means=means(fake))
    assert (first.result, first.serving) == ("promoted", 2)
    second = run_rollback(fake.platform, spec, told, by="ann", means=means(fake))
    assert (second.result, second.serving) == ("promoted", 1)
    assert_clean(fake, 1)
    assert serving(fake.store).served == (1,)
    with pytest.raises(BackendctlError, match="no earlier release to go back to") as refused:
        run_rollback(fake.platform, spec, told, by="ann", means=means(fake))
    assert "release 1 serves" in refused.value.cause
    assert "release 2 was undone by rollback 0005" in refused.value.cause
    assert refused.value.next[:2] == ("backendctl rollback 2", "backendctl rollback 3")


def test_a_release_that_never_served_is_not_offered_to_go_back_to(fake: Fake, desk: Desk) -> None:
    fake.env.behaviours[2] = Behaviour(errors=0.3)
    assert desk.deploy().result == "restored"
    with pytest.raises(BackendctlError) as refused:
        run_rollback(fake.platform, desk.spec, desk.on_event, by="ann", means=means(fake))
    assert refused.value.next == ("backendctl rollout history",)
    assert "undone" not in refused.value.cause


def test_a_release_that_was_undone_is_not_gone_back_to_by_its_number(
    fake: Fake, desk: Desk
) -> None:
    """That would lead past verdict, approvals and windows."""
    fake.env.behaviours[2] = Behaviour(errors=0.3)
    assert desk.deploy().result == "restored"
    with pytest.raises(BackendctlError) as refused:
        run_rollback(fake.platform, desk.spec, desk.on_event, by="ann", to=2, means=means(fake))
    assert refused.value.code == "rollout.state"
    assert refused.value.message == "release 2 has never served: rollout 0002 undid it"
    assert "evidence" in refused.value.cause
    assert serving(fake.store).stable == 1
    assert fake.store.rollouts() == ("0001", "0002")


def test_a_rollback_to_a_release_that_does_not_start_changes_nothing(
    fake: Fake, desk: Desk
) -> None:
    desk.deploy()
    fake.env.behaviours[1] = Behaviour(dies_after=0.0)
    outcome = run_rollback(
        fake.platform, desk.spec, desk.events.append, by="ann", means=means(fake)
    )
    assert outcome.result == "restored"
    assert_clean(fake, 2)
    assert serving(fake.store).stable == 2


def test_a_journal_replays_offline_to_the_same_decisions(fake: Fake, desk: Desk) -> None:
    fake.env.behaviours[2] = Behaviour(errors=0.2)
    desk.deploy()
    desk.deploy(Strategy.BLUE_GREEN, migrate=True)
    for rollout in fake.store.rollouts():
        records = fake.store.records(rollout)
        assert check(records, shipped()) == []
        assert fold(records, shipped()).result in (Result.PROMOTED, Result.RESTORED)


def test_a_changed_judgement_in_a_journal_is_found_by_replaying(fake: Fake, desk: Desk) -> None:
    outcome = desk.deploy()
    records = [dict(r) for r in fake.store.records(outcome.rollout)]
    place = next(i for i, r in enumerate(records) if "judgement" in r)
    records[place]["judgement"] = {**records[place]["judgement"], "decision": "fail"}
    assert len(check(records, shipped())) == 1


def test_blocks_say_what_both_arms_did(fake: Fake, desk: Desk) -> None:
    desk.deploy()
    blocks = [e for e in desk.events if isinstance(e, BlockObserved)]
    first = blocks[0].block
    assert first.candidate is not None
    assert first.stable is not None
    assert first.candidate.requests == pytest.approx(5, abs=2)
    assert first.stable.requests == pytest.approx(95, abs=3)


def test_no_block_spans_a_shift(fake: Fake, desk: Desk) -> None:
    desk.deploy()
    shifted = 0.0
    for event in desk.events:
        if isinstance(event, Shifted):
            shifted = event.at
        if isinstance(event, BlockObserved):
            assert event.block.start >= shifted


def test_stable_that_was_stopped_meanwhile_is_started_before_it_gets_users_back(
    fake: Fake, desk: Desk
) -> None:
    def stop_stable(event: object) -> None:
        if isinstance(event, BlockObserved) and not fake.store.posted(event.rollout):
            fake.env.behaviours[1].started = None
            word = PersonCommand("abort", "bob", "why", fake.clock.now())
            fake.store.post(event.rollout, word)

    desk.on_event = stop_stable
    assert desk.deploy().result == "restored"
    assert fake.env.broken_rules == []
    assert fake.env.condition(1) is Condition.READY


def test_the_second_rollout_of_an_environment_waits_for_the_first(fake: Fake, desk: Desk) -> None:
    seen: list[BackendctlError] = []

    def try_another(event: object) -> None:
        if isinstance(event, Shifted) and not seen:
            with pytest.raises(BackendctlError) as refused:
                fake.store.acquire("bob", "deploy", 15.0)
            seen.append(refused.value)

    desk.on_event = try_another
    assert desk.deploy().result == "promoted"
    assert seen[0].code == "rollout.locked"
    assert fake.env.condition(2) is Condition.READY


def test_one_late_answer_of_stable_leaves_no_step_out(
    fake: Fake, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_late(fake, monkeypatch, times=3)
    assert desk.deploy().result == "promoted"
    assert shares(desk)[0] == {1: 95, 2: 5}


def test_a_stable_that_stays_unready_is_named_as_why_there_are_no_steps(
    fake: Fake, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_late(fake, monkeypatch, times=1000)
    desk.deploy()
    assert shares(desk)[0] == {2: 100}
    (told,) = [event for event in desk.events if isinstance(event, StepsLeftOut)]
    assert "release 1 is not ready" in told.words


@pytest.mark.parametrize(
    ("stalled", "result"), [({1, 2}, "promoted"), ({2}, "restored")], ids=["both", "candidate"]
)
def test_a_stall_of_the_whole_machine_undoes_nobody(
    fake: Fake,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    stalled: set[int],
    result: str,
) -> None:
    runtime = fake.platform.runtime
    ask, began = runtime.status, fake.clock.now()

    def status(number: int) -> ReleaseStatus:
        found = ask(number)
        stalls = number in stalled and 60.0 <= fake.clock.now() - began < 75.0
        return replace(found, condition=Condition.UNREADY) if stalls else found

    monkeypatch.setattr(runtime, "status", status)
    ended = desk.deploy()
    assert ended.result == result, ended


@pytest.mark.parametrize("moment", ["while it connects", "while it is watched"])
def test_an_outage_of_the_store_that_is_waited_out_neither_ends_nor_undoes_a_rollout(
    fake: Fake, desk: Desk, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """A cluster's API server that goes away for four seconds takes everything with it."""
    began = [fake.clock.now() + 60.0] if moment == "while it is watched" else []
    router, runtime, store = fake.platform.router, fake.platform.runtime, fake.store

    def away_with(part: object, name: str, begins: bool = False) -> None:
        real = getattr(part, name)

        def ask(*arguments: object, **named: object) -> object:
            if begins and not began:
                began.append(fake.clock.now())
            if began and 0 <= fake.clock.now() - began[0] < 4.0:
                raise BackendctlError("missing.cluster", "it cannot be reached")
            return real(*arguments, **named)

        monkeypatch.setattr(part, name, ask)

    away_with(router, "connect", begins=True)
    away_with(store, "posted")
    away_with(runtime, "status")
    ended = desk.deploy()
    assert ended.result == "promoted", ended
    assert fake.clock.now() - began[0] > 4.0


def answer_late(fake: Fake, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Release 1 fails its readiness check so often, though it goes on answering users."""
    runtime, left = fake.platform.runtime, iter(range(times))
    ask = runtime.status

    def status(number: int) -> ReleaseStatus:
        found = ask(number)
        late = number == 1 and next(left, None) is not None
        return replace(found, condition=Condition.UNREADY) if late else found

    monkeypatch.setattr(runtime, "status", status)


def test_a_rollback_offers_another_only_where_there_is_something_to_go_back_to(
    fake: Fake, desk: Desk
) -> None:
    desk.deploy()
    assert desk.deploy().next == ("backendctl rollback",)
    spec, told = desk.spec, desk.on_event
    first = run_rollback(fake.platform, spec, told, by="ann", means=means(fake))
    assert first.next == ("backendctl rollback",)
    second = run_rollback(fake.platform, spec, told, by="ann", means=means(fake))
    assert second.next == ("backendctl status",)
