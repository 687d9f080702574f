"""When requests are meant to be sent: a Poisson process whose count is exact.

A Poisson process on an interval, given that it has n arrivals, is n independent draws from its
intensity, sorted. Fixing n to rate x duration makes the offered rate exact while the gaps stay
those of independent users; and because any fixed split of independent draws is again independent
draws, workers need not know of each other.
"""

import math
import random
from collections.abc import Iterator


def arrivals(
    duration: float, count: int, from_rate: float, to_rate: float, rng: random.Random
) -> Iterator[float]:
    """`count` times in [0, duration), rising, with the rate going evenly from one to the other.

    Only the ratio of the rates matters. Made one by one, so that a long stage costs no memory
    and no pause: the least of m uniform draws from (u, 1) is u + (1-u)(1 - V^(1/m)).
    """
    u = 0.0
    for remaining in range(count, 0, -1):
        u += (1.0 - u) * (1.0 - rng.random() ** (1.0 / remaining))
        yield duration * _share_to_time(min(u, 1.0 - 1e-12), from_rate, to_rate)


def _share_to_time(u: float, from_rate: float, to_rate: float) -> float:
    """Where in the stage (0..1) a share u of its arrivals has been: inverts the integrated rate."""
    if from_rate == to_rate:
        return u
    # a t + (b - a) t^2 / 2 = u (a + b) / 2, in the form that does not cancel when a is near b
    a, b = from_rate, to_rate
    return u * (a + b) / (a + math.sqrt(a * a + u * (b * b - a * a)))


def share(count: int, workers: int, index: int) -> int:
    """How many of `count` arrivals worker `index` of `workers` sends; all shares sum to count."""
    return count // workers + (1 if index < count % workers else 0)
