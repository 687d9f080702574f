"""How long requests took, from the bins of Envoy's own histograms. Pure.

Envoy keeps two significant digits of whole milliseconds, finer than the buckets it shows to
Prometheus; asked for details it shows those bins, and any threshold can be told as exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backendctl.platforms.base import Latencies

STANDARD_EDGES_MS = (
    *(1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50, 70, 100, 150, 200, 250, 300, 400, 500, 700),
    *(1000, 1500, 2000, 3000, 5000, 7000, 10000, 15000, 20000, 30000),
)


@dataclass(frozen=True, slots=True)
class Bin:
    """`count` requests that took less than `below_ms`, and not less than the bin before."""

    below_ms: float
    count: int


def bins(stats: Mapping[str, Any]) -> dict[str, tuple[Bin, ...]]:
    """By statistic's name, the bins in an answer of `/stats?histogram_buckets=detailed`.

    Times are whole milliseconds cut down, so one recorded as 7 took less than 8; and bins hold two
    significant digits, so from 100 on one bin is several milliseconds wide.
    """
    return {
        detail["name"]: tuple(
            Bin(each["lower_bound"] + max(each["width"], 1), int(each["count"]))
            for each in detail["totals"]
        )
        for stat in stats["stats"]
        for detail in stat.get("histograms", {}).get("details", ())
    }


def edges(wanted: Sequence[float]) -> tuple[float, ...]:
    """All edges, rising: the standard ones and those wanted, as fine as Envoy can tell them."""
    return tuple(sorted({*map(float, STANDARD_EDGES_MS), *map(resolvable, wanted)}))


def resolvable(edge_ms: float) -> float:
    """The largest edge that Envoy's bins can tell exactly, not above `edge_ms` (at least 1)."""
    whole = int(edge_ms)
    step: int = 10 ** max(0, len(str(whole)) - 2)
    return float(max(1, whole - whole % step))


def latencies(bins: Sequence[Bin], edges_ms: tuple[float, ...]) -> Latencies:
    """Cumulative counts at the edges."""
    at_most = tuple(sum(b.count for b in bins if b.below_ms <= edge) for edge in edges_ms)
    return Latencies(edges_ms, at_most, sum(b.count for b in bins))
