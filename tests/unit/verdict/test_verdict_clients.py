"""The worst-client guard: a conviction must not rest on one client that sticks to the candidate."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdict_cases import ONLY_ERRORS, unguarded

from backendctl.rollout.verdict import (
    ArmBlock,
    Block,
    Decision,
    Evidence,
    Plan,
    begin,
    begin_step,
    judge,
    plan_for,
    update,
)
from backendctl.rollout.verdict.clients import Clients, without

PAY = "POST /pay"


def arm(requests: int, by_client: dict[str, int], seen: tuple[str, ...] = ()) -> ArmBlock:
    failures = sum(by_client.values())
    return ArmBlock(
        requests,
        failures,
        {},
        {"errors": {PAY: failures}} if failures else {},
        {client: {PAY: n} for client, n in by_client.items() if n},
        seen,
    )


def after(plan: Plan, arms: list[tuple[ArmBlock, ArmBlock]]) -> Evidence:
    evidence = begin_step(plan, begin(plan), 0, 0.0)
    for i, (c, s) in enumerate(arms):
        evidence = update(plan, evidence, Block(10.0 * i, 10.0 * (i + 1), c, s))
    return evidence


def decided(plan: Plan, arms: list[tuple[ArmBlock, ArmBlock]]) -> Decision:
    return judge(plan, after(plan, arms), 10.0 * len(arms)).decision


PLAN = unguarded(by_endpoint=("errors",))


def test_one_client_that_only_the_candidate_sees_convicts_nobody() -> None:
    found = judge(PLAN, after(PLAN, [(arm(100, {"a": 20}), arm(900, {}))]), 10.0)
    assert found.decision is Decision.CONTINUE
    assert "rests on one client with 20 failures" in found.reason
    assert found.numbers["evidence"] > found.numbers["evidence_limit"]
    assert found.numbers["evidence_without_worst_client"] < 2.0


def test_nor_is_a_release_passed_while_a_conviction_rests_on_one_client() -> None:
    arms = [(arm(1000, {"a": 30}), arm(9000, {}))] * 40
    assert decided(PLAN, arms) is not Decision.PASS


@pytest.mark.parametrize(
    "stable", [arm(900, {}, seen=("a",)), arm(900, {"a": 1})], ids=["sampled", "failed"]
)
def test_a_client_that_stable_sees_too_is_routed_at_random_and_counts(stable: ArmBlock) -> None:
    assert decided(PLAN, [(arm(100, {"a": 20}), stable)]) is Decision.FAIL


def test_several_clients_convict_though_each_is_seen_on_one_arm_only() -> None:
    failing = {f"client {i}": 2 for i in range(10)}
    assert decided(PLAN, [(arm(100, failing), arm(900, {}))]) is Decision.FAIL


def test_failures_of_unknown_clients_are_nobodys_in_particular() -> None:
    nameless = replace(arm(100, {"a": 20}), clients={})
    assert decided(PLAN, [(nameless, arm(900, {}))]) is Decision.FAIL


def test_a_client_may_have_moved_to_the_candidate_when_the_weight_rose() -> None:
    plan = plan_for(
        ONLY_ERRORS,
        steps=(10, 50),
        warm_up=0.0,
        step_time=0.0,
        speed_limit=0.0,
        temper=False,
        share_tolerance=0.0,
    )
    evidence = after(plan, [(arm(100, {}), arm(900, {}, seen=("a",)))])
    evidence = begin_step(plan, evidence, 1, 10.0)
    evidence = update(plan, evidence, Block(10.0, 20.0, arm(500, {"a": 40}), arm(500, {})))
    assert judge(plan, evidence, 10.0).decision is not Decision.FAIL


def test_where_there_is_no_stable_one_client_is_enough_to_break_the_limit() -> None:
    plan = unguarded(steps=(100,), has_stable=False)
    assert decided(plan, [(arm(100, {"a": 60}), arm(0, {}))]) is Decision.FAIL


clients = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 9), max_size=5)


@given(st.lists(clients, min_size=1, max_size=8))
def test_at_least_as_many_failures_are_left_out_as_the_worst_client_had(
    blocks: list[dict[str, int]],
) -> None:
    evidence = after(PLAN, [(arm(100, each), arm(900, {})) for each in blocks])
    total = {c: sum(each.get(c, 0) for each in blocks) for c in "abcde"}
    kept = evidence.without_worst or evidence.tracks[0]
    left_out = sum(total.values()) - kept.candidate
    assert max(total.values()) <= left_out <= sum(total.values())


@given(clients, st.sampled_from("abcdex"))
def test_leaving_out_a_client_leaves_sound_counts(counts: dict[str, int], client: str) -> None:
    whole = arm(100, counts)
    rest = without(whole, client)
    assert rest.errors == whole.errors - counts.get(client, 0)
    assert sum(rest.endpoints.get("errors", {}).values()) == rest.errors
    assert rest.requests == whole.requests


def test_the_clients_remembered_are_few() -> None:
    found = Clients()
    for i in range(100):
        found = found.after(arm(100, {f"client {i}": i % 7 + 1}), arm(900, {}))
    assert len(found.failures) == 16
    assert min(found.failures.values()) >= 6


def convicted(random: np.random.Generator, guarded: bool) -> bool:
    """A good release, and one client of fifty that sends what nobody can answer."""
    on_candidate = random.random() < 0.1
    arms = []
    for _ in range(60):
        requests = np.array([random.binomial(1000, 0.1), 0])
        requests[1] = 1000 - requests[0]
        bad = random.binomial(1000, 0.02)
        made = []
        for n, hit in zip(requests, (on_candidate, not on_candidate), strict=True):
            others = {f"c{random.integers(50)}": 1 for _ in range(random.binomial(n, 0.002))}
            made.append(arm(int(n), {**others, **({"bad": int(bad)} if hit else {})}))
        if not guarded:
            made = [replace(each, clients={}) for each in made]
        arms.append((made[0], made[1]))
        if decided(PLAN, arms[-1:]) is Decision.FAIL and decided(PLAN, arms) is Decision.FAIL:
            return True
    return decided(PLAN, arms) is Decision.FAIL


def test_one_bad_sticky_client_no_longer_costs_good_releases() -> None:
    plain = sum(convicted(np.random.default_rng(seed), guarded=False) for seed in range(60))
    guarded = sum(convicted(np.random.default_rng(seed), guarded=True) for seed in range(60))
    assert plain >= 3
    assert guarded == 0
