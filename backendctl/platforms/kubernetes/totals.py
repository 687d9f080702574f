"""Counters of several proxies, added up per release. Pure but for what it remembers.

Each proxy counts from its own beginning. What is added is the difference of two readings of the
same series of the same proxy. Where a counter fell, where a proxy went with what it had counted
since the last reading, or came with what nobody saw it count, the truth is not known: the release's
total begins anew, which whoever compares two samples sees as a fall, or, where there was nothing to
fall from, as a release that is missing from one of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from backendctl.platforms.base import ArmSample, Latencies
from backendctl.platforms.kubernetes.gateway_stats import Cluster


@dataclass(frozen=True, slots=True)
class Counts:
    """What is cumulative of one release; a monoid under `+`."""

    requests: int = 0
    errors: int = 0
    refused: int = 0
    timed: int = 0
    edges: tuple[float, ...] = ()
    at_most: tuple[int, ...] = ()

    @classmethod
    def of(cls, cluster: Cluster) -> "Counts":
        edges = tuple(sorted(cluster.at_most))
        return cls(
            cluster.requests,
            cluster.errors,
            cluster["refused"],
            cluster.timed,
            edges,
            tuple(cluster.at_most[edge] for edge in edges),
        )

    def __add__(self, other: "Counts") -> "Counts":
        """At the edges that both have; one without any has counted nothing."""
        edges = self.edges or other.edges
        if self.edges and other.edges and self.edges != other.edges:
            edges = tuple(edge for edge in self.edges if edge in other.edges)
        return Counts(
            self.requests + other.requests,
            self.errors + other.errors,
            self.refused + other.refused,
            self.timed + other.timed,
            edges,
            tuple(self._at(edge) + other._at(edge) for edge in edges),
        )

    def since(self, former: "Counts") -> "Counts | None":
        """The difference; None if any counter fell, or the edges are others."""
        if former.edges and former.edges != self.edges:
            return None
        errors = max(0, self.errors - former.errors)  # read from several counters: may waver
        found = Counts(
            self.requests - former.requests,
            errors,
            self.refused - former.refused,
            self.timed - former.timed,
            self.edges,
            tuple(
                new - former._at(edge) for edge, new in zip(self.edges, self.at_most, strict=True)
            ),
        )
        counters = (found.requests, found.refused, found.timed, *found.at_most)
        return found if min(counters) >= 0 else None

    def at(self, edges: tuple[float, ...]) -> "Counts":
        """With these edges if it has none, because it has timed nothing yet."""
        return self if self.edges else replace(self, edges=edges, at_most=(0,) * len(edges))

    def _at(self, edge: float) -> int:
        return self.at_most[self.edges.index(edge)] if edge in self.edges else 0


NOTHING = Counts()


_Key = tuple[str, int]
"""Proxy and release."""
_Series = tuple[str, Counts]
"""The name that the proxy counts the release under, and its counts."""


class Totals:
    """One running total per release, over all readings it was given."""

    def __init__(self) -> None:
        self._former: dict[_Key, _Series] = {}
        self._proxies: frozenset[str] = frozenset()
        self._totals: dict[int, Counts] = {}

    def add(
        self, replicas: Mapping[str, Mapping[str, Cluster]], releases: Mapping[str, int]
    ) -> Mapping[int, Counts]:
        """The totals after one more reading, of the releases that are in it."""
        now = {
            (replica, releases[name]): (name, Counts.of(cluster))
            for replica, clusters in replicas.items()
            for name, cluster in clusters.items()
            if name in releases
        }
        edges = next((counts.edges for _, counts in now.values() if counts.edges), ())
        now = {key: (name, counts.at(edges)) for key, (name, counts) in now.items()}
        same = frozenset(replicas) == self._proxies
        found = {number: self._total(number, now, same) for number in sorted({n for _, n in now})}
        self._totals = {number: total for number, total in found.items() if total is not None}
        self._former, self._proxies = now, frozenset(replicas)
        return dict(self._totals)

    def _total(self, number: int, now: Mapping[_Key, _Series], same: bool) -> Counts | None:
        """None when it begins anew and had nothing to fall from. `same`: whether these are the
        proxies of the reading before."""
        mine = {key: value for key, value in now.items() if key[1] == number}
        total = self._totals.get(number)
        if total is None:
            return _sum(counts for _, counts in mine.values())
        anew = NOTHING.at(total.edges) if total.requests else None
        if not same or any(key[1] == number and key not in mine for key in self._former):
            return anew
        added = []
        for key, (series, counts) in mine.items():
            before, known = self._former.get(key, (series, NOTHING))
            difference = counts.since(known) if before == series else None
            if difference is None:
                return anew
            added.append(difference)
        return _sum([total, *added])


def _sum(counts: Iterable[Counts]) -> Counts:
    total = NOTHING
    for each in counts:
        total = total + each
    return total


def arm_sample(number: int, counts: Counts, healthy: int) -> ArmSample:
    """As the seam has it. Nothing is masked: no gateway here has a fallback."""
    return ArmSample(
        number=number,
        requests=counts.requests,
        errors=counts.errors,
        masked=0,
        latencies=Latencies(counts.edges, counts.at_most, counts.timed),
        healthy=healthy,
        refused=counts.refused,
    )
