"""Whether the service kept its promises under load: pass, fail, inconclusive or invalid.

`pass` says that every promise is kept with 97.5 % certainty each: all must hold, so the chance of
passing a service that breaks one is at most 2.5 % however many there are (intersection-union
test; Berger 1982). `fail` says that at least one is broken: one of m is enough, so each is held
to a risk of 2.5 % / m. A hold may go on once, so each look is held to a smaller risk
(`intervals.LOOK_RISK`). In between the test was too short to decide. `invalid` comes first: a
generator that could not keep its own schedule has measured itself.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from backendctl.loadtest.histogram import Histogram
from backendctl.loadtest.intervals import LOOK_RISK, deciding, fewest, inflation, ranks, wilson
from backendctl.loadtest.measurement import Measurement, Outcome, StageMeasurement
from backendctl.loadtest.profile import Loop, Stage
from backendctl.spec.model import Slo

LAG_LIMIT = 0.005
"""Seconds of schedule lag at the 99th percentile that are always allowed."""
LAG_SHARE = 0.05
"""... or this share of the 95th percentile promised, if that is more."""
STARTED_LEAST = 0.99
CPU_LIMIT = 70.0
"""Percent of one core."""
CPU_RUN = 2
"""So many 1 s samples in a row over the limit invalidate. A single one does not: the spawning of
users or a collection of garbage can cause it, and if it delayed anything the lag shows it."""
CPU_FULL = 90.0
"""A single 1 s sample over this does: for that second the generator could do no more."""
RATE_TOLERANCE = 0.01
REFUSED_LIMIT = 0.05
"""Share of requests that may be refused as faulty before the test says too little."""


class Result(StrEnum):
    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, in one stage."""

    stage: str
    name: str
    """p95 | p99 | errors"""
    value: float | None
    """As measured: seconds, or a fraction. None without data."""
    low: float | None
    high: float | None
    """The interval the truth lies in; None where there were too few requests for an end."""
    limit: float
    requests: int
    inflation: float
    """How many times the variance of independent requests was seen; the interval allows for it."""
    result: Result
    needed: int | None = None
    """Where it is inconclusive: about how many requests decide it, if the rest goes as these
    did. None where no number does."""

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    result: Result
    checks: tuple[Check, ...]
    reasons: tuple[str, ...]
    """Why, in plain words: what made it invalid, or which promises were broken or undecided."""

    def to_data(self) -> dict[str, Any]:
        return {
            "result": self.result.value,
            "checks": [check.to_data() for check in self.checks],
            "reasons": list(self.reasons),
        }


def judge(stages: Sequence[Stage], measurement: Measurement, limits: Slo) -> Verdict:
    """The verdict over all judged stages that were begun, and over whether all were."""
    judged = [(i, stage) for i, stage in enumerate(stages) if stage.judged]
    checks: list[Check] = []
    faults = [f"a worker was lost: {how}" for how in measurement.lost]
    for index, stage in judged:
        found = measurement.stages.get(index)
        if found is None or not found.started:
            if not measurement.interrupted:
                faults.append(f"{stage.name}: no request was sent")
            continue
        faults += invalidities(stage, index, found, measurement, limits)
        checks += checks_of(stage, found, limits, len(judged))
    if faults:
        # The numbers stay, for whoever looks for the cause; none of them says pass or fail.
        unjudged = tuple(replace(check, result=Result.INVALID) for check in checks)
        return Verdict(Result.INVALID, unjudged, tuple(faults))
    broken = [_sentence(c) for c in checks if c.result is Result.FAIL]
    if broken:
        return Verdict(Result.FAIL, tuple(checks), tuple(broken))
    open_ends = [_sentence(c) for c in checks if c.result is Result.INCONCLUSIVE]
    if measurement.interrupted:
        open_ends.insert(0, "the test was interrupted")
    if open_ends or not checks:
        return Verdict(Result.INCONCLUSIVE, tuple(checks), tuple(open_ends))
    return Verdict(Result.PASS, tuple(checks), ())


# --- can the measurement be trusted? -----------------------------------------------------------


def lag_limit(limits: Slo) -> float:
    """Seconds of schedule lag at the 99th percentile beyond which a stage is invalid."""
    return max(LAG_LIMIT, LAG_SHARE * limits.p95)


def invalidities(
    stage: Stage, index: int, found: StageMeasurement, measurement: Measurement, limits: Slo
) -> list[str]:
    """What keeps this stage from being trusted; none of it can come from the service alone."""
    said = []
    if found.lag.count:
        lag = found.lag.quantile(0.99)
        if lag > lag_limit(limits):
            said.append(
                f"{stage.name}: the generator sent 1 % of requests over {_ms(lag)} late "
                f"(allowed {_ms(lag_limit(limits))})"
            )
    # Requests held back because the service answers nothing are the service's fault, not ours.
    sent = found.started + found.outcomes[Outcome.SHED]
    if found.scheduled and sent < STARTED_LEAST * found.scheduled and not measurement.interrupted:
        said.append(f"{stage.name}: only {sent} of {found.scheduled} requests were sent")
    refused = found.outcomes[Outcome.REFUSED]
    if refused > REFUSED_LIMIT * found.count:
        said.append(
            f"{stage.name}: {refused} of {found.count} requests were refused as faulty (4xx): "
            "the generated requests do not fit the service"
        )
    if stage.loop is Loop.OPEN and not measurement.interrupted:
        began, ended = measurement.spans.get(index, (0.0, stage.duration))
        offered = found.scheduled / (ended - began)
        rate = (stage.from_rate + stage.to_rate) / 2
        if abs(offered - rate) > RATE_TOLERANCE * rate:
            said.append(f"{stage.name}: {offered:.1f} requests/s were offered, not {rate:.1f}")
    for worker, samples in measurement.cpu_during(index):
        if _longest_run(samples) >= CPU_RUN or max(samples, default=0.0) > CPU_FULL:
            said.append(
                f"{stage.name}: {worker} used {max(samples):.0f} % of a core "
                f"(allowed {CPU_LIMIT:.0f} %)"
            )
    return said


