"""Latency counts in 3-significant-digit buckets, merged exactly.

The bucket layout is that of an HDR histogram: whole microseconds up to 2,048, then 1,024 buckets
for every doubling, so a bucket is at most 1/1024 of its value wide. A value read back is the upper
end of its bucket: never below what was recorded, and above it by less than 0.1 % or 1 us. Only
buckets in use are kept, which makes a second of traffic a few kilobytes.
(`hdrhistogram` from PyPI was measured first; see docs/decisions.)
"""

from collections.abc import Iterable, Iterator
from typing import Self

HIGHEST = 3600.0
"""Seconds; anything longer is counted as this."""
RELATIVE_ERROR = 1 / 1024
_MICROSECONDS = 1_000_000
_MOST = int(HIGHEST * _MICROSECONDS)
_BITS = 10
"""2^10 buckets for every doubling."""


class Histogram:
    """Counts of durations, given and read in seconds."""

    __slots__ = ("_counts", "count")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        """How many durations were counted."""

    def record(self, seconds: float) -> None:
        """Count one duration; below 1 us counts as 1 us."""
        value = min(max(1, int(seconds * _MICROSECONDS + 0.5)), _MOST)
        shift = value.bit_length() - _BITS - 1
        bucket = value if shift <= 0 else (shift << _BITS) + (value >> shift)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.count += 1

    def merge(self, other: Self) -> None:
        """Add the other's counts; nothing is rounded."""
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.count += other.count

    def at_rank(self, rank: int) -> float:
        """The `rank`-th smallest duration (1 = smallest), in seconds, within 0.1 %."""
        if not 1 <= rank <= self.count:
            raise ValueError(f"rank {rank} is not within 1..{self.count}")
        for bucket in sorted(self._counts):
            rank -= self._counts[bucket]
            if rank <= 0:
                return _upper_end(bucket)
        raise AssertionError("the counts do not sum to their total")

    def quantile(self, fraction: float) -> float:
        """The smallest recorded duration that at least `fraction` of all do not exceed."""
        if not self.count:
            raise ValueError("an empty histogram has no quantiles")
        # ceil, with room for the last bit of a product such as 0.95 * 100
        return self.at_rank(max(1, -int(-(self.count * fraction - 1e-9) // 1)))

    def buckets(self) -> Iterator[tuple[float, int]]:
        """Seconds (the bucket's upper end) and count of every bucket in use, rising."""
        for bucket in sorted(self._counts):
            yield _upper_end(bucket), self._counts[bucket]

    def above(self, seconds: float) -> int:
        """How many durations lie in buckets beyond the one that `seconds` is in."""
        return sum(n for bucket, n in self._counts.items() if _upper_end(bucket) > seconds)

    def to_data(self) -> list[int]:
        """Bucket, count, bucket, count ... as plain values."""
        return [number for pair in sorted(self._counts.items()) for number in pair]

    @classmethod
    def from_data(cls, data: Iterable[int]) -> Self:
        """The histogram that `to_data` gave."""
        made = cls()
        numbers = iter(data)
        made._counts = dict(zip(numbers, numbers, strict=True))
        made.count = sum(made._counts.values())
        return made


def _upper_end(bucket: int) -> float:
    """The largest value of a bucket, in seconds."""
    shift = max(0, (bucket >> _BITS) - 1)
    within = bucket - (shift << _BITS)
    return float(((within + 1) << shift) - 1) / _MICROSECONDS
