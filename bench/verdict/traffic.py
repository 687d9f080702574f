"""Seeded traffic of both arms on a virtual clock, block by block."""

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from backendctl.rollout.verdict import ArmBlock, Block, Reference, reference_from
from bench.verdict.traces import Incidents, Rates, Trace, before

PODS = 10
HORIZON = 6 * 3600.0
RETRY_FAILS = 0.8
SPAN = 10.0
"""Seconds of a span on record."""
ENDPOINTS = tuple(f"endpoint {n}" for n in range(20))
BROKEN = 0.02
"""Share of the requests that go to the first endpoint; the others share the rest evenly."""
CLIENTS = 300
BAD_CLIENT = "the bad client"
SLOW = ("slo_p95", "stable_p99", "slo_p99")
SHARES = np.array([BROKEN, *[(1.0 - BROKEN) / (len(ENDPOINTS) - 1)] * (len(ENDPOINTS) - 1)])


@dataclass(frozen=True, slots=True)
class Seen:
    """A block as the engines see it, and what really happened to the candidate's users."""

    block: Block
    requests: int
    errors: int


class Spans:
    """Random spans of time, each with a number in 0..1 that says whom it hits."""

    def __init__(self, random: np.random.Generator, what: Incidents | None, pods: int = 1) -> None:
        starts: list[float] = []
        if what is None:
            pass
        elif what.once:
            starts = [float(random.uniform(30.0, 600.0))]
        elif what.regular:
            period = 3600.0 / what.per_hour
            first = float(random.uniform(0.0, period))
            starts = [first + period * i for i in range(int(HORIZON / period))]
        else:
            count = int(random.poisson(what.per_hour * pods * HORIZON / 3600.0))
            starts = sorted(float(x) for x in random.uniform(0.0, HORIZON, count))
        self.starts = starts
        self.marks = [float(x) for x in random.random(len(starts))]
        self.seconds = what.seconds if what else 0.0

    def within(self, start: float, end: float) -> list[tuple[float, float]]:
        """(share of the time from `start` to `end`, mark) of each span that falls in it."""
        index = bisect_right(self.starts, start - self.seconds)
        found = []
        while index < len(self.starts) and self.starts[index] < end:
            first = self.starts[index]
            overlap = min(end, first + self.seconds) - max(start, first)
            if overlap > 0.0:
                found.append((overlap / (end - start), self.marks[index]))
            index += 1
        return found


