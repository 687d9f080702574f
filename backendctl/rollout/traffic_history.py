"""What stable did before a rollout, and how much traffic there is now. Pure.

The reference. Stable is compared with what it did lately, not with its whole life: one long
overload must not make a service unfit for comparison for ever. Of the recorded spans of the
present stable release the newest are taken, back to

    the first moment at which there are at least `SHORTEST` seconds and `ENOUGH / L` requests,
    at most `LONGEST` seconds ago,

where L is the limit of errors. `SHORTEST` gives the dispersion sixty windows of 60 s, so that what
chance makes of them is known to 1 + 2 sqrt(2/60) = 1.4 (`verdict/history.py`). `ENOUGH`: a
certificate asks for no less than L/10, or ten times stable's rate, so stable's rate need not be
known below L/100; and without any event n requests bound it by 3/n (the rule of three).
`LONGEST` keeps to the same part of the day.

Where less than that was recorded, all of it is taken, if it is at least `LEAST` requests; otherwise
(the watchdog has just been started, or there is none) the gateway's own counters are, which go
back to the start of the gateway or of the release.

The present traffic. Two seconds of looking say little at low traffic, the newest minute on record
says more, but it is too old where somebody has just begun to send requests. So the minute is taken
unless the look contradicts it: with m requests in t seconds on record and k in s seconds of
looking, the look is taken when k lies more than 2 sqrt(mu) + 1/2 outside (m ... m + 3) s / t, the
three again standing for what a minute without requests does not rule out. A false alarm costs no
more than the precision that was there before.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from backendctl.platforms.base import ArmSample, Latencies, Span
from backendctl.rollout.observe import own_p99
from backendctl.rollout.verdict import ArmBlock, Block, Reference, reference_from
from backendctl.rollout.verdict.parameters import ERRORS
from backendctl.rollout.verdict.words import count, duration

LONGEST = 6 * 3600.0
SHORTEST = 3600.0
"""Seconds."""
ENOUGH = 300.0
LEAST = 1000
FRESH = 30.0
"""Seconds since the newest span by which it still tells of the present."""
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Past:
    """Stable's own behaviour, and where it is known from."""

    said: str
    """For a person: "its last 62 min on record (21,300 requests)"."""
    latencies: Latencies
    blocks: tuple[Span, ...]
    """Empty where only sums are known."""
    requests: int
    errors: int

    @property
    def own_p99(self) -> float | None:
        """Seconds that 99 of 100 requests did not exceed; None if that is not known well."""
        return own_p99(self.latencies)

    def reference(self, thresholds: Mapping[str, float]) -> Reference | None:
        """By the verdict's names of metrics; with its dispersion where there are spans."""
        if self.blocks:
            return reference_from([_block(span, thresholds) for span in self.blocks])
        slow = _slow(self.latencies, thresholds)
        return Reference(self.requests, {ERRORS: self.errors, **slow})


def past_of(
    spans: Sequence[Span], arm: ArmSample | None, stable: int, now: float, limit: float
) -> Past | None:
    """The past to compare with, of what is on record and of the gateway's counters; None where
    neither says anything. `limit` is that of errors."""
    recent = reference_spans(spans, stable, now, limit)
    requests = sum(span.requests for span in recent)
    if requests >= LEAST:
        seconds = math.fsum(span.end - span.start for span in recent)
        return Past(
            f"its last {duration(seconds)} on record ({count(requests)} requests)",
            _sum([span.latencies for span in recent]),
            tuple(recent),
            requests,
            sum(span.errors for span in recent),
        )
    if arm is None or arm.requests == 0:
        return None
    return Past(
        f"all that the gateway has counted of it ({count(arm.requests)} requests; "
        "too little is on record of the last hours)",
        arm.latencies,
        (),
        arm.requests,
        arm.errors + arm.masked,
    )


def reference_spans(spans: Sequence[Span], stable: int, now: float, limit: float) -> Sequence[Span]:
    """The spans that the reference is made of, oldest first; see above."""
    own = sorted(
        (s for s in spans if s.number == stable and now - LONGEST <= s.start < s.end <= now),
        key=lambda span: span.start,
    )
    seconds, requests = 0.0, 0
    for place in range(len(own) - 1, -1, -1):
        seconds += own[place].end - own[place].start
        requests += own[place].requests
        if seconds >= SHORTEST and requests >= ENOUGH / limit:
            return own[place:]
    return own


def present_rate(
    spans: Sequence[Span], stable: int, now: float, seen: int, seconds: float
) -> float:
    """Requests per second that stable gets now, having `seen` so many in so many `seconds`."""
    look = seen / seconds
    own = [s for s in spans if s.number == stable and now - FRESH - MINUTE <= s.start < s.end]
    newest = max((s.end for s in own), default=0.0)
    own = [s for s in own if s.end > newest - MINUTE]
    known = math.fsum(s.end - s.start for s in own)
    if not own or abs(now - newest) > FRESH or known < MINUTE / 2:
        return look
    requests = sum(s.requests for s in own)
    low, high = requests * seconds / known, (requests + 3) * seconds / known
    if not low - _slack(low) <= seen <= high + _slack(high):
        return look
    return requests / known


def _slack(mean: float) -> float:
    return 2.0 * math.sqrt(mean) + 0.5


def _block(span: Span, thresholds: Mapping[str, float]) -> Block:
    # A histogram may be flushed a moment after its counters: never more slow ones than requests.
    slow = {
        name: min(events, span.requests)
        for name, events in _slow(span.latencies, thresholds).items()
    }
    return Block(span.start, span.end, None, ArmBlock(span.requests, span.errors, slow))


def _slow(latencies: Latencies, thresholds: Mapping[str, float]) -> dict[str, int]:
    return {name: latencies.slower_than(s * 1000.0) for name, s in thresholds.items()}


def _sum(parts: Sequence[Latencies]) -> Latencies:
    """All at the same edges, as the meter promises of one history."""
    if any(a.edges_ms != b.edges_ms for a, b in pairwise(parts)):
        raise ValueError("latencies at different edges cannot be added")
    at_most = tuple(map(sum, zip(*(part.at_most for part in parts), strict=True)))
    return Latencies(parts[0].edges_ms, at_most, sum(part.total for part in parts))
