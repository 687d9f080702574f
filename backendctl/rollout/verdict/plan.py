"""What a rollout is judged by, worked out once before it starts and then never changed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.history import Reference
from backendctl.rollout.verdict.processes import rate_upper


@dataclass(frozen=True, slots=True)
class Limits:
    """What a release may do at most. A latency of None is not judged."""

    error_rate: float
    """Fraction of requests that may fail, between 0 and 1."""
    p95_s: float | None = None
    """Seconds that 5 % of requests may exceed."""
    p99_s: float | None = None
    """Seconds that 1 % of requests may exceed."""
    stable_p99_s: float | None = None
    """Stable's own p99 in seconds, frozen before the rollout; judged only against stable. Where it
    is under a tenth of `p99_s`, that tenth is used: less is not worth a rollback."""
    refusals: bool = False
    """Whether answers of 4xx are compared with stable's."""
    max_ratio: float = default.MAX_RATIO
    """Times stable's rate of events from which a release counts as bad; above 1."""


@dataclass(frozen=True, slots=True)
class Own:
    """A metric that the service counts itself."""

    name: str
    limit: float
    """Fraction of operations that may be bad."""
    required: bool = True
    """Whether a pass needs its certificate."""
    compared: bool = True
    """Whether stable counts it too; if not, its limit alone is the measure."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A kind of event (a failed or a slow request), and how much its tests count."""

    name: str
    threshold_s: float | None
    """Requests slower than this are events; None for errors."""
    limit: float | None
    """Most events per request; None where only stable is the measure."""
    relative_weight: float
    absolute_weight: float
    """Shares of alpha for the tests against stable and against the limit."""
    certified: bool
    """Whether a pass needs this metric's certificate."""
    reference_requests: int = 0
    reference_events: int = 0
    """Stable's history; no request where there is none."""
    predecessor_limit: float | None = None
    """Where no stable arm serves: most events per request, going by what stable did before. Less
    than `limit`; None where nothing is known, or that allows no less."""
    dispersion: float = 1.0
    """How bursty stable's events were; 1 is independent."""
    own: bool = False
    """Whether the service counts it itself, with operations of its own in place of requests."""
    compared: bool = True
    """Whether stable is asked for it; only one of the service's own may be new in the candidate."""
    by_endpoint: bool = False
    """Whether its events are told apart by endpoint, and endpoints judged by themselves too."""

    @property
    def convicts_over(self) -> float | None:
        """The rate that the absolute test accuses of being exceeded."""
        return self.limit if self.predecessor_limit is None else self.predecessor_limit

    @property
    def reference_upper(self) -> float | None:
        """Upper bound of stable's rate in its history; None without history."""
        if self.reference_requests == 0:
            return None
        return rate_upper(
            self.reference_events, self.reference_requests, default.HISTORY_CONFIDENCE
        )


@dataclass(frozen=True, slots=True)
class Step:
    """What must be shown at one weight. Small weights must show less: they risk less."""

    percent: int
    """Candidate's share of requests as asked of the gateway."""
    ratio: float
    """The candidate must be shown to be better than this many times stable's rate ..."""
    limits: Mapping[str, float]
    """... or, by metric, to be under this rate."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a judgement depends on besides the blocks."""

    steps: tuple[Step, ...]
    metrics: tuple[Metric, ...]
    has_stable: bool
    """False for a first release and after a switch to 100 %: only limits can judge then."""
    alpha: float
    beta: float
    warm_up: float
    step_time: float
    deadline: float
    """Seconds: blocks that begin less than `warm_up` after a shift do not count; a step lasts at
    least `warm_up + step_time` and at most `deadline`."""
    min_requests: int
    speed_limit: float
    """T, seconds: evidence may rise by log(1/alpha) at most in this time; 0 for no limit."""
    temper: bool
    """Whether evidence is divided by the dispersion."""
    mask_outages: bool
    """Whether blocks in which stable itself breaks down are left out of tests they would bias."""
    share_tolerance: float
    """Relative error of the candidate's share from which counts are distrusted; 0 for no check
    (sticky sessions, where the share of requests need not follow the weight)."""

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Metric name -> seconds, for those that count slow requests."""
        return {m.name: m.threshold_s for m in self.metrics if m.threshold_s is not None}

    @property
    def uncompared(self) -> tuple[str, ...]:
        """Metrics of the service's own that stable is not asked for."""
        asked = self.has_stable
        return tuple(m.name for m in self.metrics if m.own and not (asked and m.compared))

    @property
    def optional(self) -> tuple[str, ...]:
        """Metrics of the service's own that no pass needs."""
        return tuple(m.name for m in self.metrics if m.own and not m.certified)

    @property
    def shares(self) -> tuple[float, ...]:
        """Shares of the fail evidence that start with each step; they sum to 1."""
        count = len(self.steps)
        if count in default.STEP_SHARES:
            return default.STEP_SHARES[count]
        first = default.STEP_SHARES[3][0]
        return (first, *((1.0 - first) / (count - 1) for _ in range(count - 1)))


