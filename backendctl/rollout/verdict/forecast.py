"""How long a verdict will take at a given traffic, said before a rollout starts.

The formulas are those of `power`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.plan import Metric, Plan, Step
from backendctl.rollout.verdict.power import information_against, requests_to_certify
from backendctl.rollout.verdict.words import duration, events


@dataclass(frozen=True, slots=True)
class StepForecast:
    """Seconds at one step until a release as good as stable passes; infinite becomes None."""

    percent: int
    p50: float | None
    p95: float | None
    slowest: str
    """The metric that takes longest."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What to expect of a rollout at the present traffic."""

    rps: float
    possible: bool
    """Whether 95 % of good releases pass every step before its deadline."""
    steps: tuple[StepForecast, ...]
    seconds_to_pass_p50: float | None
    seconds_to_pass_p95: float | None
    """Over all steps, for a release as good as stable; None if never."""
    seconds_to_fail: Mapping[str, float | None]
    """"2x", "10x" (times stable's error rate) and "all" (every request fails) -> median seconds
    until conviction; None if not before the last step's deadline, or if stable has no errors."""
    advice: tuple[str, ...]
    """What to print: expected times, or why no verdict is possible and what would help."""


def forecast(plan: Plan, rps: float, rates: Mapping[str, float] | None = None) -> Forecast:
    """Forecast a rollout at `rps` requests per second for the whole service.

    `rates` are stable's rates of events by metric, 0 to 1; by default those of its history, and
    where there is none, half the limit.
    """
    expected = {m.name: _rate(m, rates or {}) for m in plan.metrics}
    steps = tuple(_step(plan, step, rps, expected) for step in plan.steps)
    p50 = _total([s.p50 for s in steps])
    p95 = _total([s.p95 for s in steps])
    possible = all(s.p95 is not None and s.p95 <= plan.deadline for s in steps)
    fails = _fails(plan, rps, expected[default.ERRORS], steps)
    made = Forecast(rps, possible, steps, p50, p95, fails, ())
    return replace(made, advice=_advice(plan, made, expected))


def _rate(metric: Metric, rates: Mapping[str, float]) -> float:
    if metric.name in rates:
        return rates[metric.name]
    if metric.reference_requests:
        return metric.reference_events / metric.reference_requests
    return (metric.limit or 0.0) / 2.0


def _total(seconds: list[float | None]) -> float | None:
    known = [s for s in seconds if s is not None]
    return math.fsum(known) if len(known) == len(seconds) else None


def _step(plan: Plan, step: Step, rps: float, rates: Mapping[str, float]) -> StepForecast:
    needs = {
        m.name: requests_to_certify(plan, m, step, rates[m.name])
        for m in plan.metrics
        if m.certified and not m.own  # how many operations there are is not known beforehand
    }
    slowest = max(needs, key=lambda name: needs[name][1])
    arriving = rps * step.percent / 100.0

    def seconds(requests: float) -> float | None:
        requests = max(requests, float(plan.min_requests))
        if arriving <= 0.0 or math.isinf(requests):
            return None
        return plan.warm_up + max(plan.step_time, requests / arriving)

    half = max(n for n, _ in needs.values())
    most = max(n for _, n in needs.values())
    return StepForecast(step.percent, seconds(half), seconds(most), slowest)


def _fails(
    plan: Plan, rps: float, rate: float, steps: tuple[StepForecast, ...]
) -> Mapping[str, float | None]:
    return {
        "2x": _seconds_to_fail(plan, rps, rate, 2.0 * rate, steps) if rate > 0.0 else None,
        "10x": _seconds_to_fail(plan, rps, rate, 10.0 * rate, steps) if rate > 0.0 else None,
        "all": _seconds_to_fail(plan, rps, rate, 1.0, steps),
    }


def _seconds_to_fail(
    plan: Plan, rps: float, rate: float, bad: float, steps: tuple[StepForecast, ...]
) -> float | None:
    """Median seconds until conviction for errors, at the pace of a good release's steps."""
    metric = next(m for m in plan.metrics if m.name == default.ERRORS)
    weight = max(metric.relative_weight, metric.absolute_weight) * plan.shares[0]
    missing = -math.log(plan.alpha * weight)
    bad = min(bad, default.HIGHEST_RATE)
    passed = 0.0
    for index, step in enumerate(steps):
        share = step.percent / 100.0
        gain = information_against(metric, rate, bad, share) * rps * share / metric.dispersion
        if plan.speed_limit > 0.0:
            gain = min(gain, -math.log(plan.alpha) / plan.speed_limit)
        last = index == len(steps) - 1
        stay = plan.deadline if last or step.p50 is None else step.p50
        counted = max(0.0, stay - plan.warm_up)
        if gain > 0.0 and missing <= gain * counted:
            return passed + plan.warm_up + missing / gain
        missing -= gain * counted
        passed += stay
    return None


def _advice(plan: Plan, made: Forecast, rates: Mapping[str, float]) -> tuple[str, ...]:
    if made.possible and made.seconds_to_pass_p50 and made.seconds_to_pass_p95:
        lines = [
            f"at {made.rps:.3g} requests/s a release as good as stable passes in about "
            f"{duration(made.seconds_to_pass_p50)} "
            f"(95 of 100 within {duration(made.seconds_to_pass_p95)})"
        ]
        words = {
            "2x": "twice stable's errors",
            "10x": "ten times stable's errors",
            "all": "every request failing",
        }
        caught = [
            f"{words[name]} in about {duration(seconds)}"
            for name, seconds in made.seconds_to_fail.items()
            if seconds is not None
        ]
        if caught:
            lines.append("a bad release is rolled back: " + ", ".join(caught))
        return tuple(lines)
    if made.rps <= 0.0:
        return ("there is no traffic: nothing can be judged, and nothing will be promoted",)
    slow = max(made.steps, key=lambda s: math.inf if s.p95 is None else s.p95)
    if slow.p95 is None:
        limit = next(s.limits[slow.slowest] for s in plan.steps if s.percent == slow.percent)
        return (
            f"no traffic is enough: stable's own rate of {_counted(plan, slow)}, "
            f"{100.0 * rates[slow.slowest]:.2g} %, is too near or over its limit, "
            f"{100.0 * limit:.2g} %, for a release like it to be certified",
        )
    half = _at_half(plan, made.rps, rates)
    lines = [
        f"at {made.rps:.3g} requests/s the step at {slow.percent} % needs up to "
        f"{duration(slow.p95)} to be judged (by {_counted(plan, slow)}), and its deadline is "
        f"{duration(plan.deadline)}: expect no verdict",
        f"a longer deadline: at least {duration(slow.p95)} a step",
    ]
    if half is not None and half < 0.95 * slow.p95:
        lines.append(f"one step of 50 %: about {duration(half)}")
    lines.append(
        "blue-green with a bake: switch at once, watch against the limits, and go back in a second"
    )
    return tuple(lines)


def _counted(plan: Plan, step: StepForecast) -> str:
    """What the metric counts that takes longest."""
    return events(step.slowest, plan.thresholds.get(step.slowest))


def _at_half(plan: Plan, rps: float, rates: Mapping[str, float]) -> float | None:
    if not plan.has_stable:
        return None
    last = plan.steps[-1]
    return _step(plan, Step(50, last.ratio, last.limits), rps, rates).p95
