"""Blocks and rollouts for the tests of the verdict."""

from collections.abc import Iterable

from backendctl.rollout.verdict import (
    ArmBlock,
    Block,
    Evidence,
    Judgement,
    Limits,
    Plan,
    begin,
    begin_step,
    judge,
    plan_for,
    update,
)
from backendctl.rollout.verdict import parameters as default

ONLY_ERRORS = Limits(error_rate=0.01)
ALL = Limits(error_rate=0.01, p95_s=0.3, p99_s=1.0, stable_p99_s=0.8)
ERRORS_UNDIVIDED = {default.ERRORS: (1.0, 0.0)}


def unguarded(**more: object) -> Plan:
    """One metric, the bare tests, no waiting."""
    settings: dict[str, object] = {
        "steps": (10,),
        "warm_up": 0.0,
        "step_time": 0.0,
        "min_requests": 0,
        "speed_limit": 0.0,
        "temper": False,
        "mask_outages": False,
        "share_tolerance": 0.0,
    }
    return plan_for(ONLY_ERRORS, **{**settings, **more})  # type: ignore[arg-type]


def arm(requests: int, errors: int = 0, slow: int = 0) -> ArmBlock:
    return ArmBlock(requests, errors, {"slo_p95": slow, "slo_p99": slow, "stable_p99": slow})


def block(
    index: int,
    candidate: tuple[int, int] | None,
    stable: tuple[int, int] | None,
    seconds: float = 10.0,
) -> Block:
    """The index-th block of its length; arms as (requests, errors)."""
    return Block(
        index * seconds,
        (index + 1) * seconds,
        arm(*candidate) if candidate is not None else None,
        arm(*stable) if stable is not None else None,
    )


def seen(plan: Plan, blocks: Iterable[Block], at: float | None = 0.0) -> Evidence:
    """The evidence after these blocks of the first step."""
    evidence = begin_step(plan, begin(plan), 0, at)
    for each in blocks:
        evidence = update(plan, evidence, each)
    return evidence


def judged(plan: Plan, blocks: Iterable[Block], elapsed: float | None = None) -> Judgement:
    """The judgement after these blocks of the first step, at the end of the last."""
    evidence = seen(plan, blocks)
    if elapsed is None:
        elapsed = (evidence.newest or 0.0) - (evidence.began or 0.0)
    return judge(plan, evidence, elapsed)