def steps_for(rps: float) -> tuple[int, ...]:
    """Candidate percentages for a traffic: 5/25/50 from 50 rps on, 10/50 from 2 rps, else 50."""
    return next(steps for least, steps in default.STEPS_BY_RPS if rps >= least)


def plan_for(
    limits: Limits,
    *,
    steps: Sequence[int] | None = None,
    rps: float | None = None,
    reference: Reference | None = None,
    has_stable: bool = True,
    warm_up: float = default.WARM_UP,
    step_time: float = default.STEP_TIME,
    deadline: float = default.DEADLINE,
    min_requests: int = default.MIN_REQUESTS,
    alpha: float = default.ALPHA,
    beta: float = default.BETA,
    weights: Mapping[str, tuple[float, float]] = default.FAIL_WEIGHTS,
    speed_limit: float | None = None,
    temper: bool = True,
    mask_outages: bool = True,
    share_tolerance: float = default.SHARE_TOLERANCE,
    by_endpoint: Collection[str] = (),
    own: Sequence[Own] = (),
) -> Plan:
    """Work out a plan.

    `steps` are candidate percentages, rising; by default `steps_for(rps)`, or 100 without a
    stable arm. `rps` is the service's present traffic in requests per second, if known.
    The speed limit T is the step time, at most 60 s: shorter steps judge faster and are that much
    easier deceived by a burst. With steps of 8 s a release whose every request fails is convicted
    in about 10 s, and so may be a good one that is hit by an outage of its own for 10 s.

    `own` are metrics that the service counts itself.
    `by_endpoint` names the metrics whose events the blocks tell apart by endpoint.

    Raises ValueError for numbers that make no sense.
    """
    percents = (
        tuple(steps) if steps is not None else (steps_for(rps or 0.0) if has_stable else (100,))
    )
    _check(percents, limits, warm_up, step_time, deadline, alpha, beta)
    metrics = _metrics(limits, weights, has_stable, reference, by_endpoint, own)
    return Plan(
        steps=_graded(percents, limits.max_ratio, metrics, rps, deadline),
        metrics=metrics,
        has_stable=has_stable,
        alpha=alpha,
        beta=beta,
        warm_up=warm_up,
        step_time=step_time,
        deadline=deadline,
        min_requests=min_requests,
        speed_limit=min(step_time, default.SLOWEST_CONVICTION)
        if speed_limit is None
        else speed_limit,
        temper=temper,
        mask_outages=mask_outages,
        share_tolerance=share_tolerance,
    )


def _check(
    percents: tuple[int, ...],
    limits: Limits,
    warm_up: float,
    step_time: float,
    deadline: float,
    alpha: float,
    beta: float,
) -> None:
    rising = all(a < b for a, b in pairwise(percents))
    if not percents or not rising or percents[0] < 1 or percents[-1] > 100:
        raise ValueError(f"steps must rise within 1..100: {percents}")
    if not 0.0 < limits.error_rate < 1.0:
        raise ValueError(f"the limit of errors must be between 0 and 1: {limits.error_rate}")
    if limits.max_ratio <= 1.0:
        raise ValueError(f"max_ratio must be above 1: {limits.max_ratio}")
    if not (0.0 < alpha < 1.0 and 0.0 < beta < 1.0):
        raise ValueError(f"alpha and beta must be between 0 and 1: {alpha}, {beta}")
    if warm_up < 0.0 or step_time < 0.0 or deadline < warm_up + step_time:
        raise ValueError(
            f"{warm_up} s of warm-up and {step_time} s do not fit a step's deadline of {deadline} s"
        )


