"""From the promises and the present traffic to a rollout's plan, frozen before it begins."""

import hashlib
from dataclasses import dataclass, replace

from backendctl.clock import Clock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import ArmSample, Platform, Release, Sample, Span
from backendctl.rollout.breakdowns import told_apart
from backendctl.rollout.history import Serving
from backendctl.rollout.states import Kind, Mirroring, RolloutPlan, Word
from backendctl.rollout.traffic_history import LONGEST, Past, past_of, present_rate
from backendctl.rollout.verdict import Forecast, Limits, Own, forecast, plan_for
from backendctl.rollout.verdict import Plan as VerdictPlan
from backendctl.rollout.verdict.parameters import (
    ERRORS,
    FAIL_WEIGHTS,
    SHARE_TOLERANCE,
    STICKY_FAIL_WEIGHTS,
)
from backendctl.spec.model import OnInconclusive, Spec

BLOCKS_PER_STEP = 6
LONGEST_BLOCK = 10.0
SHORTEST_BLOCK = 1.0
"""Seconds. The verdict's figures were measured with blocks of 10 s; shorter steps need shorter
blocks, and under 1 s the gateway's own flush interval shows."""
FIRST_BAKE = 10.0
"""Seconds a first release must stay healthy at most: there is no stable to compare it with, but
one that dies after a few seconds should not count as deployed."""
MIRROR_ALPHA = 0.001
"""Most chance that copies convict a release which fails no more of them than it may: a tenth of
what the steps may, for only what is outright broken is to be found."""
MIRROR_BLOCKS = 12
MIRROR_WARM_UP = 1.0 / 3.0
"""Most of the time of mirroring that is warm-up."""
SERIES = 3
"""How often the count of the present traffic is begun anew with the gateway's counters."""
NEAR = 0.5
"""Part of a limit from which stable's own rate makes judging take notably longer."""
TRAFFIC_WINDOW = 2.0
"""Seconds over which the present traffic is counted."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Stable before the rollout."""

    rps: float
    """Requests per second for the whole service."""
    sample: Sample | None
    """Cumulative counters; None where they could not be had."""
    problem: str = ""
    """Why they could not."""
    history: tuple[Span, ...] = ()
    """What is on record of the last hours."""

    def arm(self, number: int | None) -> ArmSample | None:
        """The counters of a release; None where they could not be had."""
        return self.sample.arms.get(number) if self.sample and number is not None else None

    def past(self, stable: int | None, limit: float) -> Past | None:
        """What stable did until now; None where nothing is known of it."""
        if stable is None or self.sample is None:
            return None
        return past_of(self.history, self.arm(stable), stable, self.sample.at, limit)


def look_at_traffic(platform: Platform, clock: Clock, stable: int | None) -> Baseline:
    """Count the present traffic for a moment, and see what is on record of the last hours.

    What cannot be measured is said as no sample.
    """
    if stable is None:
        return Baseline(0.0, None)
    try:
        first, last, seconds = _watch_traffic(platform, clock, stable)
        history = tuple(platform.meter.history(clock.now() - LONGEST))
    except BackendctlError as error:
        return Baseline(0.0, None, error.message)
    if stable not in first.arms or stable not in last.arms or seconds <= 0.0:
        return Baseline(0.0, None, f"the gateway has no counters of release {stable}")
    seen = max(0, last.arms[stable].requests - first.arms[stable].requests)
    rps = present_rate(history, stable, last.at, seen, seconds)
    return Baseline(rps, last, history=history)


def _watch_traffic(platform: Platform, clock: Clock, stable: int) -> tuple[Sample, Sample, float]:
    """Two samples and the seconds between them, of one series of counters.

    They begin anew for a moment after a rollout, when the gateway forgets the release that ended:
    less than was counted before is no sign of no traffic.
    """
    first = platform.meter.sample()
    for _ in range(SERIES):
        began = clock.monotonic()
        clock.wait(TRAFFIC_WINDOW)
        last = platform.meter.sample()
        seconds = clock.monotonic() - began
        arms = first.arms.get(stable), last.arms.get(stable)
        if arms[0] is None or arms[1] is None or arms[1].requests >= arms[0].requests:
            break
        first = last
    return first, last, seconds


