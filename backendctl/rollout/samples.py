"""Examples of what a candidate failed: for the person who asks why it was undone.

They are taken when a rollout is undone or held, kept beside the journal for some days, and decide
nothing: the verdict rests on counts alone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from backendctl.platforms.base import FailedRequest, Platform
from backendctl.rollout.redact import without_secrets

MOST_REQUESTS = 5
LOG_LINES = 10
_LOOKED_AT = 200
"""Newest failed requests among which different ones are looked for."""
_LINES_LOOKED_AT = 200
"""Newest log lines among which those that say something are looked for."""
_WENT_WELL = re.compile(r"^(?=.*\b(?:GET|HEAD)\b)(?=.*\b2\d\d\b)(?!.*\b[45]\d\d\b)")
"""A line of an access log, of whatever form, with a status of 2xx."""


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
    lines = list(platform.runtime.logs(number, _LINES_LOOKED_AT))
    ready = next(
        (r.processes.ready_path for r in platform.store.releases() if r.number == number), "/"
    )
    return Samples(varied(failed), without_secrets(platform, telling(lines, ready)))


def telling(lines: Sequence[str], ready: str) -> Sequence[str]:
    """The last `LOG_LINES`, without those that say that a health check at `ready` went well, unless
    there are no others."""
    if ready == "/":
        return lines[-LOG_LINES:]  # users ask for it too
    path = re.compile(rf"(?<![\w/.-]){re.escape(ready)}(?![\w/-])")
    rest = [each for each in lines if not (path.search(each) and _WENT_WELL.search(each))]
    return (rest or lines)[-LOG_LINES:]


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
    """`14:03:07 UTC GET /orders/{id} answered 500 after 12 ms`."""
    from datetime import UTC, datetime

    when = datetime.fromtimestamp(request.at, UTC).strftime("%H:%M:%S UTC")
    what = f"answered {request.status}" if request.status is not None else "got no whole answer"
    why = f" ({request.problem})" if request.problem else ""
    return f"{when} {request.endpoint} {what} after {request.milliseconds:.0f} ms{why}"