def _metrics(
    limits: Limits,
    weights: Mapping[str, tuple[float, float]],
    has_stable: bool,
    reference: Reference | None,
    by_endpoint: Collection[str],
    own: Sequence[Own],
) -> tuple[Metric, ...]:
    watched: list[tuple[str, float | None, float | None]] = [
        (default.ERRORS, None, limits.error_rate)
    ]
    if limits.p95_s is not None:
        watched.append((default.SLO_P95, limits.p95_s, 0.05))
    if limits.p99_s is not None:
        watched.append((default.SLO_P99, limits.p99_s, 0.01))
    if limits.stable_p99_s is not None and has_stable:
        material = default.MATERIAL_LATENCY * (limits.p99_s or 0.0)
        watched.append((default.STABLE_P99, max(limits.stable_p99_s, material), None))
    if limits.refusals and has_stable:
        watched.append((default.REFUSALS, None, None))
    watched += [(each.name, None, each.limit) for each in own]
    weights = {**weights, **{each.name: default.OWN_WEIGHT for each in own}}
    alone = {each.name for each in own if not each.compared}
    shares = {
        name: (weights[name][0] if has_stable and name not in alone else 0.0, weights[name][1])
        for name, _, _ in watched
        if name in weights
    }
    optional = {each.name for each in own if not each.required}
    counted = {each.name for each in own}
    whole = sum(a + b for a, b in shares.values())
    if whole <= 0.0:
        raise ValueError(f"no test has a weight: {dict(weights)}")
    known = reference.events if reference else {}
    metrics = tuple(
        Metric(
            name=name,
            threshold_s=threshold,
            limit=limit,
            relative_weight=shares[name][0] / whole,
            absolute_weight=shares[name][1] / whole,
            certified=limit is not None and name not in optional,
            reference_requests=reference.requests if reference and name in known else 0,
            reference_events=known.get(name, 0),
            dispersion=reference.dispersion.get(name, 1.0) if reference else 1.0,
            by_endpoint=has_stable and name in by_endpoint,
            own=name in counted,
            compared=name not in alone,
        )
        for name, threshold, limit in watched
        if name in shares
    )
    if has_stable:
        return metrics
    return tuple(
        replace(metric, predecessor_limit=_predecessor_limit(metric, limits.max_ratio))
        for metric in metrics
    )


def _predecessor_limit(metric: Metric, max_ratio: float) -> float | None:
    """B = max(max_ratio u, L / 10), u being the upper bound of stable's rate in its history (95 %,
    Chernoff: `rate_upper`); None if that is not below L.

    For a release no worse than max_ratio times its predecessor, Ville's inequality for the process
    against B, and the bound on u, together give P(ever convicted by it) <= alpha + P(p > u), and
    for one that is only as bad as its predecessor alpha + P(p > max_ratio u), where the last term
    vanishes: the margin that allows for another hour of the day covers the uncertainty of u too.
    """
    upper = metric.reference_upper
    if upper is None or metric.limit is None:
        return None
    bound = max(max_ratio * upper, default.LIMIT_FLOOR * metric.limit)
    return bound if bound < metric.limit else None


def _graded(
    percents: tuple[int, ...],
    max_ratio: float,
    metrics: tuple[Metric, ...],
    rps: float | None,
    deadline: float,
) -> tuple[Step, ...]:
    """rho_bad,k = 1 + (max_ratio - 1) max(1, 0.5 / w_k), so 11/3/2 at 5/25/50 %; the last step
    always asks for `max_ratio`. Limits are scaled by the same factor."""
    budget = default.CERTIFY_BUDGET * deadline
    steps = []
    for percent in percents:
        ease = 1.0 if percent == percents[-1] else max(1.0, 50.0 / percent)
        ratio = 1.0 + (max_ratio - 1.0) * ease
        requests = (rps or 0.0) * percent / 100.0 * budget
        limits = {
            m.name: _shown_limit(m, m.limit, ratio / max_ratio, requests)
            for m in metrics
            if m.limit is not None
        }
        steps.append(Step(percent, ratio, limits))
    return tuple(steps)


def _shown_limit(metric: Metric, limit: float, grade: float, requests: float) -> float:
    """L_k = grade min(L, max(10 p_ref, L / 10)), at least 3.8 / requests, at most grade L.

    A service that hardly ever fails is held to a multiple of that, not to its full limit, as far
    as the candidate's requests within a twelfth of the deadline can show it; without history or
    known traffic the limit itself holds.
    """
    reference = metric.reference_upper
    shown = limit * grade
    if reference is not None and requests > 0.0:
        wanted = max(default.STABLE_MARGIN * reference, default.LIMIT_FLOOR * limit)
        shown = min(shown, max(wanted * grade, default.FLAWLESS / requests))
    return min(shown, default.HIGHEST_RATE)


@cache
def fail_rates(limit: float) -> tuple[float, ...]:
    """Rates that the absolute test looks for; always at least one above the limit."""
    highest = max(default.HIGHEST_RATE, (1.0 + limit) / 2.0)
    rates = sorted({min(limit * multiple, highest) for multiple in default.FAIL_MULTIPLES})
    return tuple(rates)


@cache
def certify_rates(limit: float) -> tuple[float, ...]:
    """Rates that the absolute certificate looks for."""
    return tuple(limit * multiple for multiple in default.CERTIFY_MULTIPLES)


@cache
def certify_ratios(ratio: float) -> tuple[float, ...]:
    """Ratios that the relative certificate looks for."""
    return tuple(ratio * multiple for multiple in default.CERTIFY_RATIOS)
