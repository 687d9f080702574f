"""The gateway's log of requests that tell something: which, how Envoy writes them, how to read one.

Envoy's counters say how many requests of a release failed; this log says which. One JSON line for
each request that failed or was slow, and for a small random sample of all. Neither a query nor a
header nor a body is written. The client's address is (in a 0600 file that is soon overwritten),
but nothing that reads it hands it on: see `client`.
"""

import hmac
import json
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from backendctl.platforms.endpoints import endpoint
from backendctl.platforms.local.envoy_arms import ATTEMPTS_HEADER, METADATA, RELEASE, TYPE, Arm

SAMPLED_PERCENT = 5
"""Of all requests, failed or not: shows which clients reach which release."""
FLUSH_MS = 250
"""Envoy keeps lines back for so long. A failure may show this much later than in the counters."""
_LONGEST_PATH = 200
_LOWEST_FAILURE = 500

_FLAGS = {
    "LR": "the connection was reset",
    "SI": "nothing moved for too long",
    "UC": "the release ended the connection",
    "UF": "the release could not be reached",
    "UH": "no healthy process",
    "UO": "too many requests at once",
    "UPE": "the release broke the protocol",
    "UR": "the release reset the request",
    "UT": "the release did not answer in time",
}
"""Envoy's short names of what went wrong between it and a release."""
_CLIENT_LEFT = "DC"


class Outcome(StrEnum):
    """What became of a request, as the release's judge means it."""

    ANSWERED = "answered"
    FAILED = "failed"
    MASKED = "masked"
    """Its release failed it and another one answered it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    at: float
    """When the request began, seconds since the epoch."""
    number: int
    """The release that the request was routed to."""
    endpoint: str
    status: int | None
    outcome: Outcome
    problem: str
    """In words; empty where the status says it all."""
    milliseconds: float
    client: str
    """A keyed hash of the client's address; empty where it is unknown."""


def access_log(path: Path, slow_ms: float) -> dict[str, Any]:
    """Envoy's access log: which requests go to `path`, and what of them."""
    return {
        "name": "envoy.access_loggers.file",
        "filter": {
            "or_filter": {
                "filters": [
                    {"status_code_filter": _at_least(_LOWEST_FAILURE, "status")},
                    {"duration_filter": _at_least(max(1, int(slow_ms)), "slow_ms")},
                    {"response_flag_filter": {"flags": sorted(_FLAGS)}},
                    {
                        "runtime_filter": {
                            "runtime_key": "backendctl.log.sampled",
                            "percent_sampled": {
                                "numerator": SAMPLED_PERCENT,
                                "denominator": "HUNDRED",
                            },
                            # Else a client could choose, by its request id.
                            "use_independent_randomness": True,
                        }
                    },
                    {
                        # Answered by another process or release than it was sent to at first.
                        # (An expression over the same number costs 8 % of Envoy's time.)
                        "header_filter": {
                            "header": {
                                "name": ATTEMPTS_HEADER,
                                "range_match": {"start": 2, "end": 1000},
                            }
                        }
                    },
                ]
            }
        },
        "typed_config": {
            "@type": TYPE + "envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(path),
            "log_format": {
                "json_format": {
                    "at": "%START_TIME(%s.%3f)%",
                    "arm": "%UPSTREAM_CLUSTER_RAW%",
                    "by": f"%UPSTREAM_METADATA({METADATA}:{RELEASE})%",
                    "method": "%REQ(:METHOD)%",
                    "path": f"%PATH(NQ:PATH):{_LONGEST_PATH}%",
                    "status": "%RESPONSE_CODE%",
                    "flags": "%RESPONSE_FLAGS%",
                    "ms": "%DURATION%",
                    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
                }
            },
        },
    }


def _at_least(value: int, key: str) -> dict[str, Any]:
    default = {"default_value": value, "runtime_key": f"backendctl.log.{key}"}
    return {"comparison": {"op": "GE", "value": default}}


def parse(line: bytes | str, key: bytes) -> Entry | None:
    """One line; None for one that is no user's request to a release, or is damaged."""
    try:
        seen = json.loads(line)
        arm = Arm.parse(seen["arm"] or "")
        if arm is None or arm.preview:
            return None
        flags = frozenset((seen["flags"] or "").split(","))
        status = int(seen["status"] or 0) or None
        outcome = _outcome(arm, seen["by"], status, flags)
        return Entry(
            at=float(seen["at"]),
            number=arm.number,
            endpoint=endpoint(str(seen["method"]), str(seen["path"])),
            status=status,
            outcome=outcome,
            problem=_problem(arm, outcome, seen["by"], flags),
            milliseconds=float(seen["ms"]),
            client=client(str(seen["client"] or ""), key),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _outcome(arm: Arm, by: Any, status: int | None, flags: frozenset[str]) -> Outcome:
    if _CLIENT_LEFT in flags:
        return Outcome.ANSWERED
    if by is not None and int(by) != arm.number:
        return Outcome.MASKED
    if status is None or status >= _LOWEST_FAILURE or flags & _FLAGS.keys():
        return Outcome.FAILED
    return Outcome.ANSWERED


def _problem(arm: Arm, outcome: Outcome, by: Any, flags: frozenset[str]) -> str:
    if outcome is Outcome.MASKED:
        return f"release {arm.number} failed it, release {int(by)} answered"
    return ", ".join(_FLAGS[flag] for flag in sorted(flags & _FLAGS.keys()))


@lru_cache(maxsize=4096)
def client(address: str, key: bytes) -> str:
    """Eight hexadecimal digits that stand for an address, and mean nothing without the key."""
    if not address:
        return ""
    return hmac.digest(key, address.encode(), "sha256").hex()[:8]
