"""The judge: what the evidence so far says. Looking as often as one likes costs nothing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict import words
from backendctl.rollout.verdict.evidence import Evidence
from backendctl.rollout.verdict.plan import Plan
from backendctl.rollout.verdict.processes import exp, log_sum_exp
from backendctl.rollout.verdict.reading import Reading, needed, read


class Decision(StrEnum):
    """Of a step. Only `pass` moves traffic to the candidate."""

    PASS = "pass"  # noqa: S105 (a verdict, not a password)
    FAIL = "fail"
    CONTINUE = "continue"
    INCONCLUSIVE = "inconclusive"
    """The deadline came first."""
    INVALID = "invalid"
    """The measurement itself cannot be trusted."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A decision, why, and every number behind it."""

    decision: Decision
    reason: str
    """One sentence for a person, with the decisive numbers."""
    numbers: Mapping[str, Any]
    """For JSON and the live display; `judge` lists the keys."""


def judge(plan: Plan, evidence: Evidence, elapsed_in_step: float) -> Judgement:
    """Judge the present step, `elapsed_in_step` seconds after its shift.

    In this order: enough evidence against the candidate is `fail`, at any time; counts that have
    been unusable or unmeasured for long are `invalid`; every certificate there, minimum time and
    requests over and data fresh is `pass`; past the deadline is `inconclusive` (or `invalid` when
    most of the step could not be measured); everything else is `continue`.

    `numbers` holds `evidence`, `evidence_limit`, `evidence_without_speed_limit`,
    `certificate_limit`, `step`, `percent`, `candidate_requests`, `stable_requests`,
    `counted_seconds`, `warm_up_blocks`, `unusable_blocks`, `share`, `share_evidence`,
    `requests_needed` (of the candidate, until certified; None if unknown) and, by name, `metrics`;
    `evidence_without_worst_client` where failures may be of one client that sticks to an arm.
    Raises ValueError before the first `begin_step`.
    """
    readings, total, sure = _weighed(plan, evidence)
    numbers = _numbers(plan, evidence, readings, total, sure)
    decision, reason = _decide(plan, evidence, readings, total, sure, elapsed_in_step)
    return Judgement(decision, reason, numbers)


def decide(plan: Plan, evidence: Evidence, elapsed_in_step: float) -> Decision:
    """The decision of `judge` alone, for those who make millions of them."""
    decision, _ = _decide(plan, evidence, *_weighed(plan, evidence), elapsed_in_step)
    return decision


def _weighed(plan: Plan, evidence: Evidence) -> tuple[list[Reading], float, float]:
    """Every metric's reading, log of the evidence, and what of it does not rest on one client."""
    if evidence.step < 0:
        raise ValueError("there is no step to judge yet")
    readings = [
        read(plan, metric, track)
        for metric, track in zip(plan.metrics, evidence.tracks, strict=True)
    ]
    total = log_sum_exp([r.fail for r in readings])
    return readings, total, _without_worst_client(plan, evidence, readings, total)


def _without_worst_client(
    plan: Plan, evidence: Evidence, readings: list[Reading], total: float
) -> float:
    """log of the evidence that does not rest on one client; no more than `total`."""
    if evidence.without_worst is None:
        return total
    errors = read(plan, plan.metrics[0], evidence.without_worst)
    return min(total, log_sum_exp([errors.fail, *(r.fail for r in readings[1:])]))


def _decide(
    plan: Plan,
    evidence: Evidence,
    readings: list[Reading],
    total: float,
    sure: float,
    elapsed: float,
) -> tuple[Decision, str]:
    if sure >= -math.log(plan.alpha):
        worst = max(readings, key=lambda r: r.fail)
        return Decision.FAIL, words.convicted(plan, evidence, worst, total)
    if evidence.distrust.persists(plan):
        return Decision.INVALID, words.unusable(evidence)
    enough_time = evidence.counted >= plan.step_time
    if evidence.share.is_wrong() and enough_time:
        return Decision.INVALID, words.wrong_share(plan, evidence)
    if elapsed >= plan.deadline:
        # Checked before a pass only for data that stopped: a certificate at the deadline counts.
        missing = words.unmeasured(plan, evidence, elapsed)
        if missing:
            return Decision.INVALID, missing
    waiting = _waiting(plan, evidence, readings, total, sure, elapsed)
    if not waiting:
        return Decision.PASS, words.certified(plan, evidence, readings)
    if elapsed >= plan.deadline:
        return Decision.INCONCLUSIVE, words.undecided(plan, evidence, readings, waiting)
    return Decision.CONTINUE, words.waiting(waiting)


