"""Counts what each release did, as the gateway saw it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Latencies:
    """Cumulative counts over fixed edges: `at_most[i]` requests took <= `edges_ms[i]`."""

    edges_ms: tuple[float, ...]
    at_most: tuple[int, ...]
    total: int

    def slower_than(self, threshold_ms: float) -> int:
        """Requests over the largest edge that is not above `threshold_ms`."""
        over = self.total
        for edge, count in zip(self.edges_ms, self.at_most, strict=True):
            if edge > threshold_ms:
                break
            over = self.total - count
        return over


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Which requests of a release failed or were slow, as far as the gateway tells them apart.

    Counts since whoever samples began. They may lag `ArmSample`'s by a moment and miss some of
    them; what is missing must not depend on the arm.
    """

    errors: Mapping[str, int] = field(default_factory=dict)
    """Endpoint (`GET /orders/{id}`) -> failed and masked requests."""
    slow: Mapping[str, int] = field(default_factory=dict)
    """Endpoint -> requests over the largest threshold that the meter was made with."""
    clients: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Client -> endpoint -> failed and masked requests. A client is a keyed hash, never a name."""
    seen: Mapping[str, int] = field(default_factory=dict)
    """Client -> requests of it that were noticed at all: failed, slow, or in a random sample."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What became of the copies of read-only requests, beside their originals.

    Cumulative: only differences of two mean anything. The originals are users' requests that could
    have been copied: the copies are a random share of them, and so the same mix.
    """

    copies: int
    """Copies that the release answered, or let wait for `MIRROR_PATIENCE`."""
    failures: int
    """Of those: answered 5xx."""
    refused: int
    """Of those: answered 4xx."""
    unanswered: int
    """Of those: cut off before an answer began."""
    lost: int
    """Copies that got no answer because a connection broke or could not be made, or because too
    many were under way. The gateway repeats a user's request after the former, a copy never: they
    say nothing about what users would see."""
    originals: int
    failed_originals: int
    """Of those: 5xx, as users saw them."""


@dataclass(frozen=True, slots=True)
class ArmSample:
    """Counters of one release since its series began. Only differences of two mean anything."""

    number: int
    requests: int
    """Requests answered for users of this arm."""
    errors: int
    """Of those: 5xx, resets and time-outs, as users saw them."""
    masked: int
    """Attempts that this release failed and the fallback answered: counted against the arm too."""
    latencies: Latencies
    healthy: int
    """Replicas the gateway holds to be healthy."""
    breakdown: Breakdown | None = None
    """None where the gateway cannot tell requests apart."""
    counted: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """The service's own metrics by name: operations, and bad ones among them."""
    uncounted: Mapping[str, str] = field(default_factory=dict)
    """Those of its own metrics that could not be read, and why."""
    refused: int = 0
    """Of the requests: those answered 4xx."""
    mirrored: Mirrored | None = None
    """What it did with copies, which are among none of the other counts; None where it is sent
    none, or they are not counted."""


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """One request that a release failed; nothing in it is secret or names a user."""

    at: float
    """When it began, seconds since the epoch."""
    endpoint: str
    status: int | None
    """What the user got; None if no answer, or not the whole of it."""
    problem: str
    """What the gateway saw, in words; empty where the status says it all."""
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Sample:
    """All arms at one moment."""

    at: float
    """Seconds since the epoch."""
    arms: Mapping[int, ArmSample]


@dataclass(frozen=True, slots=True)
class Span:
    """What one release did in a span of time: differences of its counters."""

    number: int
    start: float
    end: float
    """Seconds since the epoch."""
    requests: int
    errors: int
    """Masked ones included."""
    latencies: Latencies


class Meter(Protocol):
    """Counts what each release did, as the gateway saw it."""

    def sample(self) -> Sample:
        """Cumulative counters of every connected release, now.

        Raises BackendctlError `platform.gateway` when they cannot be had: missing data is said,
        never invented.
        """
        ...

    def failures(self, number: int, limit: int) -> Sequence[FailedRequest]:
        """The last `limit` requests that a release failed, oldest first; none where the gateway
        keeps no record of them. Needs neither the release nor the gateway to be up."""
        ...

    def history(self, since: float) -> Sequence[Span]:
        """What each release did since then (seconds since the epoch), oldest first, in spans of
        some ten seconds: recorded while nobody looks, for a day at least while the environment is
        up. A span that could not be measured is left out, never zero; all of them where nobody
        records. Raises BackendctlError when what was recorded cannot be read.
        """
        ...

    def leave_out(self, start: float, end: float) -> None:
        """What is counted between these moments (seconds since the epoch) is not how users are
        served, a load test above all: `history` leaves those spans out."""
        ...
