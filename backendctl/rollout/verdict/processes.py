"""Log-space building blocks of the tests: gains of a block, mixtures, divergences, bounds.

Relative test. Given E events (errors, slow requests) in a block of which Ec came from the
candidate, and the candidate's realised share w of the requests, an event is the candidate's with
probability theta(rho) = rho w / (rho w + 1 - w), where rho is the ratio of the arms' rates. The
gain of rho against rho0 is

    Ec log(theta(rho) / theta(rho0)) + Es log((1 - theta(rho)) / (1 - theta(rho0)))
      = Ec log(rho / rho0) - (Ec + Es) log((1 + (rho - 1) w) / (1 + (rho0 - 1) w))

(Lindon & Malek 2022, arXiv:2205.14762). It is a supermartingale for Bernoulli events of any rate,
not only rare ones: with a = log of the first ratio and b of the second,
E exp(a Ec + b Es) = (1 + pc (e^a - 1))^Nc (1 + ps (e^b - 1))^Ns
                  <= exp(Nc pc (e^a - 1) + Ns ps (e^b - 1)),
whose exponent is 0 at pc = rho0 ps and falls when pc moves away from the alternative.

Absolute test. The gain of rate q against the limit L is Ec log(q/L) + (Nc - Ec) log((1-q)/(1-L)),
a supermartingale for every pc on the null side of L.

By Ville's inequality an average of such processes, each starting at 1, ever reaches 1/alpha with
probability at most alpha, however often one looks.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

NEVER = -1e15
"""Stands for log 0: finite, so that it survives JSON and sums, and beyond any real evidence."""


Logs = tuple[float, ...]
"""log E for each point of a grid."""


def log(x: float) -> float:
    """Natural logarithm with a finite value at 0."""
    return math.log(x) if x > 0.0 else NEVER


def theta(ratio: float, share: float) -> float:
    """Probability that an event is the candidate's, at this ratio and share of requests."""
    return ratio * share / (ratio * share + 1.0 - share)


def relative_gains(
    candidate: int, stable: int, share: float, ratios: Sequence[float], null: float
) -> tuple[float, ...]:
    """Log gains of a block for each ratio against the ratio `null`; zeros if one arm is idle."""
    total = candidate + stable
    if not total or not 0.0 < share < 1.0:
        return (0.0,) * len(ratios)
    base = math.log1p((null - 1.0) * share)
    return tuple(
        [
            candidate * step - total * (math.log1p((ratio - 1.0) * share) - base)
            for ratio, step in _relative_steps(tuple(ratios), null)
        ]
    )


@lru_cache(maxsize=256)
def _relative_steps(ratios: tuple[float, ...], null: float) -> tuple[tuple[float, float], ...]:
    """Each ratio with what an event of the candidate's adds: the grids are few, blocks are many."""
    return tuple((ratio, math.log(ratio / null)) for ratio in ratios)


def absolute_gains(
    events: int, requests: int, rates: Sequence[float], limit: float
) -> tuple[float, ...]:
    """Log gains of a block for each rate against the rate `limit`."""
    good = requests - events
    return tuple([events * hit + good * miss for hit, miss in _absolute_steps(tuple(rates), limit)])


@lru_cache(maxsize=256)
def _absolute_steps(rates: tuple[float, ...], limit: float) -> tuple[tuple[float, float], ...]:
    """What a request with and one without an event add, for each rate."""
    keep = math.log1p(-limit)
    return tuple((log(rate) - math.log(limit), math.log1p(-rate) - keep) for rate in rates)


def log_sum_exp(logs: Sequence[float]) -> float:
    """log of the sum of exponentials; `NEVER` of nothing."""
    top = max(logs, default=NEVER)
    if top <= NEVER:
        return NEVER
    return top + math.log(math.fsum([math.exp(x - top) for x in logs]))


def log_mean_exp(logs: Sequence[float]) -> float:
    """log of the mean of exponentials: the mixture over a grid with equal weights."""
    return _log_mean_exp(tuple(logs))


@lru_cache(maxsize=8192)
def _log_mean_exp(logs: Logs) -> float:
    """Most processes are the same as a block ago, or the same with and without the speed limit."""
    return max(NEVER, log_sum_exp(logs) - math.log(len(logs)))


def exp(x: float) -> float:
    """Exponential that stays finite, for display and JSON."""
    return math.exp(min(x, 700.0))


def kl(p: float, q: float) -> float:
    """Divergence of Bernoulli(p) from Bernoulli(q), in nats: what one trial tells."""
    left = p * math.log(p / q) if p > 0.0 else 0.0
    right = (1.0 - p) * math.log((1.0 - p) / (1.0 - q)) if p < 1.0 else 0.0
    return left + right


def rate_upper(events: float, requests: float, confidence: float) -> float:
    """Upper confidence bound on a rate: n kl(events/n, u) = log(1/(1-confidence)) (Chernoff).

    With no event it is 1 - (1-confidence)^(1/n), the rule of three; with no request it is 1.
    """
    return _bound(events, requests, confidence, 1.0)


def rate_lower(events: float, requests: float, confidence: float) -> float:
    """Lower confidence bound on a rate, the mirror of `rate_upper`; 0 with no request."""
    return _bound(events, requests, confidence, 0.0)


@lru_cache(maxsize=256)
def _bound(events: float, requests: float, confidence: float, far: float) -> float:
    if requests <= 0:
        return far
    near = min(1.0, max(0.0, events / requests))
    information = -math.log1p(-confidence) / requests
    for _ in range(60):
        middle = (near + far) / 2.0
        if middle in (near, far):
            break
        if kl(events / requests, middle) < information:
            near = middle
        else:
            far = middle
    return far
