"""Reasons in plain words, with the numbers that decided."""

from collections.abc import Sequence

from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.evidence import Evidence
from backendctl.rollout.verdict.plan import Metric, Plan
from backendctl.rollout.verdict.processes import exp
from backendctl.rollout.verdict.reading import Reading


def count(n: int) -> str:
    return f"{n:,}"


def rate(events: int, requests: int) -> str:
    """A percentage with two significant digits: 2.6 %, 0.055 %."""
    if requests == 0:
        return "no requests"
    percent = 100.0 * events / requests
    if percent in (0.0, 100.0):
        return f"{percent:.0f} %"
    return f"{percent:.2g} %" if percent < 10.0 else f"{percent:.0f} %"


def number(x: float) -> str:
    """Evidence: three digits when small, no more than what a person compares when huge."""
    if x >= 1e6:
        return "over a million"
    return f"{x:,.0f}" if x >= 10.0 else f"{x:.2g}"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 100.0:
        return f"{seconds:.0f} s"
    if seconds < 5400.0:
        return f"{seconds / 60.0:.0f} min"
    return f"{seconds / 3600.0:.1f} h"


def did(metric: Metric) -> str:
    """What an event of the metric is, as a verb."""
    if metric.own:
        return f"did badly by {metric.name} in"
    if metric.threshold_s is None:
        return "refused (4xx)" if metric.name == default.REFUSALS else "failed"
    return f"took longer than {_whose(metric.name)} ({metric.threshold_s * 1000:g} ms) in"


def events(name: str, threshold: float | None) -> str:
    """What a metric counts: `requests slower than 300 ms (the SLO's p95)`; `threshold` in s."""
    if name == default.REFUSALS:
        return "requests refused (4xx)"
    if threshold is None:
        return "requests that failed" if name == default.ERRORS else f"operations bad by {name}"
    return f"requests slower than {1000 * threshold:g} ms ({_whose(name)})"


def _whose(name: str) -> str:
    return {
        default.SLO_P95: "the SLO's p95",
        default.SLO_P99: "the SLO's p99",
        default.STABLE_P99: "the bound from stable's own p99",
    }.get(name, name)


def both_arms(plan: Plan, evidence: Evidence, reading: Reading) -> str:
    """What both arms did in this step."""
    track = reading.track
    of = evidence.totals(reading.metric)
    return _arms(plan, reading, track.candidate, of.candidate, track.stable, of.stable)


def _arms(
    plan: Plan, reading: Reading, hits: int, requests: int, stable_hits: int, stable_requests: int
) -> str:
    text = (
        f"candidate {did(reading.metric)} {count(hits)} of "
        f"{count(requests)} {'operations' if reading.metric.own else 'requests'} "
        f"({rate(hits, requests)})"
    )
    if plan.has_stable and reading.metric.compared:
        text += (
            f", stable {count(stable_hits)} of {count(stable_requests)} "
            f"({rate(stable_hits, stable_requests)})"
        )
    return text


def convicted(plan: Plan, evidence: Evidence, worst: Reading, total: float) -> str:
    """Counts of the whole rollout, because evidence is kept from step to step."""
    track, of = worst.track, evidence.totals(worst.metric)
    text = _arms(
        plan,
        worst,
        track.candidate_before + track.candidate,
        of.candidate_before + of.candidate,
        track.stable_before + track.stable,
        of.stable_before + of.stable,
    )
    if evidence.step > 0:
        text += " since the first step"
    metric = worst.metric
    if worst.fail_absolute > worst.fail_relative and metric.limit is not None:
        if metric.predecessor_limit is None:
            text += f", the limit is {100 * metric.limit:g} %"
        else:
            text += (
                f"; stable before it {count(metric.reference_events)} of "
                f"{count(metric.reference_requests)} "
                f"({rate(metric.reference_events, metric.reference_requests)}), "
                f"over {100 * metric.predecessor_limit:.2g} % is too much worse"
            )
    text = _endpoint(worst) + text
    return f"{text}: evidence {number(exp(total))}, limit {number(1.0 / plan.alpha)}"


