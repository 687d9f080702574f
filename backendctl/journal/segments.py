"""A journal on disk: a folder of segments, each small enough for any platform's store."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendctl.journal.records import START, Decoded, Link, decode, encode

SEGMENT_LIMIT = 256 * 1024
"""Bytes; a segment stays below it."""

_NAME = "{:06d}.jsonl"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a journal says."""

    records: tuple[Mapping[str, Any], ...]
    torn: int
    """Bytes of a record whose writing was cut short; cut off before the next one is written."""


class Journal:
    """Append and read. Whoever appends holds a lock that keeps other writers out."""

    def __init__(self, folder: Path, limit: int = SEGMENT_LIMIT) -> None:
        self.folder = folder
        self._limit = limit

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record, durable on return.

        Raises OSError when it cannot be written: the journal then holds what it held before.
        Raises BackendctlError `journal.corrupt` or `journal.version` if what is there cannot be
        built on; ValueError if the record is no JSON object or as large as a segment.
        """
        segment, found = self._end()
        line = encode(record, found.last)
        if len(line) >= self._limit:
            raise ValueError(f"a journal record of {len(line)} bytes is too large")
        if segment is None or (found.whole and found.whole + len(line) >= self._limit):
            _append(self._next(segment), 0, line)
        else:
            _append(segment, found.whole, line)

    def read(self) -> Reading:
        """All whole records, checked as one chain from the first.

        Raises BackendctlError `journal.corrupt` or `journal.version`.
        """
        records: list[Mapping[str, Any]] = []
        last: Link = START
        torn = 0
        for segment in self._segments():
            # A torn record belongs at the very end: followed by another segment, the chain breaks.
            found = decode(segment.read_bytes(), last, str(segment))
            records.extend(found.records)
            last, torn = found.last if found.records else last, found.torn
        return Reading(tuple(records), torn)

    def begun(self) -> bool:
        """Whether it holds a whole record; one look at its first segment."""
        return any(b"\n" in segment.read_bytes() for segment in self._segments()[:1])

    def _end(self) -> tuple[Path | None, Decoded]:
        """The last segment that holds a record, and what is in it.

        Earlier ones are not read: they were checked by whoever replayed the journal, and each
        append would otherwise cost the whole of it. A last segment without a whole record is what
        a crash between creating and writing it leaves; it is written over.
        """
        segments = self._segments()
        if not segments:
            return None, decode(b"")
        found = decode(segments[-1].read_bytes(), None, str(segments[-1]))
        if found.records or len(segments) == 1:
            return segments[-1], found
        before = decode(segments[-2].read_bytes(), None, str(segments[-2]))
        return segments[-1], Decoded((), before.last, 0, found.torn)

    def _segments(self) -> list[Path]:
        return sorted(self.folder.glob("*.jsonl"))

    def _next(self, segment: Path | None) -> Path:
        number = int(segment.stem) if segment else 0
        return self.folder / _NAME.format(number + 1)


def _append(path: Path, whole: int, line: bytes) -> None:
    """Write `line` at offset `whole`, cutting off what is torn; undone if it cannot be made
    durable."""
    new = not path.exists()
    if new:
        _make_folder(path.parent)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(handle).st_size > whole:
            os.ftruncate(handle, whole)
        try:
            _write_all(handle, line, whole)
            os.fsync(handle)
            if new:
                _sync_folder(path.parent)
        except OSError:
            os.ftruncate(handle, whole)
            raise
    finally:
        os.close(handle)


def _write_all(handle: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written


def _make_folder(folder: Path) -> None:
    """Make the folder and each missing parent durable, private."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
