"""Seeded traffic of both arms, with the ways in which real errors are not independent.

Each request fails, or is slow by each threshold, with the rate of its arm; what a trace adds to
that is in its name. All randomness comes from the generator that is given.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from backendctl.rollout.verdict import ArmBlock, Block

Rates = Mapping[str, float]
GOOD: Rates = {"errors": 0.005, "slo_p95": 0.02, "slo_p99": 0.004, "stable_p99": 0.01}
FLAWLESS: Rates = {"errors": 0.0, "slo_p95": 0.0, "slo_p99": 0.0, "stable_p99": 0.01}


@dataclass(frozen=True)
class Trace:
    """What the two arms do."""

    name: str
    stable: Rates = field(default_factory=lambda: GOOD)
    candidate: Rates = field(default_factory=lambda: GOOD)
    cluster: str = "none"
    """none | sticky (each cluster of errors hits one arm) | geometric (of mean size)."""
    cluster_size: float = 1.0
    pod_outages: float = 0.0
    """Outages of 30 s per pod-hour, of one of ten pods, each of its requests failing."""
    common_outages: float = 0.0
    """Outages of 30 s per hour in which half of all requests of both arms fail."""
    warm_up: float = 1.0
    """Multiple of the candidate's rates in the first 30 s after each rise of its weight."""

    onset: float = 0.0
    """Seconds into each step before which the candidate does as well as stable."""

    @property
    def good(self) -> bool:
        return all(self.candidate[name] <= self.stable[name] for name in self.stable)


def worse(name: str, **multiples: float) -> Trace:
    """A candidate with multiples of the good rates."""
    rates = {**GOOD, **{key: GOOD[key] * value for key, value in multiples.items()}}
    return Trace(name, candidate=rates)


GOOD_TRACES = (
    Trace("zero errors", stable=FLAWLESS, candidate=FLAWLESS),
    Trace("0.5 % errors"),
    Trace("p99 at 0.9 of 1 %", {**GOOD, "slo_p99": 0.009}, {**GOOD, "slo_p99": 0.009}),
    Trace("sticky clusters x5", cluster="sticky", cluster_size=5.0),
    Trace("geometric clusters, mean 20", cluster="geometric", cluster_size=20.0),
    Trace("one pod out 30 s", pod_outages=1.0),
    Trace("common outage 30 s", common_outages=1.0),
    Trace("warm-up x20 for 30 s", warm_up=20.0),
    Trace("both arms 2 %", {**GOOD, "errors": 0.02}, {**GOOD, "errors": 0.02}),
)
BAD_TRACES = (
    worse("errors 2x", errors=2.0),
    worse("errors 3x", errors=3.0),
    worse("errors 10x", errors=10.0),
    Trace("every request fails", candidate={**GOOD, "errors": 1.0}),
    replace(worse("errors 10x after 60 s", errors=10.0), onset=60.0),
    Trace("every request fails after 60 s", candidate={**GOOD, "errors": 1.0}, onset=60.0),
    worse("all latencies doubled", slo_p95=4.0, slo_p99=6.0, stable_p99=6.0),
    worse("slow path, 2x beyond stable's p99", stable_p99=2.0),
)


SHORT_TRACES = (
    Trace("zero errors", stable=FLAWLESS, candidate=FLAWLESS),
    Trace("0.5 % errors"),
    Trace("10 % errors", FLAWLESS, {**FLAWLESS, "errors": 0.1}),
    Trace("30 % slower than p99", FLAWLESS, {k: 0.3 if k != "errors" else 0.0 for k in FLAWLESS}),
    Trace("every request fails", FLAWLESS, {**FLAWLESS, "errors": 1.0}),
)


class Traffic:
    """Makes blocks of a trace, one after the other."""

    def __init__(self, trace: Trace, rps: float, seed: int, pods: int = 10) -> None:
        self.trace, self.rps, self.pods = trace, rps, pods
        self.random = np.random.default_rng(seed)
        self.pod_out: tuple[float, bool] = (-1.0, False)
        self.common_out = -1.0

    def block(self, start: float, seconds: float, share: float, since_shift: float) -> Block:
        """One block in which the candidate gets `share` of the requests."""
        requests = int(self.random.poisson(self.rps * seconds))
        nc = int(self.random.binomial(requests, share))
        ns = requests - nc
        candidate = self.trace.candidate
        if self.trace.warm_up > 1.0 and since_shift < 30.0:
            candidate = {k: min(0.9, v * self.trace.warm_up) for k, v in candidate.items()}
        if since_shift < self.trace.onset:
            candidate = self.trace.stable
        ec, es = self._errors(nc, ns, candidate["errors"], self.trace.stable["errors"])
        ec, es = self._outages(start, seconds, share, nc, ns, ec, es)
        return Block(
            start,
            start + seconds,
            self._arm(nc, ec, candidate),
            self._arm(ns, es, self.trace.stable),
        )

    def _arm(self, requests: int, errors: int, rates: Rates) -> ArmBlock:
        slow = {
            name: int(self.random.binomial(requests, rate))
            for name, rate in rates.items()
            if name != "errors"
        }
        return ArmBlock(requests, min(errors, requests), slow)

    def _errors(self, nc: int, ns: int, pc: float, ps: float) -> tuple[int, int]:
        if self.trace.cluster == "none":
            return int(self.random.binomial(nc, pc)), int(self.random.binomial(ns, ps))
        size = self.trace.cluster_size
        sizes = []
        for n, p in ((nc, pc), (ns, ps)):
            clusters = int(self.random.poisson(n * p / size))
            if self.trace.cluster == "sticky":
                sizes.append(int(clusters * size))
            else:
                sizes.append(int(self.random.geometric(1.0 / size, clusters).sum()))
        return sizes[0], sizes[1]

    def _outages(
        self, start: float, seconds: float, share: float, nc: int, ns: int, ec: int, es: int
    ) -> tuple[int, int]:
        """With 10 pods, shared out between the arms by weight but at least one each."""
        trace = self.trace
        if trace.pod_outages:
            mine = max(1, round(self.pods * share)) if share > 0.0 else 0
            theirs = max(1, self.pods - mine)
            if self.random.random() < (mine + theirs) * trace.pod_outages * seconds / 3600.0:
                self.pod_out = (start + 30.0, bool(self.random.random() < mine / (mine + theirs)))
            if start < self.pod_out[0]:
                if self.pod_out[1]:
                    ec += int(self.random.binomial(nc - ec, 1.0 / mine))
                else:
                    es += int(self.random.binomial(ns - es, 1.0 / theirs))
        if trace.common_outages:
            if self.random.random() < trace.common_outages * seconds / 3600.0:
                self.common_out = start + 30.0
            if start < self.common_out:
                ec += int(self.random.binomial(max(0, nc - ec), 0.5))
                es += int(self.random.binomial(max(0, ns - es), 0.5))
        return ec, es


def history(trace: Trace, rps: float, seed: int, minutes: float = 30.0) -> list[Block]:
    """What stable did before the rollout, without any candidate, in blocks of 10 s."""
    traffic = Traffic(replace(trace, candidate=trace.stable, warm_up=1.0), rps, seed)
    blocks = [traffic.block(10.0 * i, 10.0, 0.0, 1e9) for i in range(int(minutes * 6))]
    return [Block(b.start, b.end, None, b.stable) for b in blocks]
