"""Evidence: everything the judge remembers, and how one block changes it.

All values are explicit and survive JSON exactly, so that a plan and its blocks, replayed, give
the same evidence and the same judgements bit for bit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from backendctl.rollout.verdict import guards
from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.blocks import ArmBlock, Block
from backendctl.rollout.verdict.clients import Clients, without
from backendctl.rollout.verdict.plan import Metric, Plan
from backendctl.rollout.verdict.track import Track, begin_track, begin_track_step, update_track


@dataclass(frozen=True, slots=True)
class Totals:
    """Requests, or operations of a metric that the service counts itself, that counted."""

    candidate: int = 0
    stable: int = 0
    """In this step."""
    candidate_before: int = 0
    stable_before: int = 0
    """In the steps before."""

    def begin_step(self) -> "Totals":
        return Totals(
            0, 0, self.candidate_before + self.candidate, self.stable_before + self.stable
        )

    def after(self, candidate: int, stable: int) -> "Totals":
        return replace(self, candidate=self.candidate + candidate, stable=self.stable + stable)


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
    candidate_before: int
    stable_before: int
    """Requests that counted in the steps before."""
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
    clients: Clients
    without_worst: Track | None
    """The track of errors, less those of the worst client; None where it is the same."""
    own: Mapping[str, Totals]
    """By metric, for those that the service counts itself."""

    def totals(self, metric: Metric) -> Totals:
        """What a metric's events are among."""
        if metric.own:
            return self.own[metric.name]
        return Totals(self.candidate, self.stable, self.candidate_before, self.stable_before)


def begin(plan: Plan) -> Evidence:
    """Nothing seen yet. `begin_step` comes next, then blocks."""
    tracks = tuple(begin_track(metric, plan.temper) for metric in plan.metrics)
    return Evidence(
        step=-1,
        began=None,
        tracks=tracks,
        candidate=0,
        stable=0,
        candidate_before=0,
        stable_before=0,
        counted=0.0,
        newest=None,
        block_seconds=0.0,
        warming=0,
        distrust=guards.Distrust(),
        share=guards.Share(),
        clients=Clients(),
        without_worst=None,
        own={metric.name: Totals() for metric in plan.metrics if metric.own},
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
        begin_track_step(metric, track)
        for metric, track in zip(plan.metrics, evidence.tracks, strict=True)
    )
    return replace(
        evidence,
        step=step,
        began=at,
        tracks=tracks,
        candidate=0,
        stable=0,
        candidate_before=evidence.candidate_before + evidence.candidate,
        stable_before=evidence.stable_before + evidence.stable,
        counted=0.0,
        newest=None,
        warming=0,
        distrust=guards.Distrust(),
        share=guards.Share(),
        clients=evidence.clients.begin_step(),
        without_worst=None
        if evidence.without_worst is None
        else begin_track_step(plan.metrics[0], evidence.without_worst),
        own={name: totals.begin_step() for name, totals in evidence.own.items()},
    )


def update(plan: Plan, evidence: Evidence, block: Block) -> Evidence:
    """Take in one block. Blocks of a step come in order of time and do not overlap.

    A block that cannot be used (missing counters, counts that went backwards, warm-up, one that
    spans a shift) changes no evidence and is remembered as such. One in which only a metric of the
    service's own could not be read is remembered too, so that nothing passes by it, but what the
    gateway counted still convicts: a release that is broken may well break its own metrics.
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
    whole = problem is None and not evidence.own
    measured = plan.metrics if whole else _measured(plan, block, overlaps)
    if not measured or block.candidate is None:
        return seen
    if block.start < began + plan.warm_up:
        return replace(seen, warming=evidence.warming + 1)
    candidate, stable = block.candidate, block.stable
    if stable is None or not plan.has_stable:
        stable = ArmBlock(0, 0)
    step = plan.steps[evidence.step]
    tracks = tuple(
        update_track(
            plan, metric, track, step, _as(metric, candidate), _as(metric, stable), block.seconds
        )
        if metric in measured
        else track
        for metric, track in zip(plan.metrics, evidence.tracks, strict=True)
    )
    clients, without_worst = _leave_out(plan, evidence, candidate, stable, block.seconds)
    return replace(
        seen,
        clients=clients,
        without_worst=without_worst,
        tracks=tracks,
        candidate=evidence.candidate + candidate.requests,
        stable=evidence.stable + stable.requests,
        counted=evidence.counted + block.seconds,
        share=evidence.share.after(plan, step.percent, candidate.requests, stable.requests),
        own={
            metric.name: evidence.own[metric.name].after(
                _as(metric, candidate).requests, _as(metric, stable).requests
            )
            if metric in measured
            else evidence.own[metric.name]
            for metric in plan.metrics
            if metric.own
        },
    )


def _measured(plan: Plan, block: Block, overlaps: bool) -> tuple[Metric, ...]:
    """The metrics of which a block can be used; none if the gateway's cannot."""

    def usable(*metrics: Metric) -> bool:
        return guards.problem_with(metrics, plan, block, overlaps) is None

    if not usable(*(metric for metric in plan.metrics if not metric.own)):
        return ()
    return tuple(metric for metric in plan.metrics if not metric.own or usable(metric))


def _as(metric: Metric, arm: ArmBlock) -> ArmBlock:
    """The arm as a metric counts it; one that is not asked for it has done nothing."""
    if not metric.own:
        return arm
    return arm.of(metric.name) if metric.name in arm.counted else ArmBlock(0, 0)


def _leave_out(
    plan: Plan, evidence: Evidence, candidate: ArmBlock, stable: ArmBlock, seconds: float
) -> tuple[Clients, Track | None]:
    """Whose failures there were, and the track of errors without the worst client's."""
    if not plan.has_stable or plan.metrics[0].name != default.ERRORS:
        return evidence.clients, None
    clients = evidence.clients.after(candidate, stable)
    worst = clients.worst()
    if worst is None:
        return clients, None
    metric, track = plan.metrics[0], evidence.without_worst or evidence.tracks[0]
    step = plan.steps[evidence.step]
    return clients, update_track(
        plan, metric, track, step, without(candidate, worst), without(stable, worst), seconds
    )
