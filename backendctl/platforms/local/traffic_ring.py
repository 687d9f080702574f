"""What each release did in the last day, on disk: bounded, and whole after any crash.

A folder of numbered segments. A line is one span, as JSON; it counts only when it is whole, so
what a crash or a full disk cut short is passed over. The newest segment is appended to; when it
has `SEGMENT_LINES` lines another one is begun, and the oldest ones are deleted. There is one
writer. Nothing is forced to disk: losing the last seconds of it costs nothing.
"""

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from backendctl.filesystem import PRIVATE_FILE, atomic_write, make_folder, writing
from backendctl.platforms.base import Latencies, Span

SEGMENT_LINES = 720
SEGMENTS = 25
"""Two releases' spans of 10 s fill a segment in an hour: a day of a rollout that never ends, and
two days of one release, in about 4 MB at most."""

DAY = 86400.0
"""Seconds for which spans are kept."""

_NAME = "{:08d}.jsonl"
_LEFT_OUT = "left-out.json"


class TrafficRing:
    """Spans of all releases, oldest first. Making one touches nothing."""

    def __init__(self, folder: Path, edges_ms: tuple[float, ...]) -> None:
        """Latencies are kept, and given back, at these edges only."""
        self._folder = folder
        self._edges = edges_ms
        self._lines: int | None = None

    def append(self, spans: Iterable[Span]) -> None:
        """Add spans. Raises BackendctlError `platform.disk-full` or `platform.permission`."""
        text = "".join(f"{_line(span)}\n" for span in spans)
        if not text:
            return
        make_folder(self._folder)
        path = self._open_segment()
        with writing(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
            try:
                size = os.fstat(handle).st_size
                torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
                os.write(handle, (("\n" if torn else "") + text).encode())
            finally:
                os.close(handle)
        self._lines = (self._lines or 0) + text.count("\n")

    def since(self, moment: float) -> Sequence[Span]:
        """Whole spans that began at or after `moment`, at this ring's edges, by their beginning.

        Raises BackendctlError `platform.permission` when they may not be read.
        """
        found: list[Span] = []
        for path in self._segments():
            with writing(path, "what was recorded is untouched"):
                found.extend(self._read(path))
        left_out = self._left_out()
        return sorted(
            (
                span
                for span in found
                if span.start >= moment
                and not any(span.start < end and start < span.end for start, end in left_out)
            ),
            key=lambda span: span.start,
        )

    def leave_out(self, start: float, end: float) -> None:
        """Spans that overlap with that time are not given back any more."""
        kept = [each for each in self._left_out() if each[1] >= start - DAY]
        make_folder(self._folder)
        atomic_write(self._folder / _LEFT_OUT, json.dumps([*kept, (start, end)]).encode())

    def _left_out(self) -> list[tuple[float, float]]:
        try:
            body = json.loads((self._folder / _LEFT_OUT).read_bytes())
        except FileNotFoundError:
            return []
        return [(float(start), float(end)) for start, end in body]

    def _open_segment(self) -> Path:
        segments = self._segments()
        if not segments:
            self._lines = 0
            return self._folder / _NAME.format(1)
        newest = segments[-1]
        if self._lines is None:
            self._lines = newest.read_bytes().count(b"\n")
        if self._lines < SEGMENT_LINES:
            return newest
        self._lines = 0
        for old in segments[: -(SEGMENTS - 1)]:
            old.unlink(missing_ok=True)
        return self._folder / _NAME.format(int(newest.stem) + 1)

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob("*.jsonl"))

    def _read(self, path: Path) -> Iterator[Span]:
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return  # deleted by the writer since the folder was listed
        for line in text.splitlines():
            span = _span(line, self._edges)
            if span is not None:
                yield span


def _line(span: Span) -> str:
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


def _span(line: bytes, edges: tuple[float, ...]) -> Span | None:
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
