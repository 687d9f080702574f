"""Flagger 1.44.0 (commit 15bd6ad5), as its documentation states.

Schedule: docs/gitbook/usage/how-it-works.md, "Canary resource": interval 1m, stepWeight 5,
maxWeight 50, threshold 10. Checks: docs/gitbook/usage/metrics.md, "Builtin metrics":
request-success-rate at least 99 and request-duration (p99) at most 500 ms, each over 1m; here the
SLO's limits of errors and p99 stand for these two numbers. "Canary analysis" there: "On each run,
Flagger calls the webhooks, checks the metrics and if the failed checks threshold is reached, stops
the analysis and rolls back the canary." `threshold` is 1 when left out
(pkg/apis/flagger/v1beta1/canary.go, GetAnalysisThreshold), and rolled back is at the run after the
one that reaches it (pkg/controller/scheduler.go). A metric without values fails its check
(pkg/controller/scheduler_metrics.go).
"""

from dataclasses import dataclass

from backendctl.rollout.verdict import Block, Limits
from bench.verdict.engines.base import (
    COMMON,
    COMMON_LOOK,
    COMMON_SECONDS,
    COMMON_WEIGHT,
    Ending,
    Setting,
)

INTERVAL, STEP, HIGHEST = 60.0, 0.05, 0.50
P99_SLOW = 0.01


class FlaggerRollout:
    def __init__(self, limits: Limits, schedule: str, threshold: int) -> None:
        self.limits, self.threshold, self.common = limits, threshold, schedule == COMMON
        self.weight = COMMON_WEIGHT if self.common else STEP
        self.look = 20.0
        self.failed = 0
        self.requests = self.errors = self.slow = 0
        self.seconds = self.passed = 0.0

    def see(self, block: Block) -> Ending | None:
        if block.candidate is not None:
            self.requests += block.candidate.requests
            self.errors += block.candidate.errors
            self.slow += block.candidate.slow["slo_p99"]
        self.seconds += block.seconds
        self.passed += block.seconds
        if self.seconds < (COMMON_LOOK if self.common else INTERVAL):
            return None
        good = self._check()
        self.requests = self.errors = self.slow = 0
        self.seconds = 0.0
        if self.failed >= self.threshold:
            return Ending.ROLLED_BACK
        if not good:
            self.failed += 1
            if self.common and self.passed >= COMMON_SECONDS:
                return Ending.ROLLED_BACK if self.failed >= self.threshold else Ending.PROMOTED
            return None
        if self.common:
            return Ending.PROMOTED if self.passed >= COMMON_SECONDS else None
        if self.weight >= HIGHEST - 1e-9:
            return Ending.PROMOTED
        self.weight += STEP
        return None

    def _check(self) -> bool:
        return (
            self.requests > 0
            and self.errors <= self.limits.error_rate * self.requests
            and self.slow <= P99_SLOW * self.requests
        )


@dataclass(frozen=True)
class Flagger:
    schedule: str
    threshold: int

    @property
    def name(self) -> str:
        return f"Flagger, threshold {self.threshold}"

    def begin(self, setting: Setting) -> FlaggerRollout:
        return FlaggerRollout(setting.limits, self.schedule, self.threshold)
