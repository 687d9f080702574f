"""Argo Rollouts (commit 9f8d111d), as its documentation states.

docs/features/analysis.md, "Background Analysis": 20, 40, 60 and 80 % for 10 minutes each; from
40 % on, every 5 minutes, the success rate (`irate` over [5m], so the newest two samples) must be
at least 95 %; "if the metric is measured to be less than 95%, and there are three such
measurements, the analysis is considered Failed"; otherwise the rollout completes. A NaN fails the
condition ("NaN and Infinity"). A query without a result is an error, tried again after 10 s; more
than 4 in a row (consecutiveErrorLimit, pkg/apis/rollouts/v1alpha1/analysis_types.go) end the run.

The documentation's 95 % is an example: with `least` None the SLO's own limit is asked for instead.
"""

import math
from dataclasses import dataclass

from backendctl.rollout.verdict import Block
from bench.verdict.engines.base import (
    COMMON,
    COMMON_LOOK,
    COMMON_SECONDS,
    COMMON_WEIGHT,
    Ending,
    Setting,
)

WEIGHTS, PAUSE, INTERVAL, FIRST = (0.2, 0.4, 0.6, 0.8), 600.0, 300.0, 600.0
FAILURES, ERRORS_IN_A_ROW = 3, 4
SAMPLE, RANGE = 10.0, 300.0
"""Seconds between two scrapes, and how far back the query reaches."""


class ArgoRollout:
    def __init__(self, least: float, schedule: str) -> None:
        self.least, self.common = least, schedule == COMMON
        self.interval = COMMON_LOOK if self.common else INTERVAL
        self.due = self.interval if self.common else FIRST
        self.now = 0.0
        self.failures = self.errors = 0
        self.newest: tuple[float, int, int] | None = None

    @property
    def weight(self) -> float:
        return COMMON_WEIGHT if self.common else WEIGHTS[min(3, int(self.now / PAUSE))]

    @property
    def look(self) -> float:
        """Only the last sample before a measurement is looked at; one block covers the rest."""
        wait = self.due - self.now
        shift = math.inf if self.common else PAUSE - self.now % PAUSE
        return min(shift, wait - SAMPLE if wait > SAMPLE else wait)

    def see(self, block: Block) -> Ending | None:
        self.now = block.end
        if block.candidate is not None:
            self.newest = (block.end, block.candidate.requests, block.candidate.errors)
        if self.now >= self.due - 1e-6:
            ending = self._measure()
            if ending is not None:
                return ending
        whole = COMMON_SECONDS if self.common else PAUSE * len(WEIGHTS)
        return Ending.PROMOTED if self.now >= whole - 1e-6 else None

    def _measure(self) -> Ending | None:
        self.due = self.now + self.interval
        if self.newest is None or self.newest[0] < self.now - RANGE:
            self.errors += 1
            self.due = self.now + 10.0
            return Ending.ROLLED_BACK if self.errors > ERRORS_IN_A_ROW else None
        self.errors = 0
        _, requests, errors = self.newest
        if requests == 0 or 1.0 - errors / requests < self.least:
            self.failures += 1
        return Ending.ROLLED_BACK if self.failures >= FAILURES else None


@dataclass(frozen=True)
class Argo:
    schedule: str
    least: float | None

    @property
    def name(self) -> str:
        return "Argo, SLO's limit" if self.least is None else f"Argo, {100 * self.least:g} %"

    def begin(self, setting: Setting) -> ArgoRollout:
        least = 1.0 - setting.limits.error_rate if self.least is None else self.least
        return ArgoRollout(least, self.schedule)
