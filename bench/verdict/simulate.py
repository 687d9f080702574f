"""Whole rollouts on a virtual clock, and what became of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from backendctl.rollout.verdict import (
    Decision,
    Limits,
    Plan,
    begin,
    begin_step,
    judge,
    plan_for,
    reference_from,
    update,
)
from bench.verdict.traces import Trace, Traffic, history

LIMITS = Limits(error_rate=0.01, p95_s=0.3, p99_s=1.0, stable_p99_s=0.8)
MakePlan = Callable[[Trace, float, int], Plan]


@dataclass(frozen=True)
class Outcome:
    decision: Decision
    seconds: float
    candidate_requests: int
    step: int


@dataclass(frozen=True)
class Cell:
    """Outcomes of many rollouts of one trace at one traffic."""

    trace: Trace
    rps: float
    outcomes: tuple[Outcome, ...]

    def count(self, decision: Decision) -> int:
        return sum(o.decision is decision for o in self.outcomes)

    def median(self, decision: Decision, field: str) -> float | None:
        values = sorted(getattr(o, field) for o in self.outcomes if o.decision is decision)
        return float(values[len(values) // 2]) if values else None


def guarded(trace: Trace, rps: float, seed: int) -> Plan:
    """The defaults, with half an hour of stable's history."""
    return plan_for(LIMITS, rps=rps, reference=reference_from(history(trace, rps, seed)))


def patient(trace: Trace, rps: float, seed: int) -> Plan:
    """The same with a deadline of four hours, which little traffic needs."""
    reference = reference_from(history(trace, rps, seed))
    return plan_for(LIMITS, rps=rps, reference=reference, deadline=4 * 3600.0)


def short(_trace: Trace, rps: float, _seed: int) -> Plan:
    """Steps of 8 s for synthetic, independent traffic: what a demonstration uses."""
    return plan_for(LIMITS, rps=rps, warm_up=2.0, step_time=8.0, deadline=90.0)


def plain(_trace: Trace, rps: float, _seed: int) -> Plan:
    """The same tests without guards."""
    return plan_for(LIMITS, rps=rps, warm_up=0.0, speed_limit=0.0, temper=False, mask_outages=False)


def rollout(plan: Plan, trace: Trace, rps: float, seed: int, block: float) -> Outcome:
    """Drive one rollout to its end."""
    traffic = Traffic(trace, rps, seed)
    evidence, now, requests = begin(plan), 0.0, 0
    decision = Decision.CONTINUE
    for index, step in enumerate(plan.steps):
        shift = now
        evidence = begin_step(plan, evidence, index, shift)
        decision = Decision.CONTINUE
        while decision is Decision.CONTINUE:
            seen = traffic.block(now, block, step.percent / 100.0, now - shift)
            now += block
            requests += seen.candidate.requests if seen.candidate else 0
            evidence = update(plan, evidence, seen)
            decision = judge(plan, evidence, now - shift).decision
        if decision is not Decision.PASS:
            break
    return Outcome(decision, now, requests, evidence.step)


def cell(
    trace: Trace,
    rps: float,
    runs: int,
    make: MakePlan = guarded,
    block: float = 10.0,
    seed: int = 1,
) -> Cell:
    """`runs` rollouts; each has its own seed, derived from `seed`."""
    outcomes = []
    for run in range(runs):
        own = seed * 1_000_003 + run
        outcomes.append(rollout(make(trace, rps, own + 500_000), trace, rps, own, block))
    return Cell(trace, rps, tuple(outcomes))


def wilson(hits: int, runs: int, z: float = 1.96) -> tuple[float, float]:
    """95 % Wilson interval of a proportion."""
    p, n = hits / runs, float(runs)
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