def _waiting(
    plan: Plan,
    evidence: Evidence,
    readings: list[Reading],
    total: float,
    sure: float,
    elapsed: float,
) -> list[str]:
    """Everything that a pass still lacks, in plain words; empty when nothing does."""
    lacks = [
        words.uncertified(plan, evidence, r, needed(plan, evidence, r))
        for r in readings
        if r.metric.certified and r.certificate < -math.log(plan.beta)
    ]
    if evidence.candidate < plan.min_requests:
        lacks.append(words.few_requests(plan, evidence))
    if elapsed < plan.warm_up + plan.step_time or evidence.counted <= 0.0:
        lacks.append(words.short_time(plan, elapsed))
    if total >= -math.log(plan.alpha):
        lacks.append(words.one_client(plan, evidence, total, sure))
    raw = log_sum_exp([r.fail_raw for r in readings])
    if raw >= math.log(default.NO_STEP_UP):
        lacks.append(words.suspicion(raw))
    if evidence.distrust.row:
        lacks.append(words.newest_unusable(evidence))
    age = staleness(evidence, elapsed)
    if age > max(default.STALE_BLOCKS * evidence.block_seconds, plan.step_time / 2.0):
        lacks.append(words.stale(age))
    return lacks


def staleness(evidence: Evidence, elapsed: float) -> float:
    """Seconds since the end of the newest block, as far as `elapsed` tells."""
    if evidence.newest is None or evidence.began is None:
        return elapsed
    return elapsed - (evidence.newest - evidence.began)


def _numbers(
    plan: Plan, evidence: Evidence, readings: list[Reading], total: float, sure: float
) -> Mapping[str, Any]:
    lacking = [needed(plan, evidence, r) for r in readings if r.metric.certified]
    known = [n for n in lacking if n is not None]
    requests = evidence.candidate + evidence.stable
    alone = {} if evidence.without_worst is None else {"evidence_without_worst_client": exp(sure)}
    return {
        **alone,
        "evidence": exp(total),
        "evidence_limit": 1.0 / plan.alpha,
        "evidence_without_speed_limit": exp(log_sum_exp([r.fail_raw for r in readings])),
        "certificate_limit": 1.0 / plan.beta,
        "step": evidence.step,
        "percent": plan.steps[evidence.step].percent,
        "candidate_requests": evidence.candidate,
        "stable_requests": evidence.stable,
        "counted_seconds": evidence.counted,
        "warm_up_blocks": evidence.warming,
        "unusable_blocks": evidence.distrust.total,
        "share": evidence.candidate / requests if requests else None,
        "share_evidence": exp(evidence.share.log_evidence),
        "requests_needed": max(known) if len(known) == len(lacking) and known else None,
        "metrics": {r.metric.name: _metric_numbers(plan, evidence, r) for r in readings},
    }


def _metric_numbers(plan: Plan, evidence: Evidence, reading: Reading) -> Mapping[str, Any]:
    metric, track = reading.metric, reading.track
    of = evidence.totals(metric)
    step = plan.steps[evidence.step]
    return {
        "candidate_events": track.candidate,
        "stable_events": track.stable,
        "candidate_rate": track.candidate / of.candidate if of.candidate else None,
        "stable_rate": track.stable / of.stable if of.stable else None,
        "limit": metric.limit,
        "predecessor_limit": metric.predecessor_limit,
        "threshold_s": metric.threshold_s,
        "evidence": exp(reading.fail),
        "evidence_relative": exp(reading.fail_relative),
        "evidence_absolute": exp(reading.fail_absolute),
        "certified": not metric.certified or reading.certificate >= -math.log(plan.beta),
        "certificate": exp(reading.certificate) if metric.certified else None,
        "certificate_relative": exp(reading.certificate_relative) if metric.certified else None,
        "certificate_absolute": exp(reading.certificate_absolute) if metric.certified else None,
        "certified_ratio": step.ratio if metric.certified else None,
        "certified_limit": step.limits.get(metric.name),
        "relative_suspended": reading.relative_suspended,
        "stable_breaks_limit": reading.stable_breaks,
        "requests_needed": needed(plan, evidence, reading) if metric.certified else 0,
        "dispersion": track.dispersion.value,
        "outage_blocks": track.masked,
        **({"candidate_operations": of.candidate} if metric.own else {}),
        **({"endpoints": track.endpoints.numbers()} if metric.by_endpoint else {}),
    }
