"""Recorded traffic as lines of JSON, and back. Pure; how they are kept is a platform's own."""

import json
import zlib
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from backendctl.platforms.base import Latencies, Span

DAY = 86400.0
"""Seconds for which spans are kept."""

Times = tuple[float, float]
"""Beginning and end, in seconds since the epoch."""


def outside(spans: Iterable[Span], moment: float, left_out: Sequence[Times]) -> list[Span]:
    """Those that began at or after `moment` and overlap with nothing left out, by beginning."""
    return sorted(
        (
            span
            for span in spans
            if span.start >= moment
            and not any(span.start < end and start < span.end for start, end in left_out)
        ),
        key=lambda span: span.start,
    )


def line_of(span: Span) -> str:
    """Only the buckets that counted something are written."""
    edges, at_most = span.latencies.edges_ms, span.latencies.at_most
    counts = [b - a for a, b in zip((0, *at_most[:-1]), at_most, strict=True)]
    return json.dumps(
        {
            "release": span.number,
            "start": round(span.start, 3),
            "end": round(span.end, 3),
            "requests": span.requests,
            "errors": span.errors,
            "answers": span.latencies.total,
            "ms": {f"{edge:g}": n for edge, n in zip(edges, counts, strict=True) if n},
            "edges": _name(edges),
        },
        separators=(",", ":"),
    )


def span_of(line: str | bytes, edges: tuple[float, ...]) -> Span | None:
    """None for a line that is not whole, or was recorded at other edges."""
    try:
        body: Any = json.loads(line)
        counts = {float(edge): int(n) for edge, n in body["ms"].items()}
        if body["edges"] != _name(edges):
            return None
        at_most, total = [], 0
        for edge in edges:
            total += counts.get(edge, 0)
            at_most.append(total)
        return Span(
            number=int(body["release"]),
            start=float(body["start"]),
            end=float(body["end"]),
            requests=int(body["requests"]),
            errors=int(body["errors"]),
            latencies=Latencies(edges, tuple(at_most), int(body["answers"])),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


@cache
def _name(edges: tuple[float, ...]) -> int:
    """Tells one set of edges from another."""
    return zlib.crc32(repr(edges).encode())