def _endpoint(reading: Reading) -> str:
    """The endpoint that is the trouble, where it is one."""
    endpoints, place = reading.track.endpoints, reading.endpoint
    if place is None:
        return ""
    candidate = endpoints.candidate[place]
    return (
        f"{endpoints.names[place]}: candidate {did(reading.metric)} "
        f"{count(candidate)} {'request' if candidate == 1 else 'requests'}, "
        f"stable {count(endpoints.stable[place])}; all endpoints: "
    )


def one_client(plan: Plan, evidence: Evidence, total: float, sure: float) -> str:
    clients = evidence.clients
    worst = clients.worst()
    failures = clients.failures.get(worst, 0) if worst is not None else 0
    return (
        f"evidence {number(exp(total))} against the candidate rests on one client with "
        f"{count(failures)} failures, which has not been seen on stable; without that client it "
        f"is {number(exp(sure))}, limit {number(1.0 / plan.alpha)}"
    )


def unusable(evidence: Evidence) -> str:
    d = evidence.distrust
    return f"no usable measurement for {duration(d.row_seconds)} ({d.row} blocks): {d.why}"


def wrong_share(plan: Plan, evidence: Evidence) -> str:
    requests = evidence.candidate + evidence.stable
    return (
        f"the candidate should get {plan.steps[evidence.step].percent} % of requests but was "
        f"counted with {100.0 * evidence.candidate / requests:.1f} % of {count(requests)}: "
        "either the gateway does not serve the weights or an arm is miscounted"
    )


def unmeasured(plan: Plan, evidence: Evidence, elapsed: float) -> str:
    """That most of the step could not be measured; empty if it could."""
    due = elapsed - plan.warm_up
    if evidence.newest is not None and evidence.counted >= due * default.LEAST_MEASURED:
        return ""
    why = f"; last trouble: {evidence.distrust.why}" if evidence.distrust.why else ""
    return f"only {duration(evidence.counted)} of {duration(due)} could be measured{why}"


def certified(plan: Plan, evidence: Evidence, readings: Sequence[Reading]) -> str:
    worst = min((r for r in readings if r.metric.certified), key=lambda r: r.certificate)
    step = plan.steps[evidence.step]
    than = f"under {100 * step.limits[worst.metric.name]:.2g} %"
    if plan.has_stable:
        than = f"less than {step.ratio:g} times as bad as stable, or {than}"
    return (
        f"{both_arms(plan, evidence, worst)}: shown to be {than}; "
        f"weakest certificate {number(exp(worst.certificate))}, needed {number(1.0 / plan.beta)}"
    )


def uncertified(
    plan: Plan, evidence: Evidence, reading: Reading, requests_needed: int | None
) -> str:
    text = (
        f"{both_arms(plan, evidence, reading)}: certificate {number(exp(reading.certificate))} "
        f"of {number(1.0 / plan.beta)}"
    )
    if reading.relative_suspended and plan.has_stable:
        text += f" (not compared with stable: {reading.relative_suspended})"
    if requests_needed:
        text += f", about {count(requests_needed)} more candidate requests needed"
    return text


def few_requests(plan: Plan, evidence: Evidence) -> str:
    return f"{evidence.candidate} of at least {plan.min_requests} candidate requests"


def short_time(plan: Plan, elapsed: float) -> str:
    least = plan.warm_up + plan.step_time
    return f"{duration(elapsed)} of at least {duration(least)} at this step"


def suspicion(raw: float) -> str:
    return (
        f"evidence against the candidate is {number(exp(raw))} without the speed limit; "
        f"under {number(default.NO_STEP_UP)} is needed to go on"
    )


def newest_unusable(evidence: Evidence) -> str:
    return f"the newest measurement cannot be used: {evidence.distrust.why}"


def stale(age: float) -> str:
    return f"the newest measurement is {duration(age)} old"


def waiting(lacks: Sequence[str]) -> str:
    return "; ".join(lacks)


def undecided(
    plan: Plan, evidence: Evidence, readings: Sequence[Reading], lacks: Sequence[str]
) -> str:
    text = f"no verdict within {duration(plan.deadline)}: {waiting(lacks)}"
    broken = [r for r in readings if r.stable_breaks]
    if broken:
        text = f"stable breaks the limit as well, so the limit cannot decide; {text}"
    if evidence.candidate + evidence.stable == 0:
        text = f"there was no traffic; {text}"
    return text
