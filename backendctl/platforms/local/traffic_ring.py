"""What each release did in the last day, on disk: bounded, and whole after any crash.

A folder of numbered segments. A line is one span, as JSON; it counts only when it is whole, so
what a crash or a full disk cut short is passed over. The newest segment is appended to; when it
has `SEGMENT_LINES` lines another one is begun, and the oldest ones are deleted. There is one
writer. Nothing is forced to disk: losing the last seconds of it costs nothing.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from backendctl.filesystem import PRIVATE_FILE, atomic_write, make_folder, writing
from backendctl.platforms.base import Span
from backendctl.platforms.span_lines import DAY, line_of, outside, span_of

SEGMENT_LINES = 720
SEGMENTS = 25
"""Two releases' spans of 10 s fill a segment in an hour: a day of a rollout that never ends, and
two days of one release, in about 4 MB at most."""

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
        text = "".join(f"{line_of(span)}\n" for span in spans)
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
        return outside(found, moment, self._left_out())

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
            span = span_of(line, self._edges)
            if span is not None:
                yield span
