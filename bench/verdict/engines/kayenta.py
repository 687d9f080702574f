"""Kayenta's NetflixACAJudge-v1.0 (commit a69573be), as documented and with its own defaults.

Schedule: spinnaker.io/docs/guides/user/canary/best-practices: "a canary lifetime of 3 hours, an
interval of 1 hour", at least 50 points per metric, thresholds marginal 75 and pass 95, the canary
compared with a baseline of the same size (here a random sample of stable's requests). Below
marginal after a run the canary fails; the last run must reach pass.
Judge: kayenta-judge/.../NetflixACAJudge.scala: Mann-Whitney at confidence 0.98, tolerance 0.25 of
the Hodges-Lehmann estimate, no outlier removal unless asked for; MannWhitney.scala for the
interval; WeightedSumScorer.scala for the score (a critical metric that is High: 0; half of the
metrics or more without data: 0). docs/canary-config.md: errors are critical, direction increase,
nanStrategy replace; latencies remove. One point a minute: the rate of errors, and, as only counts
over thresholds are simulated, the rates of slow requests in place of latency percentiles.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from backendctl.rollout.verdict import ArmBlock, Block
from bench.verdict.engines.base import COMMON, COMMON_SECONDS, COMMON_WEIGHT, Ending, Setting

Points = NDArray[np.float64]
CONFIDENCE, TOLERANCE, MARGINAL, PASS = 0.98, 0.25, 75.0, 95.0
WEIGHT, LIFETIME, RUNS = 0.1, 3 * 3600.0, 3
LATENCIES = ("slo_p95", "slo_p99", "stable_p99")
QUANTILE = NormalDist().inv_cdf((1.0 - CONFIDENCE) / 2.0)


class KayentaRollout:
    def __init__(self, schedule: str, seed: int) -> None:
        common = schedule == COMMON
        self.weight = COMMON_WEIGHT if common else WEIGHT
        self.look = 10.0 if common else 60.0
        self.lifetime = COMMON_SECONDS if common else LIFETIME
        self.random = np.random.default_rng(seed)
        self.canary: list[dict[str, float]] = []
        self.baseline: list[dict[str, float]] = []
        self.runs = 0

    def see(self, block: Block) -> Ending | None:
        self.canary.append(_point(block.candidate))
        self.baseline.append(_point(self._same_size(block.stable)))
        if block.end < self.lifetime * (self.runs + 1) / RUNS - 1e-6:
            return None
        self.runs += 1
        score = self._score()
        if score < MARGINAL:
            return Ending.ROLLED_BACK
        if self.runs < RUNS:
            return None
        return Ending.PROMOTED if score >= PASS else Ending.ROLLED_BACK

    def _same_size(self, stable: ArmBlock | None) -> ArmBlock | None:
        if stable is None:
            return None
        part = self.weight / (1.0 - self.weight)
        errors = int(self.random.binomial(stable.errors, part))
        good = int(self.random.binomial(stable.requests - stable.errors, part))
        slow = {
            name: min(errors + good, int(self.random.binomial(n, part)))
            for name, n in stable.slow.items()
        }
        return ArmBlock(errors + good, errors, slow)

    def _score(self) -> float:
        canary, baseline = self._series("errors"), self._series("errors", of_canary=False)
        if is_high(np.nan_to_num(canary), np.nan_to_num(baseline)):
            return 0.0
        passed = missing = 0
        for name in LATENCIES:
            canary, baseline = self._series(name), self._series(name, of_canary=False)
            canary, baseline = canary[~np.isnan(canary)], baseline[~np.isnan(baseline)]
            if not len(canary) or not len(baseline):
                missing += 1
            elif not is_high(canary, baseline):
                passed += 1
        if 2 * missing >= len(LATENCIES) + 1:
            return 0.0
        return 50.0 + 50.0 * passed / (len(LATENCIES) - missing)

    def _series(self, name: str, of_canary: bool = True) -> Points:
        points = self.canary if of_canary else self.baseline
        return np.array([point[name] for point in points])


def _point(arm: ArmBlock | None) -> dict[str, float]:
    """Rates; NaN where there is nothing to divide."""
    if arm is None or arm.requests == 0:
        return dict.fromkeys(("errors", *LATENCIES), float("nan"))
    return {
        "errors": arm.errors / arm.requests,
        **{name: arm.slow[name] / arm.requests for name in LATENCIES},
    }


def is_high(canary: Points, baseline: Points) -> bool:
    """Whether the lower end of the interval of the shift exceeds the tolerance."""
    if np.array_equal(np.sort(canary), np.sort(baseline)):
        return False
    if len(np.unique(np.concatenate((canary, baseline)))) == 1:
        return False
    # The lower end is above 0 only if the statistic at no shift is beyond its quantile.
    if _statistic(0.0, canary, baseline) <= -QUANTILE:
        return False
    lower, estimate = (_root(q, canary, baseline) for q in (-QUANTILE, 0.0))
    mean = float(np.mean(baseline))
    ratio_allows = mean == 0.0 or float(np.mean(canary)) / mean >= 1.0
    return lower > TOLERANCE * abs(estimate) and ratio_allows


def _statistic(shift: float, x: Points, y: Points) -> float:
    """Mann-Whitney's z of x - shift against y, with continuity correction and ties."""
    both = np.concatenate((x - shift, y))
    _, inverse, counts = np.unique(both, return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    ranks = (upper - (counts - 1) / 2.0)[inverse]
    m, n = len(x), len(y)
    dz = float(ranks[:m].sum()) - m * (m + 1) / 2.0 - m * n / 2.0
    ties = float((counts.astype(float) ** 3 - counts).sum())
    variance = (m * n / 12.0) * ((m + n + 1) - ties / ((m + n) * (m + n - 1)))
    if variance <= 0.0:
        return 0.0
    return float((dz - 0.5 * np.sign(dz)) / np.sqrt(variance))


def _root(quantile: float, x: Points, y: Points) -> float:
    """The shift at which the statistic, which falls with it, is the quantile; by bisection."""
    low, high = float(x.min() - y.max()), float(x.max() - y.min())
    if _statistic(low, x, y) <= quantile:
        return low
    if _statistic(high, x, y) >= quantile:
        return high
    for _ in range(40):
        middle = (low + high) / 2.0
        if _statistic(middle, x, y) > quantile:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


@dataclass(frozen=True)
class Kayenta:
    schedule: str
    name: str = "Kayenta"

    def begin(self, setting: Setting) -> KayentaRollout:
        return KayentaRollout(self.schedule, setting.seed)
