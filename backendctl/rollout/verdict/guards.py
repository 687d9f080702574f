"""Guards: what keeps bursts, outages, warm-up and broken measurements from being taken for
evidence. Each is pure and small; what each costs is in `parameters`' source and in bench/verdict.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.blocks import ArmBlock, Block
from backendctl.rollout.verdict.plan import Metric, Plan
from backendctl.rollout.verdict.processes import Logs, kl, log_mean_exp


def limit_speed(
    plan: Plan, credit: float, seconds: float, gains: Logs, alone: bool = False
) -> tuple[Logs, float]:
    """(gains no larger than the speed limit allows, credit left after them).

    log E may rise by log(1/alpha) in T seconds. What quiet blocks leave over is saved, up to
    a third of that, so that only bursts are slowed down; and no single block, however long, adds
    more than that third. One event `alone` in its block is no burst and counts in full. Gains are
    only ever made smaller, so a limited process is still a supermartingale.
    """
    if plan.speed_limit <= 0.0:
        return gains, 0.0
    nats = -math.log(plan.alpha)
    cap = min(credit + nats * seconds / plan.speed_limit, nats * default.SPEED_CREDIT)
    most = max(gains, default=0.0)
    if alone or most <= cap:
        return gains, max(0.0, cap - max(0.0, most))
    return tuple([min(gain, cap) for gain in gains]), 0.0


@dataclass(frozen=True, slots=True)
class Background:
    """Stable's rate of events outside outages, from its history and this rollout."""

    requests: int = 0
    events: int = 0

    def after(self, requests: int, events: int) -> "Background":
        return Background(self.requests + requests, self.events + events)

    def is_outage(self, requests: int, events: int, dispersion: float) -> bool:
        """Whether stable itself broke down: events > 3 mu + 5 sqrt(mu dispersion) + 3.

        Not decided before stable's rate is known at all.
        """
        if self.requests == 0 or requests == 0:
            return False
        mu = requests * self.events / self.requests
        return events > (
            default.MASK_FACTOR * mu
            + default.MASK_SIGMAS * math.sqrt(mu * dispersion)
            + default.MASK_EVENTS
        )


@dataclass(frozen=True, slots=True)
class Distrust:
    """Unusable blocks of this step, and those in a row up to now."""

    total: int = 0
    row: int = 0
    row_seconds: float = 0.0
    why: str = ""
    """Of the newest one."""

    def after(self, problem: str | None, seconds: float) -> "Distrust":
        if problem is None:
            return replace(self, row=0, row_seconds=0.0)
        return Distrust(self.total + 1, self.row + 1, self.row_seconds + seconds, problem)

    def persists(self, plan: Plan) -> bool:
        """Unusable for a whole step time and at least three blocks."""
        return self.row >= default.MIN_DISTRUST_BLOCKS and self.row_seconds >= plan.step_time


def problem_of(plan: Plan, block: Block, overlaps: bool) -> str | None:
    """Why a block cannot be used whole; None if it can. A metric that no pass needs may be missing:
    nobody waits for it."""
    needed = tuple(metric for metric in plan.metrics if metric.certified or not metric.own)
    return problem_with(needed, plan, block, overlaps)


def problem_with(metrics: Iterable[Metric], plan: Plan, block: Block, overlaps: bool) -> str | None:
    """Why a block says nothing of these metrics; None if it does."""
    metrics = tuple(metrics)
    if overlaps or not block.seconds > 0.0:
        return "its times overlap those of the block before it"
    if block.candidate is None:
        return "the candidate's counters are missing"
    if plan.has_stable and block.stable is None:
        return "stable's counters are missing"
    problem = _bad_counts(metrics, "the candidate", block.candidate)
    if problem is None and plan.has_stable and block.stable is not None:
        asked = [metric for metric in metrics if metric.compared]
        problem = _bad_counts(asked, "stable", block.stable)
    return problem


def _bad_counts(metrics: Iterable[Metric], name: str, arm: ArmBlock) -> str | None:
    if arm.requests < 0 or arm.errors < 0:
        return f"a counter of {name} went backwards"
    for metric in metrics:
        if metric.own:
            if (problem := _bad_own_counts(metric.name, name, arm)) is not None:
                return problem
            continue
        events = arm.events(metric.name)
        if events is None:
            return f"{metric.name} of {name} was not measured"
        if events < 0:
            return f"a counter of {name} went backwards"
        if events > arm.requests:
            return (
                f"{name} has more events of {metric.name} ({events}) than requests ({arm.requests})"
            )
    return None


def _bad_own_counts(metric: str, name: str, arm: ArmBlock) -> str | None:
    if metric not in arm.counted:
        return f"{metric} of {name} was not measured"
    operations, bad = arm.counted[metric]
    if not 0 <= bad <= operations:
        return f"{name} has {bad} bad ones of {operations} by {metric}"
    return None


@dataclass(frozen=True, slots=True)
class Share:
    """Sequential check that the candidate gets the share of requests that was asked for.

    Two e-processes test "at most w (1 + tolerance)" and "at least w (1 - tolerance)" against
    shares further out. A share that is really off is harmless to the relative test, which uses
    the realised one; but an arm that is miscounted is not, and from here they look alike.
    """

    above: tuple[float, ...] = (0.0,) * len(default.SHARE_MULTIPLES)
    below: tuple[float, ...] = (0.0,) * len(default.SHARE_MULTIPLES)

    def after(self, plan: Plan, percent: int, candidate: int, stable: int) -> "Share":
        if not plan.share_tolerance or not plan.has_stable or percent >= 100:
            return self
        share = percent / 100.0
        return Share(
            _share_gains(self.above, share * (1.0 + plan.share_tolerance), 1.0, candidate, stable),
            _share_gains(self.below, share * (1.0 - plan.share_tolerance), -1.0, candidate, stable),
        )

    @property
    def log_evidence(self) -> float:
        """Of the worse side."""
        return max(log_mean_exp(self.above), log_mean_exp(self.below))

    def is_wrong(self) -> bool:
        return self.log_evidence >= -math.log(default.SHARE_LEVEL / 2.0)


def _share_gains(
    logs: tuple[float, ...], null: float, sign: float, candidate: int, stable: int
) -> tuple[float, ...]:
    null = min(null, 0.99)
    gains = []
    for x, multiple in zip(logs, default.SHARE_MULTIPLES, strict=True):
        odds = null / (1.0 - null) * multiple**sign
        other = odds / (1.0 + odds)
        gains.append(
            x + candidate * math.log(other / null) + stable * math.log((1.0 - other) / (1.0 - null))
        )
    return tuple(gains)


def has_aged(events: int, requests: int, reference_upper: float | None) -> bool:
    """Whether stable in this rollout is surely worse than its history's upper bound.

    A candidate compared with an arm that is getting worse looks better than it is, so relative
    certificates are suspended.
    """
    if reference_upper is None or events <= reference_upper * requests:
        return False
    # The lower confidence bound of `rate_lower` is over the history's upper one.
    information = requests * kl(min(1.0, events / requests), reference_upper)
    return information > -math.log1p(-default.AGEING_CONFIDENCE)