def _longest_run(samples: Sequence[float]) -> int:
    longest = run = 0
    for percent in samples:
        run = run + 1 if percent > CPU_LIMIT else 0
        longest = max(longest, run)
    return longest


# --- were the promises kept? -------------------------------------------------------------------


def checks_of(
    stage: Stage, found: StageMeasurement, limits: Slo, judged_stages: int
) -> list[Check]:
    """The promises as one stage shows them; `judged_stages` are judged in the whole test."""
    fail_risk = LOOK_RISK / (3 * judged_stages)
    response = found.response
    return [
        _percentile(stage, found, response, "p95", 0.95, limits.p95, fail_risk),
        _percentile(stage, found, response, "p99", 0.99, limits.p99, fail_risk),
        _errors(stage, found, limits.error_rate, fail_risk),
    ]


def _percentile(
    stage: Stage,
    found: StageMeasurement,
    response: Histogram,
    name: str,
    fraction: float,
    limit: float,
    fail_risk: float,
) -> Check:
    n = response.count
    if not n:
        return Check(stage.name, name, None, None, None, limit, 0, 1.0, Result.INCONCLUSIVE)
    value = response.quantile(fraction)
    hits, sizes = [], []
    for second in _whole_seconds(stage, found):
        times = found.seconds[second].response
        hits.append(times.above(value))
        sizes.append(times.count)
    widen = inflation(hits, sizes)
    effective = max(1, int(n / widen))
    low_rank, high_rank = ranks(effective, fraction, fail_risk, LOOK_RISK)
    scale = n / effective
    low = None if low_rank is None else response.at_rank(max(1, math.floor(low_rank * scale)))
    high = None if high_rank is None else response.at_rank(min(n, math.ceil(high_rank * scale)))
    result = _compare(low, high, limit)
    needed = None
    if result is Result.INCONCLUSIVE:
        needed = _needed(response.above(limit) / n, 1 - fraction, fail_risk, widen)
    return Check(stage.name, name, value, low, high, limit, n, widen, result, needed)


def _errors(stage: Stage, found: StageMeasurement, limit: float, fail_risk: float) -> Check:
    n = found.count
    if not n:
        return Check(stage.name, "errors", None, None, None, limit, 0, 1.0, Result.INCONCLUSIVE)
    seconds = [found.seconds[second] for second in _whole_seconds(stage, found)]
    widen = inflation([s.errors for s in seconds], [s.count for s in seconds])
    low, high = wilson(found.errors / widen, n / widen, fail_risk, LOOK_RISK)
    result = _compare(low, high, limit)
    rate = found.errors / n
    needed = None
    if result is Result.INCONCLUSIVE:
        needed = _needed(rate, limit, fail_risk, widen)
    return Check(stage.name, "errors", rate, low, high, limit, n, widen, result, needed)


def _needed(share: float, allowed: float, fail_risk: float, widen: float) -> int | None:
    """Requests that decide it, dependence allowed for."""
    least = deciding(share, allowed, fail_risk, LOOK_RISK)
    if least is None:
        return None
    # An interval of order statistics has no upper end at all with fewer.
    return math.ceil(max(least, fewest(1 - allowed, LOOK_RISK)) * widen)


def _whole_seconds(stage: Stage, found: StageMeasurement) -> list[int]:
    """Seconds that lie within the stage as a whole: a batch cut short is no batch."""
    return [second for second in sorted(found.seconds) if second + 1 <= stage.duration]


def _compare(low: float | None, high: float | None, limit: float) -> Result:
    if high is not None and high < limit:
        return Result.PASS
    if low is not None and low > limit:
        return Result.FAIL
    return Result.INCONCLUSIVE


def _sentence(check: Check) -> str:
    if check.value is None:
        return f"{check.stage}: no request was answered, so {check.name} is unknown"
    show = _percent if check.name == "errors" else _ms
    low = "?" if check.low is None else show(check.low)
    high = "?" if check.high is None else show(check.high)
    word = "is over" if check.result is Result.FAIL else "may be on either side of"
    limit = f"{show(check.limit)} promised"
    if check.name == "errors":
        limit = f"release limit, {show(check.limit)} (slo.error_rate)"
    return f"{check.stage}: {check.name} {show(check.value)} ({low} to {high}) {word} the {limit}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms" if seconds < 0.1 else f"{seconds * 1000:,.0f} ms"


def _percent(fraction: float) -> str:
    return f"{fraction * 100:.2f} %"
