"""What each release did, from Envoy's own counters.

Which counter says what was found out with real traffic, by killing and misleading releases:

- The code and the time of a request land on the cluster that its route names: the release's own
  (`rel-7`), or the one in front of it and its fallback (`rel-7-fb-6`), which counts an answer of
  release 6 too. Both belong to arm 7: its users waited for it.
- Attempts and connections land on the cluster of the release that got them.
- So an answer that came from elsewhere is an attempt too few on `rel-7`. It was *masked*: users
  saw no error, but the release did not answer, and that counts against it.
- A response cut off in the middle was counted as the 200 it began with. It shows only as a
  connection that the server ended while a request was active, and that neither a retry nor a 503
  accounts for.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backendctl.clock import Clock, SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import ArmSample, FailedRequest, Sample, Span
from backendctl.platforms.envoy_times import Bin, bins, edges, latencies
from backendctl.platforms.local.breakdown import Tally
from backendctl.platforms.local.copies import (
    COPY_COUNTERS,
    ORIGINALS_PATTERN,
    mirrored,
    originals_of,
)
from backendctl.platforms.local.envoy_admin import EnvoyAdmin, GatewayGoneError
from backendctl.platforms.local.envoy_arms import Arm
from backendctl.platforms.local.gateway import DEFAULT_SLOW_MS, GATEWAY
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.loglines import Tail, last_lines
from backendctl.platforms.local.request_log import Entry, Outcome, parse
from backendctl.platforms.local.traffic_ring import TrafficRing

_COUNTERS = (
    "membership_healthy",
    "upstream_cx_destroy_remote_with_active_rq",
    "upstream_cx_none_healthy",
    "upstream_rq_503",
    "upstream_rq_4xx",
    "upstream_rq_5xx",
    "upstream_rq_completed",
    "upstream_rq_pending_failure_eject",
    "upstream_rq_retry",
    "upstream_rq_retry_limit_exceeded",
    "upstream_rq_retry_success",
    "upstream_rq_total",
)
_TIME = "upstream_rq_time"
_NAMES = "|".join((*_COUNTERS, _TIME))
_PATTERN = (
    rf"^cluster\.rel-\d+(-fb-\d+|-preview)?\.({_NAMES})$"
    rf"|^cluster\.rel-\d+-mirror\.({'|'.join(COPY_COUNTERS)})$"
    rf"|{ORIGINALS_PATTERN}"
)
_STAT = re.compile(r"cluster\.([^.]+)\.(\w+)")
_LOOKED_AT = 20_000
"""Newest lines of the log in which examples of failed requests are looked for."""
_MERGE_SECONDS = 0.01
"""Envoy's threads hand in their histograms within about a millisecond of being asked."""


class EnvoyMeter:
    """The Meter of `platforms/base/` on one Envoy."""

    def __init__(
        self, layout: Layout, edges_ms: Sequence[float] = (), clock: Clock | None = None
    ) -> None:
        """`edges_ms` are thresholds that must be among the edges, the SLO's above all. Envoy
        keeps two significant digits and whole milliseconds: others are rounded down to that."""
        self._admin = EnvoyAdmin(layout.admin_socket)
        self._log = layout.log(GATEWAY)
        self._requests = layout.requests
        self._client_key = layout.client_key
        self._tail: Tail | None = None
        self._tally = Tally(max(edges_ms, default=DEFAULT_SLOW_MS))
        self._edges = edges(edges_ms)
        self.recorded = TrafficRing(layout.traffic, self._edges)
        """What the environment's watchdog writes down."""
        self._clock = clock or SystemClock()
        self._former: dict[int, ArmSample] = {}

    def sample(self) -> Sample:
        """As the base says."""
        counted = self.counters()
        return Sample(counted.at, self._broken_down(counted.arms))

    def history(self, since: float) -> Sequence[Span]:
        """As the base says. Spans that were recorded at other edges are left out: the watchdog
        counts at those that the last `up` was told."""
        return self.recorded.since(since)

    def leave_out(self, start: float, end: float) -> None:
        """As the base says."""
        self.recorded.leave_out(start, end)

    def counters(self) -> Sample:
        """A sample without its breakdown, which costs little.

        Counters and histograms are of the same moment, to a millisecond or two: the first reading
        makes Envoy collect its histograms, the second fetches them.
        """
        try:
            counters = self._admin.stats(_PATTERN, histogram_buckets="detailed")
            at = self._clock.now()
            self._clock.wait(_MERGE_SECONDS)
            histograms = self._admin.stats(_PATTERN, histogram_buckets="detailed")
        except GatewayGoneError as error:
            raise BackendctlError(
                "platform.gateway",
                "the gateway's counters cannot be read",
                cause=str(error),
                state="what it serves is not known from here",
                next=("backendctl status", f"tail -n 50 {self._log}"),
            ) from error
        found = counters_of(counters)
        arms = arm_samples(found, bins_of(histograms), self._edges)
        originals = originals_of(counters)
        for number, arm in arms.items():
            copies = found.get(Arm(number, mirror=True))
            if copies is not None:
                sums = mirrored(copies.values, originals.get(number, {}))
                arms[number] = replace(arm, mirrored=sums)
        self._former = {n: never_unmasked(arm, self._former.get(n)) for n, arm in arms.items()}
        return Sample(at, self._former)

    def failures(self, number: int, limit: int) -> Sequence[FailedRequest]:
        found = [
            entry
            for entry in self._entries(last_lines(self._requests, _LOOKED_AT))
            if entry.number == number and entry.outcome is not Outcome.ANSWERED
        ]
        return tuple(
            FailedRequest(each.at, each.endpoint, each.status, each.problem, each.milliseconds)
            for each in found[-limit:]
        )

    def _broken_down(self, arms: Mapping[int, ArmSample]) -> Mapping[int, ArmSample]:
        """With what the log of requests says since the first sample; a gateway that was started
        before there was such a log keeps none."""
        if not self._requests.exists():
            return arms
        if self._tail is None:
            self._tail = Tail(self._requests)
        self._tally.add(self._entries(self._tail.new_lines()))
        found = self._tally.of(arms)
        return {n: replace(arm, breakdown=found[n]) for n, arm in arms.items()}

    def _entries(self, lines: Iterable[bytes | str]) -> Iterator[Entry]:
        key = self._client_key.read_bytes() if self._client_key.exists() else b""
        for line in lines:
            entry = parse(line, key)
            if entry is not None:
                yield entry