@dataclass(frozen=True, slots=True)
class Judging:
    """How a rollout will be judged; known before there is a candidate."""

    kind: Kind
    stable: int | None
    verdict: VerdictPlan | None
    """Of the steps; only a canary has any."""
    bake: float
    bake_verdict: VerdictPlan | None
    reference: str
    """From what stable's own numbers are taken, in words."""


def judging(spec: Spec, kind: Kind, serving: Serving, baseline: Baseline) -> Judging:
    """From the promises and what stable did."""
    stable = None if kind is Kind.FIRST else serving.stable
    past = baseline.past(stable, spec.slo.error_rate)
    bake = _bake(spec, kind)
    return Judging(
        kind,
        stable,
        _verdict(spec, baseline, stable, past) if kind is Kind.CANARY else None,
        bake,
        _bake_verdict(spec, bake, past) if kind is not Kind.ROLLBACK else None,
        past.said if past is not None else "",
    )


def plan_rollout(
    spec: Spec,
    kind: Kind,
    candidate: Release,
    serving: Serving,
    baseline: Baseline,
    begun_by: str,
    candidate_ran: bool = False,
) -> RolloutPlan:
    """Everything that is decided before anything is changed."""
    rollout = spec.rollout
    judged = judging(spec, kind, serving, baseline)
    verdict = judged.verdict
    ready = candidate.processes.ready_path
    return RolloutPlan(
        kind=kind,
        candidate=candidate.number,
        stable=judged.stable,
        served=serving.served,
        steps=tuple(step.percent for step in verdict.steps) if verdict else (),
        verdict=verdict,
        bake_verdict=judged.bake_verdict,
        reference=judged.reference,
        migrate=bool(candidate.processes.migrate) and kind is not Kind.ROLLBACK,
        block=min(LONGEST_BLOCK, max(SHORTEST_BLOCK, rollout.step_time / BLOCKS_PER_STEP)),
        bake=judged.bake,
        hold_deadline=rollout.hold,
        hold_on_inconclusive=rollout.on_inconclusive is OnInconclusive.HOLD,
        ready_deadline=rollout.ready_deadline,
        drain_deadline=rollout.drain_deadline,
        migrate_deadline=rollout.migrate_deadline,
        smoke_paths=(ready, "/") if ready != "/" else (ready,),
        spec_digest=digest(spec),
        begun_by=begun_by,
        candidate_ran=candidate_ran,
        contract=bool(candidate.processes.contract) and kind is not Kind.ROLLBACK,
        approvals=rollout.approvals if kind in (Kind.CANARY, Kind.BLUE_GREEN) else (),
        mirror=_mirroring(spec) if kind in (Kind.CANARY, Kind.BLUE_GREEN) else None,
    )


def digest(spec: Spec) -> str:
    """SHA-256 over the promises, first 16 hex digits: which ones a rollout was held to."""
    return hashlib.sha256(spec.model_dump_json().encode()).hexdigest()[:16]


def _bake(spec: Spec, kind: Kind) -> float:
    match kind:
        case Kind.FIRST:
            return min(spec.rollout.bake, FIRST_BAKE)
        case Kind.ROLLBACK:
            return 0.0
        case Kind.BLUE_GREEN:
            # A switch is judged by nothing but its bake, so it always has one.
            return spec.rollout.bake or spec.rollout.step_time
        case Kind.CANARY:
            return spec.rollout.bake


def _verdict(spec: Spec, baseline: Baseline, stable: int | None, past: Past | None) -> VerdictPlan:
    rollout, sticky = spec.rollout, spec.rollout.sticky != "none"
    limits = _limits(spec, past.own_p99 if past is not None else None)
    return plan_for(
        limits,
        steps=rollout.steps,
        rps=baseline.rps or None,
        reference=past.reference(plan_for(limits).thresholds) if past is not None else None,
        warm_up=rollout.warm_up,
        step_time=rollout.step_time,
        deadline=max(rollout.deadline, rollout.warm_up + rollout.step_time),
        # Sessions, not requests, are spread by weight then.
        share_tolerance=0.0 if sticky else SHARE_TOLERANCE,
        weights=STICKY_FAIL_WEIGHTS if sticky else FAIL_WEIGHTS,
        by_endpoint=told_apart(baseline.arm(stable)),
        own=_own(spec, baseline.arm(stable)),
    )


