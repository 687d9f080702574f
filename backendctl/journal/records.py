"""One record of a journal as bytes, and back: pure, so that every way to break it can be tried.

A journal is text: one JSON object a line, each sealed with the SHA-256 of what stands before the
seal and chained to the line before it. A changed, missing or moved record therefore shows, and
says on which line. The seal's place and algorithm are the same in every version of the format, so
that a journal of another version can be told from a damaged one.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backendctl.errors import BackendctlError

VERSION = 1
"""Raised when a record written before could be misread."""

_SEAL = re.compile(rb',"sha256":"([0-9a-f]{64})"\}\Z')
_SEAL_LENGTH = len(b',"sha256":""}') + 64


@dataclass(frozen=True, slots=True)
class Link:
    """A place in the chain: what the next record must refer to."""

    sequence: int
    sha256: str


START = Link(0, "0" * 64)
"""What a journal's first record refers to."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The whole records of some bytes."""

    records: tuple[Mapping[str, Any], ...]
    last: Link
    """Where the next record goes."""
    whole: int
    """Bytes of whole records, counted from the beginning."""
    torn: int
    """Bytes after them: the beginning of a record whose writing was cut short; usually 0."""


def encode(record: Mapping[str, Any], previous: Link) -> bytes:
    """One line, ending in a newline. Raises ValueError or TypeError if it is no JSON object."""
    body = json.dumps(
        {
            "version": VERSION,
            "sequence": previous.sequence + 1,
            "previous": previous.sha256,
            "record": dict(record),
        },
        separators=(",", ":"),
        allow_nan=False,
    ).encode("ascii")[:-1]
    return body + f',"sha256":"{hashlib.sha256(body).hexdigest()}"}}\n'.encode("ascii")


def decode(data: bytes, previous: Link | None = START, source: str = "the journal") -> Decoded:
    """The records in `data`, whose first must follow `previous` (None: whatever it says).

    A last record without its newline was never acknowledged to anybody; it is left out and
    counted in `torn`. Raises BackendctlError `journal.corrupt` for a changed, missing or moved
    record, `journal.version` for another version's; both name `source` and the line.
    """
    *lines, tail = data.split(b"\n")
    records = []
    last = previous
    for number, line in enumerate(lines, start=1):
        sealed = _open_line(line, source, number)
        if last is not None:
            _check_link(sealed, last, source, number)
        records.append(sealed["record"])
        last = Link(sealed["sequence"], sealed["sha256"])
    if _unseal(tail[:-1]) is not None:
        raise _corrupt(source, len(lines) + 1, "the end of the line was changed")
    whole = len(data) - len(tail)
    return Decoded(tuple(records), last or START, whole, len(tail))


def decode_only(data: bytes, source: str) -> Mapping[str, Any]:
    """The one record of a file that holds one, whole. Raises like `decode`."""
    found = decode(data, source=source)
    if len(found.records) != 1 or found.torn:
        raise _corrupt(source, 1, f"it should hold one whole record, found {len(found.records)}")
    return found.records[0]


def _open_line(line: bytes, source: str, number: int) -> dict[str, Any]:
    body = _unseal(line)
    if body is None:
        raise _corrupt(source, number, "the record does not match its checksum")
    version = body.get("version")
    if version != VERSION:
        raise BackendctlError(
            "journal.version",
            f"{source}, line {number}, is of version {version}; this program reads {VERSION}",
            cause="another version of backendctl wrote it",
            state="the journal was not touched",
            next=("backendctl --version",),
        )
    return body


def _unseal(line: bytes) -> dict[str, Any] | None:
    """The object in the line, None if it does not match its own seal."""
    seal = _SEAL.search(line)
    if seal is None:
        return None
    body, claimed = line[:-_SEAL_LENGTH], seal[1].decode("ascii")
    if hashlib.sha256(body).hexdigest() != claimed:
        return None
    found: dict[str, Any] = json.loads(line)
    return found


def _check_link(body: Mapping[str, Any], last: Link, source: str, number: int) -> None:
    sequence = body["sequence"]
    if sequence != last.sequence + 1:
        raise _corrupt(
            source, number, f"record {last.sequence + 1} should stand there, found {sequence}"
        )
    if body["previous"] != last.sha256:
        raise _corrupt(source, number, "the record does not follow the one before it")


def _corrupt(source: str, line: int, cause: str) -> BackendctlError:
    return BackendctlError(
        "journal.corrupt",
        f"{source}, line {line}, cannot be trusted",
        cause=cause,
        state="nothing was written to it; the lines before it are sound",
        data={"source": source, "line": line},
    )