def never_unmasked(arm: ArmSample, former: ArmSample | None) -> ArmSample:
    """Keep `masked` from falling within a series: it is a difference of counters that are not
    read at one instant, and a client that hangs up lowers it. The same for copies that failed."""
    if former is None or arm.requests < former.requests:
        return arm
    arm = replace(arm, masked=max(arm.masked, former.masked))
    now, then = arm.mirrored, former.mirrored
    if now is None or then is None or now.originals < then.originals:
        return arm
    failures = max(now.failures, then.failures)
    unanswered = max(now.unanswered, then.unanswered)
    copies = max(now.copies, then.copies, failures + unanswered)
    kept = replace(now, copies=copies, failures=failures, unanswered=unanswered)
    return replace(arm, mirrored=kept)


# --- from Envoy's JSON ------------------------------------------------------------------------


@dataclass(slots=True)
class Counters:
    """The counters of one cluster, by name; absent ones are 0."""

    values: dict[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> int:
        return self.values.get(name, 0)


def counters_of(stats: Mapping[str, Any]) -> dict[Arm, Counters]:
    """Cluster counters by arm."""
    found: dict[Arm, Counters] = {}
    for stat in stats["stats"]:
        match = _STAT.fullmatch(stat.get("name", ""))
        arm = Arm.parse(match.group(1)) if match else None
        if match and arm is not None:
            found.setdefault(arm, Counters()).values[match.group(2)] = int(stat["value"])
    return found


def bins_of(stats: Mapping[str, Any]) -> dict[Arm, tuple[Bin, ...]]:
    """Envoy's own histogram bins by arm, since the cluster began."""
    found: dict[Arm, tuple[Bin, ...]] = {}
    for name, each in bins(stats).items():
        match = _STAT.fullmatch(name)
        arm = Arm.parse(match.group(1)) if match else None
        if arm is not None:
            found[arm] = each
    return found


# --- pure arithmetic --------------------------------------------------------------------------


def arm_samples(
    counters: Mapping[Arm, Counters],
    times: Mapping[Arm, Sequence[Bin]],
    edges_ms: tuple[float, ...],
) -> dict[int, ArmSample]:
    """One sample per connected release."""
    found = {}
    for own in counters:
        if own != Arm(own.number):
            continue
        routed = {a: c for a, c in counters.items() if a.number == own.number and not a.mirror}
        served = {arm: c for arm, c in routed.items() if arm.serves_users}
        real = counters[own]
        found[own.number] = ArmSample(
            number=own.number,
            requests=sum(c["upstream_rq_completed"] for c in served.values()),
            errors=sum(c["upstream_rq_5xx"] for c in served.values())
            + _cut_short(real, routed.values()),
            masked=_masked(real, routed),
            latencies=latencies([b for arm in served for b in times.get(arm, ())], edges_ms),
            healthy=real["membership_healthy"],
            refused=sum(c["upstream_rq_4xx"] for c in served.values()),
        )
    return found


def _cut_short(real: Counters, routed: Collection[Counters]) -> int:
    """Responses that began and never ended.

    A server that ends a connection in use has cost a retry, a 503, or the rest of a response. An
    application's own 503s hide as many of the last kind: this is a lower bound.
    """
    cut = real["upstream_cx_destroy_remote_with_active_rq"]
    retried = sum(c["upstream_rq_retry"] for c in routed)
    repeated = max(0, retried - real["upstream_rq_pending_failure_eject"])
    refused = sum(c["upstream_rq_503"] - c["upstream_cx_none_healthy"] for c in routed)
    return max(0, cut - repeated - max(0, refused))


def _masked(real: Counters, routed: Mapping[Arm, Counters]) -> int:
    """Requests of this arm that its fallback answered.

    All attempts made for the arm (each answer is one, each retry is one more) less those that
    reached the release or failed to connect to it, less answers without any attempt (503: no
    healthy process anywhere), and less the one attempt at the fallback of each request for which
    every attempt failed. A lower bound: each request whose answer has not begun yet, and each
    client that hung up, lowers it by one; successful retries are a bound that they do not touch.
    Requests in flight are not taken off what reached the release: an answer that has begun and
    goes on (a stream, a download) is counted as made already, and would look masked.
    """
    before = [c for arm, c in routed.items() if arm.fallback is not None]
    if not before:
        return 0
    made = sum(c["upstream_rq_completed"] + c["upstream_rq_retry"] for c in routed.values())
    nowhere = sum(c["upstream_cx_none_healthy"] for c in routed.values())
    reached = real["upstream_rq_total"] + real["upstream_rq_pending_failure_eject"]
    in_vain = sum(c["upstream_rq_retry_limit_exceeded"] for c in before)
    return max(
        made - nowhere - reached - in_vain, sum(c["upstream_rq_retry_success"] for c in before)
    )
