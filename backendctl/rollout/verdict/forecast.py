"""How long a verdict will take at a given traffic, said before a rollout starts.

With J the information of one candidate request in nats, half of all rollouts have decided after
n50 = ln(1/level) / J requests, 80 % after 1.8 n50, 95 % after 2.7 n50:

    relative certificate  J = (p/w) kl(w, theta(rho_bad)),                 level beta/2
    absolute certificate  J = kl(p, L_k),                                  level beta/2
    conviction            J = (p/w) (rho w + 1 - w) kl(theta(rho), w),     level alpha a_m

p is stable's rate, w the candidate's share. The cheaper certificate counts, times the dispersion,
over rps x w. A release without any event needs about 4.6/L_k, which is computed exactly here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.plan import Metric, Plan, Step, certify_rates
from backendctl.rollout.verdict.processes import absolute_gains, kl, log_mean_exp, theta
from backendctl.rollout.verdict.words import duration


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
    needs = {m.name: _requests(plan, m, step, rates[m.name]) for m in plan.metrics if m.certified}
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


def _requests(plan: Plan, metric: Metric, step: Step, rate: float) -> tuple[float, float]:
    """Candidate requests by which 50 % and 95 % of good releases are certified."""
    limit, share = step.limits[metric.name], step.percent / 100.0
    level = -math.log(plan.beta / 2.0 if plan.has_stable else plan.beta)
    flawless = _flawless(plan, limit)
    information = kl(rate, limit) if rate < limit else 0.0
    if plan.has_stable and 0.0 < share < 1.0 and rate > 0.0:
        information = max(information, rate / share * kl(share, theta(step.ratio, share)))
    if information <= 0.0:
        return math.inf, math.inf
    if rate <= 0.0:
        return flawless * metric.dispersion, flawless * metric.dispersion
    median = level / information
    return (
        max(flawless, median) * metric.dispersion,
        max(flawless, default.SPREAD_95 * median) * metric.dispersion,
    )


def _flawless(plan: Plan, limit: float) -> float:
    """Candidate requests without any event until the certificate, exactly."""
    gains = absolute_gains(0, 1, certify_rates(limit), limit)
    target = 1.0 / plan.beta
    if plan.has_stable:
        target = 2.0 * target - 1.0  # the relative certificate stays at 1
    low, high = 0.0, 10.0 * math.log(target) / gains[0]
    for _ in range(60):
        middle = (low + high) / 2.0
        if log_mean_exp([middle * g for g in gains]) < math.log(target):
            low = middle
        else:
            high = middle
    return high


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
        gain = _information_of_failure(metric, rate, bad, share) * rps * share / metric.dispersion
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


def _information_of_failure(metric: Metric, rate: float, bad: float, share: float) -> float:
    found = kl(bad, metric.limit) if metric.limit is not None and bad > metric.limit else 0.0
    if metric.relative_weight <= 0.0 or not 0.0 < share < 1.0:
        return found
    least = max(rate, bad / default.FAIL_RATIOS[-1])  # the grid looks no further than 40 times
    ratio = bad / least
    odds = ratio * share + 1.0 - share
    return max(found, least / share * odds * kl(theta(ratio, share), share))


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
        return (
            f"no traffic is enough: stable's own rate of {slow.slowest} is too near or over its "
            "limit for a release like it to be certified",
        )
    half = _at_half(plan, made.rps, rates)
    lines = [
        f"at {made.rps:.3g} requests/s the step at {slow.percent} % needs up to "
        f"{duration(slow.p95)} to be judged ({slow.slowest}), and its deadline is "
        f"{duration(plan.deadline)}: expect no verdict",
        f"a longer deadline: at least {duration(slow.p95)} a step",
    ]
    if half is not None and len(plan.steps) > 1 and half < slow.p95:
        lines.append(f"one step of 50 %: about {duration(half)}")
    lines.append(
        "blue-green with a bake: switch at once, watch against the limits, and go back in a second"
    )
    return tuple(lines)


def _at_half(plan: Plan, rps: float, rates: Mapping[str, float]) -> float | None:
    if not plan.has_stable:
        return None
    last = plan.steps[-1]
    return _step(plan, Step(50, last.ratio, last.limits), rps, rates).p95
