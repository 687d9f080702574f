"""Evidence: everything the judge remembers, and how one block changes it.

All values are explicit and survive JSON exactly, so that a plan and its blocks, replayed, give
the same evidence and the same judgements bit for bit.
"""

from dataclasses import dataclass, replace

from backendctl.rollout.verdict import guards
from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.blocks import ArmBlock, Block
from backendctl.rollout.verdict.plan import (
    Metric,
    Plan,
    Step,
    certify_rates,
    certify_ratios,
    fail_rates,
)
from backendctl.rollout.verdict.processes import absolute_gains, relative_gains

Logs = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Fail:
    """Fail evidence since the start of one step: log E for each point of the grids."""

    relative: Logs
    absolute: Logs
    relative_raw: Logs
    """Without the speed limit."""
    absolute_raw: Logs


@dataclass(frozen=True, slots=True)
class Track:
    """Evidence of one metric. All log E are tempered: divided by the dispersion."""

    candidate: int
    stable: int
    """Events that counted in this step."""
    fail: tuple[Fail, ...]
    """One entry for each step begun so far."""
    stable_absolute: Logs
    """Of stable against the limit, over the whole rollout."""
    certify_relative: Logs
    certify_absolute: Logs
    """Of this step only."""
    dispersion: guards.Dispersion
    background: guards.Background
    masked: int
    """Blocks of this step taken for an outage of both arms."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What has been seen of a rollout so far."""

    step: int
    """Index of the present step; -1 before the first."""
    began: float | None
    """When the present step began, on the blocks' clock; None until known."""
    tracks: tuple[Track, ...]
    """In the order of `Plan.metrics`."""
    candidate: int
    stable: int
    """Requests that counted in this step."""
    counted: float
    """Seconds that counted in this step."""
    newest: float | None
    """End of the newest block of this step, whether it counted or not."""
    block_seconds: float
    """Length of the newest block."""
    warming: int
    """Blocks of this step left out as warm-up."""
    distrust: guards.Distrust
    share: guards.Share


def begin(plan: Plan) -> Evidence:
    """Nothing seen yet. `begin_step` comes next, then blocks."""
    tracks = tuple(
        Track(
            candidate=0,
            stable=0,
            fail=(),
            stable_absolute=(0.0,) * (len(fail_rates(m.limit)) if m.limit is not None else 0),
            certify_relative=(),
            certify_absolute=(),
            dispersion=guards.unseen(m.dispersion if plan.temper else 1.0),
            background=guards.Background(m.reference_requests, m.reference_events),
            masked=0,
        )
        for m in plan.metrics
    )
    return Evidence(
        step=-1,
        began=None,
        tracks=tracks,
        candidate=0,
        stable=0,
        counted=0.0,
        newest=None,
        block_seconds=0.0,
        warming=0,
        distrust=guards.Distrust(),
        share=guards.Share(),
    )


def begin_step(plan: Plan, evidence: Evidence, step: int, at: float | None = None) -> Evidence:
    """The gateway serves the weights of step `step` (an index) since `at`, on the blocks' clock.

    Blocks that begin within the warm-up after it will not count, nor those that span the shift.
    Without `at` the step begins with its first block, which must then not span the shift.
    Raises ValueError if the step is not the next one.
    """
    if step != evidence.step + 1 or step >= len(plan.steps):
        raise ValueError(f"step {step} does not follow step {evidence.step} of {len(plan.steps)}")
    tracks = tuple(
        _begin_track(metric, track)
        for metric, track in zip(plan.metrics, evidence.tracks, strict=True)
    )
    return replace(
        evidence,
        step=step,
        began=at,
        tracks=tracks,
        candidate=0,
        stable=0,
        counted=0.0,
        newest=None,
        warming=0,
        distrust=guards.Distrust(),
        share=guards.Share(),
    )


def _begin_track(metric: Metric, track: Track) -> Track:
    ratios = (0.0,) * len(default.FAIL_RATIOS)
    rates: Logs = ()
    certify: Logs = ()
    if metric.limit is not None:
        rates = (0.0,) * len(fail_rates(metric.limit))
        certify = (0.0,) * len(default.CERTIFY_MULTIPLES)
    return replace(
        track,
        candidate=0,
        stable=0,
        fail=(*track.fail, Fail(ratios, rates, ratios, rates)),
        certify_relative=(0.0,) * len(default.CERTIFY_RATIOS) if metric.certified else (),
        certify_absolute=certify,
        dispersion=track.dispersion.begin_step(),
        masked=0,
    )


