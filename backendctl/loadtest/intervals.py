"""Confidence intervals for percentiles and error rates, without assuming a distribution.

Percentiles: order statistics (for example David & Nagaraja, Order Statistics, 7.1): the number of
n independent values below the true p-quantile is Binomial(n, p), so two ranks enclose it.
Rates: Wilson's score interval (Wilson 1927).

Requests of a loaded service are not independent: a stall slows its neighbours too. Both intervals
are therefore computed for an effective number of requests n / inflation, where `inflation` is how
much more the counts of successive batches vary than independent requests would.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

RISK = 0.025
"""The chance that a verdict passes a service that breaks a promise, or fails one that keeps all."""
LOOK_RISK = 0.0147
"""The chance that one end of one interval lies on the wrong side of the truth. A hold may go on
once when it has decided nothing, so there are up to two looks at the same requests; this level at
each keeps both together under RISK (two looks: Pocock 1977, table 1, 0.0294 two-sided)."""
LEAST_BATCHES = 8
"""Fewer batches than this say too little about the variance between them."""


def ranks(n: int, p: float, below: float, above: float) -> tuple[int | None, int | None]:
    """Ranks (1-based) of n sorted values that enclose the p-quantile.

    P(quantile < value at the lower rank) <= `below`; P(quantile > value at the upper rank) <=
    `above`. None where n is too small for such a rank to exist.
    """
    if n < 1:
        return None, None
    lower = _largest_rank(n, p, below)
    mirrored = _largest_rank(n, 1 - p, above)
    return lower, None if mirrored is None else n + 1 - mirrored


def _largest_rank(n: int, p: float, risk: float) -> int | None:
    """The largest r with P(Binomial(n, p) < r) <= risk, if that is at least 1."""
    log_odds = math.log(p) - math.log1p(-p)
    # Nothing below 40 standard deviations matters to a double: start there, not at 0.
    start = max(0, math.floor(n * p - 40 * math.sqrt(n * p * (1 - p)) - 40))
    log_term = (
        math.lgamma(n + 1)
        - math.lgamma(start + 1)
        - math.lgamma(n - start + 1)
        + start * math.log(p)
        + (n - start) * math.log1p(-p)
    )
    cumulative = 0.0
    for k in range(start, n + 1):
        cumulative += math.exp(log_term)
        if cumulative > risk:
            return k if k >= 1 else None
        if k < n:
            log_term += math.log(n - k) - math.log(k + 1) + log_odds
    return n


def fewest(p: float, risk: float) -> int:
    """Requests needed before the p-quantile has an upper end at all: n with p^n <= risk."""
    return math.ceil(math.log(risk) / math.log(p))


def wilson(hits: float, n: float, below: float, above: float) -> tuple[float, float]:
    """Wilson's interval for hits / n, with its own risk at each end."""
    if n <= 0:
        return 0.0, 1.0
    return _wilson_end(hits, n, below, -1), _wilson_end(hits, n, above, +1)


def _wilson_end(hits: float, n: float, risk: float, sign: int) -> float:
    z = NormalDist().inv_cdf(1 - risk)
    rate = hits / n
    centre = rate + z * z / (2 * n)
    margin = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    end = (centre + sign * margin) / (1 + z * z / n)
    if (sign < 0 and hits == 0) or (sign > 0 and hits == n):
        return rate
    return min(1.0, max(0.0, end))


def deciding(share: float, allowed: float, below: float, above: float) -> float | None:
    """Independent requests of which a share `share` decides whether it is under `allowed`.

    Wilson's interval is the score test turned round: it leaves `allowed` out as soon as
    |share - allowed| > z sqrt(allowed (1 - allowed) / n), so n = z^2 allowed (1 - allowed) /
    (share - allowed)^2. The same holds for a percentile's interval, with the share of requests
    slower than promised: a p-quantile is under a limit exactly when fewer than 1 - p are over it.
    z belongs to `above` where the share is under what is allowed, else to `below`. None where the
    two are equal: then no number decides.
    """
    if share == allowed:
        return None
    z = NormalDist().inv_cdf(1 - (above if share < allowed else below))
    return z * z * allowed * (1 - allowed) / (share - allowed) ** 2


def inflation(hits: Sequence[int], sizes: Sequence[int]) -> float:
    """How many times the variance of independent requests the counts of batches show; >= 1.

    `hits[i]` of the `sizes[i]` requests of second i did what is counted (were slow, failed).
    Batches of 1, 2, 4 ... seconds are tried while at least LEAST_BATCHES of them remain, because
    dependence that lasts longer than a batch does not show in it; the largest result is taken.
    """
    worst = 1.0
    width = 1
    while len(sizes) // width >= LEAST_BATCHES:
        batches = len(sizes) // width
        k = [sum(hits[i * width : (i + 1) * width]) for i in range(batches)]
        n = [sum(sizes[i * width : (i + 1) * width]) for i in range(batches)]
        worst = max(worst, _dispersion(k, n))
        width *= 2
    return worst


def _dispersion(k: Sequence[int], n: Sequence[int]) -> float:
    """Pearson's chi-square of equal rates, over its degrees of freedom."""
    used = [(a, b) for a, b in zip(k, n, strict=True) if b > 0]
    total = sum(b for _, b in used)
    rate = sum(a for a, _ in used) / total if total else 0.0
    if len(used) < LEAST_BATCHES or rate in (0.0, 1.0):
        return 1.0
    chi = sum((a - b * rate) ** 2 / (b * rate * (1 - rate)) for a, b in used)
    return chi / (len(used) - 1)