class Traffic:
    """Makes the blocks of a trace, one after the other."""

    def __init__(self, trace: Trace, rps: float, seed: int) -> None:
        self.trace, self.rps = trace, rps
        self.random = np.random.default_rng(seed)
        self.pods = Spans(self.random, trace.pods, PODS)
        self.common = Spans(self.random, trace.common)
        self.own = Spans(self.random, trace.own)
        self.client = Spans(self.random, trace.client)
        self.phase = float(self.random.uniform(0.0, 2.0 * math.pi)) if trace.cycle else 0.0

    def block(self, start: float, seconds: float, weight: float, since_shift: float) -> Seen:
        """The block from `start` on, in which the candidate is given `weight` of the requests."""
        trace, end = self.trace, start + seconds
        level = self._level(start + seconds / 2.0)
        share = min(0.99, weight * trace.skew)
        requests = self._poisson(self.rps * seconds * level)
        nc = self._binomial(requests, share)
        ns = requests - nc
        mine = self._candidate(start, weight, since_shift, seconds)
        ec = self._errors(nc, mine["errors"] * level)
        es = self._errors(ns, trace.stable["errors"] * level)
        broken = self._binomial(nc - ec, trace.endpoint)
        ec += broken
        ec, es = self._incidents(start, end, weight, nc, ns, ec, es)
        bad_c, bad_s = self._bad_client(start, end, weight, nc - ec, ns - es)
        ec, es = ec + bad_c, es + bad_s
        if trace.retries:
            nc, ns, ec, es = self._retried(share, nc, ns, ec, es)
        candidate = ArmBlock(
            nc, ec, self._slow(nc, mine), *self._told_apart(ec, broken, bad_c, 0.0, weight)
        )
        stable = ArmBlock(
            ns, es, self._slow(ns, trace.stable), *self._told_apart(es, 0, bad_s, weight, 1.0)
        )
        read = None if trace.silent else self._measured(candidate, seconds)
        return Seen(Block(start, end, read, self._measured(stable, seconds)), nc, ec)

    def _told_apart(
        self, errors: int, broken: int, bad: int, first: float, last: float
    ) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
        """Errors by endpoint, and, where sessions stick, by client and endpoint: the arm has the
        clients whose numbers lie from `first` to `last`. Elsewhere each client reaches both arms
        within seconds, and who failed says nothing."""
        if not errors:
            return {}, {}
        counts = self.random.multinomial(errors - broken, SHARES).tolist()
        counts[0] += broken
        endpoints = {name: n for name, n in zip(ENDPOINTS, counts, strict=True) if n}
        clients: dict[str, dict[str, int]] = {}
        if self.trace.sticky:
            low, high = int(CLIENTS * first), max(1, int(CLIENTS * last))
            for number in self.random.integers(low, high, min(errors - bad, 200)).tolist():
                named = clients.setdefault(f"client {number}", {ENDPOINTS[-1]: 0})
                named[ENDPOINTS[-1]] += 1
            if bad:
                clients[BAD_CLIENT] = {ENDPOINTS[-1]: bad}
        return {"errors": endpoints}, clients

    def _bad_client(
        self, start: float, end: float, weight: float, nc: int, ns: int
    ) -> tuple[int, int]:
        """Its requests in both arms, all failed."""
        trace, hits = self.trace, (0, 0)
        if trace.client is None:
            return hits
        for part, mark in self.client.within(start, end):
            rate = part * trace.client.severity
            if not trace.sticky:
                hits = hits[0] + self._binomial(nc, rate), hits[1] + self._binomial(ns, rate)
            elif mark < weight:
                hits = hits[0] + self._binomial(nc, rate / weight), hits[1]
            else:
                hits = hits[0], hits[1] + self._binomial(ns, rate / (1.0 - weight))
        return min(nc, hits[0]), min(ns, hits[1])

    def _level(self, at: float) -> float:
        if not self.trace.cycle:
            return 1.0
        return 1.0 + self.trace.cycle * math.sin(2.0 * math.pi * at / 3600.0 + self.phase)

    def _candidate(self, start: float, weight: float, since_shift: float, seconds: float) -> Rates:
        trace = self.trace
        if start < trace.onset or weight < trace.onset_share:
            return trace.stable
        surge = trace.surge
        if surge is None:
            return trace.candidate
        if surge.decays:
            # The mean of an exponential decay over the block.
            decay = math.exp(-since_shift / surge.seconds) - math.exp(
                -(since_shift + seconds) / surge.seconds
            )
            multiple = 1.0 + (surge.multiple - 1.0) * decay * surge.seconds / seconds
        else:
            covered = min(1.0, max(0.0, (surge.seconds - since_shift) / seconds))
            multiple = 1.0 + (surge.multiple - 1.0) * covered
        return {
            name: min(0.9, rate * multiple) if name in surge.metrics else rate
            for name, rate in trace.candidate.items()
        }

    def _errors(self, requests: int, rate: float) -> int:
        if self.trace.cluster == "none":
            return self._binomial(requests, rate)
        size = self.trace.cluster_size
        clusters = self._poisson(requests * rate / size)
        if self.trace.cluster == "fixed":
            return min(requests, int(clusters * size))
        if not clusters:
            return 0
        return min(requests, int(self.random.geometric(1.0 / size, clusters).sum()))

    def _incidents(
        self, start: float, end: float, weight: float, nc: int, ns: int, ec: int, es: int
    ) -> tuple[int, int]:
        trace = self.trace
        if trace.pods:
            own = max(1, round(PODS * weight)) if weight > 0.0 else 0
            others = max(1, PODS - own)
            for part, mark in self.pods.within(start, end):
                if mark < own / (own + others):
                    ec += self._binomial(nc - ec, part * trace.pods.severity / own)
                else:
                    es += self._binomial(ns - es, part * trace.pods.severity / others)
        if trace.common:
            for part, _ in self.common.within(start, end):
                ec += self._binomial(nc - ec, part * trace.common.severity)
                es += self._binomial(ns - es, part * trace.common.severity)
        if trace.own:
            for part, _ in self.own.within(start, end):
                ec += self._binomial(nc - ec, part * trace.own.severity)
        return ec, es

    def _retried(
        self, share: float, nc: int, ns: int, ec: int, es: int
    ) -> tuple[int, int, int, int]:
        failed = ec + es
        for _ in range(self.trace.retries):
            again = self._binomial(failed, share)
            others = failed - again
            fc, fs = self._binomial(again, RETRY_FAILS), self._binomial(others, RETRY_FAILS)
            nc, ns, ec, es, failed = nc + again, ns + others, ec + fc, es + fs, fc + fs
        return nc, ns, ec, es

    def _slow(self, requests: int, rates: Rates) -> dict[str, int]:
        counts, left, rate = {}, requests, 1.0
        for name in SLOW:
            left = self._binomial(left, rates[name] / rate if rate else 0.0)
            counts[name], rate = left, rates[name]
        return counts

    def _measured(self, arm: ArmBlock, seconds: float) -> ArmBlock | None:
        """What is read of an arm's counters."""
        trace = self.trace
        if trace.missing and self.random.random() < trace.missing:
            return None
        if trace.resets and self.random.random() < trace.resets * seconds / 3600.0:
            lost = float(self.random.random()) / PODS
            return ArmBlock(
                arm.requests - self._binomial(arm.requests, lost),
                arm.errors - self._binomial(arm.errors, lost),
                {name: n - self._binomial(n, lost) for name, n in arm.slow.items()},
                arm.endpoints,
                arm.clients,
            )
        return arm

    def _poisson(self, mean: float) -> int:
        return int(self.random.poisson(mean))

    def _binomial(self, n: int, p: float) -> int:
        if n <= 0 or p <= 0.0:
            return 0
        return int(self.random.binomial(n, min(1.0, p)))


@lru_cache(maxsize=4)
def history(trace: Trace, rps: float, seed: int) -> Reference | None:
    """What is on record of stable from the time before the rollout, without any candidate: as a
    rollout takes it, an hour, or as much more, up to six, as makes 30,000 requests."""
    seconds = min(6 * 3600.0, max(3600.0, 30_000.0 / rps))
    traffic = Traffic(before(trace), rps, seed)
    blocks = [
        traffic.block(SPAN * i, SPAN, 0.0, math.inf).block for i in range(int(seconds / SPAN))
    ]
    return reference_from([Block(b.start, b.end, None, b.stable) for b in blocks])
