"""What became of copies of requests, from Envoy's own counters. Pure.

Which counter says what was found out with a release that failed, hung, streamed and was gone:

- Copies are made by Envoy itself: the access log has none of them, and on the cluster that they
  are sent to (`rel-7-mirror`, which nothing else uses) each is counted as a request is.
- One that is cut off before its answer began is in `total` and never in `completed`; a stream that
  is cut off in its answer is in both, with the status it began with.
- One that cannot connect, or is one too many at a time, is a 503 in `completed` and never in
  `total`. One whose connection breaks before the answer is a 503 in both.
- Nothing is repeated, where a user's request would be.
"""

import re
from collections.abc import Mapping
from typing import Any

from backendctl.platforms.base import Mirrored
from backendctl.platforms.local.envoy_arms import ORIGINALS, VIRTUAL_HOST

COPY_COUNTERS = (
    "upstream_cx_destroy_remote_with_active_rq",
    "upstream_rq_4xx",
    "upstream_rq_5xx",
    "upstream_rq_active",
    "upstream_rq_completed",
    "upstream_rq_pending_failure_eject",
    "upstream_rq_pending_overflow",
    "upstream_rq_total",
)
_ORIGINALS = rf"vhost\.{VIRTUAL_HOST}\.route\.{ORIGINALS}-(\d+)\.upstream_rq_(completed|5xx)"
ORIGINALS_PATTERN = rf"^{_ORIGINALS}$"

Counts = Mapping[str, int]
"""Counters by name; absent ones are 0."""


def originals_of(stats: Mapping[str, Any]) -> dict[int, dict[str, int]]:
    """Counters of the routes whose requests are copied, by the release that gets the copies."""
    found: dict[int, dict[str, int]] = {}
    for stat in stats["stats"]:
        match = re.fullmatch(_ORIGINALS, stat.get("name", ""))
        if match:
            found.setdefault(int(match.group(1)), {})[match.group(2)] = int(stat["value"])
    return found


def mirrored(copies: Counts, originals: Counts) -> Mirrored:
    """The sums. Failures and unanswered ones are lower bounds: a connection that breaks within an
    answer takes one off the former, a stream under way one off the latter."""

    def count(name: str) -> int:
        return copies.get(name, 0)

    unsent = count("upstream_rq_pending_failure_eject") + count("upstream_rq_pending_overflow")
    broken = count("upstream_cx_destroy_remote_with_active_rq")
    lost = min(unsent + broken, count("upstream_rq_completed"))
    answered = count("upstream_rq_completed") - lost
    ended = count("upstream_rq_total") - count("upstream_rq_active")
    unanswered = max(0, ended + unsent - count("upstream_rq_completed"))
    return Mirrored(
        copies=answered + unanswered,
        failures=max(0, count("upstream_rq_5xx") - lost),
        refused=count("upstream_rq_4xx"),
        unanswered=unanswered,
        lost=lost,
        originals=originals.get("completed", 0),
        failed_originals=originals.get("5xx", 0),
    )
