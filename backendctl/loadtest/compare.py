"""Whether two load tests differ by more than noise."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from backendctl.loadtest.results import LoadTestResult
from backendctl.loadtest.verdict import Check, Result


@dataclass(frozen=True, slots=True)
class Difference:
    """One number in both tests."""

    stage: str
    name: str
    """p95 | p99 | errors"""
    before: float | None
    after: float | None
    change: float | None
    """After - before: seconds, or a fraction."""
    low: float | None
    high: float | None
    """The interval of the change; None where a test had too few requests for an end."""
    distinguishable: bool
    """Whether that interval leaves out zero."""

    def to_data(self) -> Mapping[str, Any]:
        return asdict(self)


def compare(before: LoadTestResult, after: LoadTestResult) -> list[Difference]:
    """The change of every promise that both tests looked at.

    The interval adds both tests' own distances to their ends in quadrature (Zou & Donner 2008,
    "MOVER"), which needs no distribution and no access to the requests themselves.
    """
    earlier = {(c.stage, c.name): c for c in before.verdict.checks}
    return [
        _difference(earlier[c.stage, c.name], c)
        for c in after.verdict.checks
        if (c.stage, c.name) in earlier
    ]


def caveats(before: LoadTestResult, after: LoadTestResult) -> list[str]:
    """What makes the comparison of these two doubtful."""
    said = []
    for result in (before, after):
        if result.result is Result.INVALID:
            said.append(f"{result.id} is invalid: its numbers measure the generator")
        if result.interrupted:
            said.append(f"{result.id} was interrupted")
    if not math.isclose(before.profile.offered_rps, after.profile.offered_rps, rel_tol=0.01):
        said.append(
            f"the load differs: {before.profile.offered_rps:,.1f} and "
            f"{after.profile.offered_rps:,.1f} requests/s"
        )
    if before.source != after.source:
        said.append(f"the requests differ: {before.source}; {after.source}")
    return said


def _difference(a: Check, b: Check) -> Difference:
    if a.value is None or b.value is None:
        return Difference(a.stage, a.name, a.value, b.value, None, None, None, False)
    change = b.value - a.value
    low = high = None
    if b.low is not None and a.high is not None:
        low = change - math.hypot(b.value - b.low, a.high - a.value)
    if b.high is not None and a.low is not None:
        high = change + math.hypot(b.high - b.value, a.value - a.low)
    apart = (low is not None and low > 0) or (high is not None and high < 0)
    return Difference(a.stage, a.name, a.value, b.value, change, low, high, apart)
