"""Examples of what a candidate failed: for the person who asks why it was undone.

They are taken when a rollout is undone or held, kept beside the journal for some days, and decide
nothing: the verdict rests on counts alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from backendctl.platforms.base import FailedRequest, Platform
from backendctl.rollout.redact import without_secrets

MOST_REQUESTS = 5
LOG_LINES = 10
_LOOKED_AT = 200
"""Newest failed requests among which different ones are looked for."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Of one release, at the moment it was undone or held."""

    requests: tuple[FailedRequest, ...] = ()
    """Its last failed requests, one for each endpoint and kind of failure first; oldest first."""
    log: tuple[str, ...] = ()
    """Its last log lines then, redacted."""


def take(platform: Platform, number: int) -> Samples:
    """Look at what the release failed last. Raises what the platform raises."""
    failed = platform.meter.failures(number, _LOOKED_AT)
    lines = list(platform.runtime.logs(number, LOG_LINES))
    return Samples(varied(failed), without_secrets(platform, lines))


def varied(failed: Sequence[FailedRequest]) -> tuple[FailedRequest, ...]:
    """The newest of each endpoint and kind, then the newest of all, up to `MOST_REQUESTS`."""
    newest_first = sorted(failed, key=lambda each: -each.at)
    kinds: dict[tuple[str, int | None, str], FailedRequest] = {}
    for each in newest_first:
        kinds.setdefault((each.endpoint, each.status, each.problem), each)
    first = list(kinds.values())
    rest = [each for each in newest_first if each not in first]
    return tuple(sorted([*first, *rest][:MOST_REQUESTS], key=lambda each: each.at))


def to_record(samples: Samples) -> Mapping[str, Any]:
    """For `Store.keep_samples`."""
    return asdict(samples)


def from_record(record: Mapping[str, Any] | None) -> Samples:
    """What `to_record` made; nothing for None."""
    if record is None:
        return Samples()
    return Samples(
        tuple(FailedRequest(**each) for each in record["requests"]), tuple(record["log"])
    )


def in_words(request: FailedRequest) -> str:
    """`14:03:07 GET /orders/{id} answered 500 after 12 ms`, in local time."""
    from datetime import datetime

    when = datetime.fromtimestamp(request.at).astimezone().strftime("%H:%M:%S")
    what = f"answered {request.status}" if request.status is not None else "got no whole answer"
    why = f" ({request.problem})" if request.problem else ""
    return f"{when} {request.endpoint} {what} after {request.milliseconds:.0f} ms{why}"