def update(plan: Plan, evidence: Evidence, block: Block) -> Evidence:
    """Take in one block. Blocks of a step come in order of time and do not overlap.

    A block that cannot be used (missing counters, counts that went backwards, warm-up, one that
    spans a shift) changes no evidence and is remembered as such.
    Raises ValueError before the first `begin_step`.
    """
    if evidence.step < 0:
        raise ValueError("a block came before the first step began")
    began = block.start if evidence.began is None else evidence.began
    overlaps = evidence.newest is not None and block.start < evidence.newest
    problem = guards.problem_of(plan, block, overlaps)
    seen = replace(
        evidence,
        began=began,
        newest=block.end if evidence.newest is None else max(block.end, evidence.newest),
        block_seconds=max(block.seconds, 0.0),
        distrust=evidence.distrust.after(problem, max(block.seconds, 0.0)),
    )
    if problem is not None:
        return seen
    if block.start < began + plan.warm_up:
        return replace(seen, warming=evidence.warming + 1)
    candidate, stable = block.candidate, block.stable
    assert candidate is not None  # noqa: S101 (problem_of has seen to it)
    if stable is None or not plan.has_stable:
        stable = ArmBlock(0, 0)
    tracks = tuple(
        _update_track(plan, metric, track, plan.steps[evidence.step], candidate, stable, block)
        for metric, track in zip(plan.metrics, evidence.tracks, strict=True)
    )
    return replace(
        seen,
        tracks=tracks,
        candidate=evidence.candidate + candidate.requests,
        stable=evidence.stable + stable.requests,
        counted=evidence.counted + block.seconds,
        share=evidence.share.after(
            plan, plan.steps[evidence.step].percent, candidate.requests, stable.requests
        ),
    )


def _update_track(
    plan: Plan,
    metric: Metric,
    track: Track,
    step: Step,
    candidate: ArmBlock,
    stable: ArmBlock,
    block: Block,
) -> Track:
    hits, stable_hits = candidate.events(metric.name) or 0, stable.events(metric.name) or 0
    requests = candidate.requests + stable.requests
    share = candidate.requests / requests if requests else 0.0
    dispersion = track.dispersion
    if plan.temper:
        trials = hits + stable_hits if plan.has_stable else candidate.requests
        dispersion = dispersion.after(metric.dispersion, hits, trials)
    outage = plan.mask_outages and track.background.is_outage(
        stable.requests, stable_hits, dispersion.peak
    )
    pace = _Pace(dispersion.value, track.dispersion.peak / dispersion.peak, _cap(plan, block))

    against_stable = relative_gains(hits, stable_hits, share, default.FAIL_RATIOS, 1.0)
    against_limit: Logs = ()
    certify_relative, certify_absolute = track.certify_relative, track.certify_absolute
    stable_absolute = track.stable_absolute
    if metric.limit is not None:
        rates = fail_rates(metric.limit)
        against_limit = absolute_gains(hits, candidate.requests, rates, metric.limit)
        stable_absolute = pace.raw(
            stable_absolute, absolute_gains(stable_hits, stable.requests, rates, metric.limit)
        )
        limit = step.limits[metric.name]
        certify_absolute = pace.raw(
            certify_absolute,
            absolute_gains(hits, candidate.requests, certify_rates(limit), limit),
        )
        gains = relative_gains(hits, stable_hits, share, certify_ratios(step.ratio), step.ratio)
        certify_relative = pace.raw(certify_relative, None if outage else gains)
    limited = None if outage else against_limit
    fail = tuple(
        Fail(
            relative=pace.limited(part.relative, against_stable),
            absolute=pace.limited(part.absolute, limited),
            relative_raw=pace.raw(part.relative_raw, against_stable),
            absolute_raw=pace.raw(part.absolute_raw, limited),
        )
        for part in track.fail
    )
    return Track(
        candidate=track.candidate + hits,
        stable=track.stable + stable_hits,
        fail=fail,
        stable_absolute=stable_absolute,
        certify_relative=certify_relative,
        certify_absolute=certify_absolute,
        dispersion=dispersion,
        background=track.background
        if outage
        else track.background.after(stable.requests, stable_hits),
        masked=track.masked + (1 if outage else 0),
    )


def _cap(plan: Plan, block: Block) -> float:
    return guards.most_gain(plan.alpha, plan.speed_limit, block.seconds)


@dataclass(frozen=True, slots=True)
class _Pace:
    """How gains of this block are tempered and limited before they are added."""

    dispersion: float
    rescale: float
    """Former over present highest dispersion: what was added too eagerly is taken back."""
    cap: float

    def raw(self, logs: Logs, gains: Logs | None) -> Logs:
        if gains is None:
            return logs if self.rescale == 1.0 else tuple(x * self.rescale for x in logs)
        return tuple(
            x * self.rescale + gain / self.dispersion for x, gain in zip(logs, gains, strict=True)
        )

    def limited(self, logs: Logs, gains: Logs | None) -> Logs:
        if gains is None:
            return self.raw(logs, None)
        return tuple(
            x * self.rescale + min(gain / self.dispersion, self.cap)
            for x, gain in zip(logs, gains, strict=True)
        )