def _bake_verdict(spec: Spec, bake: float, past: Past | None) -> VerdictPlan:
    """Against the limits, and against what the predecessor did before the rollout."""
    warm_up = min(spec.rollout.warm_up, bake / 2)
    limits = _limits(spec, None)
    return plan_for(
        limits,
        steps=(100,),
        has_stable=False,
        reference=past.reference(plan_for(limits).thresholds) if past is not None else None,
        warm_up=warm_up,
        step_time=bake - warm_up,
        deadline=bake + spec.rollout.deadline,
        own=_own(spec),
    )


def _mirroring(spec: Spec) -> Mirroring | None:
    """Errors of copies against the release limit, and against their originals.

    Evidence may reach its bound within half of what is left after warm-up.
    """
    rollout = spec.rollout
    if rollout.mirror is None:
        return None
    seconds = rollout.mirror_time
    warm_up = min(rollout.warm_up, MIRROR_WARM_UP * seconds)
    verdict = plan_for(
        Limits(spec.slo.error_rate, max_ratio=rollout.max_ratio),
        steps=(rollout.mirror,),
        warm_up=warm_up,
        step_time=seconds - warm_up,
        deadline=seconds,
        alpha=MIRROR_ALPHA,
        weights={ERRORS: FAIL_WEIGHTS[ERRORS]},
        speed_limit=(seconds - warm_up) / 2.0,
        share_tolerance=0.0,  # the shares are of copies and originals, not of requests
    )
    block = min(LONGEST_BLOCK, max(SHORTEST_BLOCK, seconds / MIRROR_BLOCKS))
    return Mirroring(rollout.mirror, seconds, block, verdict)


def _own(spec: Spec, stable: ArmSample | None = None) -> tuple[Own, ...]:
    """A metric that stable cannot be asked for is most often new: what counts it comes with the
    candidate, and only its limit can be the measure."""
    return tuple(
        Own(each.name, each.limit, each.required, stable is None or each.name in stable.counted)
        for each in spec.metrics
    )


def _limits(spec: Spec, own: float | None) -> Limits:
    slo = spec.slo
    return Limits(
        slo.error_rate,
        slo.p95,
        slo.p99,
        own,
        # A few sessions with many refusals are on one arm by chance.
        refusals=spec.rollout.refusals == "compare" and spec.rollout.sticky == "none",
        max_ratio=spec.rollout.max_ratio,
    )


def expected(
    plan: RolloutPlan | Judging, baseline: Baseline, override: Word | None = None
) -> Forecast | None:
    """How long judging takes for a release as good as stable; None where nothing is judged.

    With an `override` the advice says only that no verdict will be asked for.
    """
    judged = plan.verdict if plan.kind is Kind.CANARY else plan.bake_verdict
    if judged is None or plan.stable is None:
        return None
    made = forecast(judged, baseline.rps)
    if override is not None:
        word = (
            f"no verdict will be asked for: promoted on your word ({override.reason}), once it is "
            "ready and has baked"
        )
        return replace(made, advice=(word,))
    said = [
        f"{metric.name} is judged by its limit alone: release {plan.stable} does not count it"
        for metric in judged.metrics
        if not metric.compared
    ]
    if plan.reference:
        said.append(f"what release {plan.stable} does is taken from {plan.reference}")
    said += [
        f"it takes long because release {plan.stable} itself is near the limit: "
        f"{100.0 * rate:.2g} % of {metric.name}, {100.0 * metric.limit:.2g} % is allowed"
        for metric in judged.metrics
        if metric.limit is not None
        and metric.reference_requests
        and (rate := metric.reference_events / metric.reference_requests) >= NEAR * metric.limit
    ]
    return replace(made, advice=(*made.advice, *said))
