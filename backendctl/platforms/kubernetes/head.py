"""The one object through which everything is written down, and what it leads to. Pure.

All that is recorded of an environment hangs on one ConfigMap, the head: the open end of the newest
journal, and the digests of what is closed. What is closed (segments of journals, releases,
examples) stands in immutable ConfigMaps that are named by their contents. They are made first and
count only once the head names them, so that one compare-and-swap of the head is the whole write;
and since the head also carries the epoch it was last granted under, a writer that was replaced
fails at exactly that place, however long ago it had looked.
"""

import gzip
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.journal.records import START, Link, decode, decode_only, encode
from backendctl.journal.segments import SEGMENT_LIMIT

SEAL_AT = 64 * 1024
"""Bytes of the open segment; each record rewrites the head, which is to stay a small object."""
SHORT = 12
"""Hex digits of a digest that name an object: 48 bits, among thousands."""

_HEAD, _OPEN = "head", "open"


@dataclass(frozen=True, slots=True)
class Open:
    """The end of a journal, to which records are added."""

    rollout: str = ""
    before: str = ""
    """The short digest of the closed segment before it; "" for none."""
    start: Link = START
    """What its first record refers to."""
    text: bytes = b""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a journal that is closed."""

    rollout: str
    before: str
    digest: str
    text: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """Examples that are kept beside a rollout."""

    digest: str
    at: float


@dataclass(frozen=True, slots=True)
class Head:
    """What is written down, as of one version of the object."""

    epoch: int = 0
    held: bool = False
    """False from the moment on that the environment was given back."""
    releases: tuple[str, ...] = ()
    """Short digests, by number from 1 on."""
    rollouts: Mapping[str, str] = field(default_factory=dict)
    """Oldest first: identifier -> its last closed segment, "" for none."""
    open: Open = Open()
    samples: Mapping[str, Kept] = field(default_factory=dict)
    """By rollout."""

    def appended(
        self, rollout: str, record: Mapping[str, Any], last: Link
    ) -> tuple["Head", Segment | None]:
        """With one more record in the open journal, which is `rollout`'s, and what had to be
        closed for it. `last`: where the record goes.

        Raises ValueError if it is no JSON object or as large as a segment.
        """
        line = encode(record, last)
        if len(line) >= SEGMENT_LIMIT:
            raise ValueError(f"a journal record of {len(line)} bytes is too large")
        head, closed = self, None
        if self.open.text and len(self.open.text) + len(line) >= SEAL_AT:
            head, closed = self.closed()
        opened = replace(head.open, rollout=rollout, text=head.open.text + line)
        known = {**head.rollouts, rollout: head.rollouts.get(rollout, "")}
        return replace(head, open=opened, rollouts=known), closed

    def closed(self) -> tuple["Head", Segment | None]:
        """With the open journal's end closed, still at the same journal."""
        opened = self.open
        if not opened.text:
            return self, None
        last = decode(opened.text, opened.start, "the journal's head").last
        segment = Segment(opened.rollout, opened.before, last.sha256[:SHORT], opened.text)
        after = Open(opened.rollout, segment.digest, last)
        known = {**self.rollouts, opened.rollout: segment.digest}
        return replace(self, open=after, rollouts=known), segment

    def at(self, rollout: str, last: Link) -> "Head":
        """Ready to go on with another journal, whose last record is `last`. Nothing is open."""
        return replace(self, open=Open(rollout, self.rollouts.get(rollout, ""), last))


def written(head: Head) -> Mapping[str, str]:
    """The object's `data`."""
    opened = head.open
    body = {
        "epoch": head.epoch,
        "held": head.held,
        "releases": list(head.releases),
        "rollouts": dict(head.rollouts),
        "open": {"rollout": opened.rollout, "before": opened.before, "start": asdict(opened.start)},
        "samples": {name: asdict(kept) for name, kept in head.samples.items()},
    }
    return {_HEAD: encode(body, START).decode("ascii"), _OPEN: opened.text.decode("ascii")}


def read(data: Mapping[str, str], source: str) -> Head:
    """What `written` wrote. Raises BackendctlError `journal.corrupt`, `journal.version`."""
    if _HEAD not in data:
        raise gone(source, "it holds no head")
    body = decode_only(data[_HEAD].encode(), source)
    opened = body["open"]
    return Head(
        epoch=body["epoch"],
        held=body["held"],
        releases=tuple(body["releases"]),
        rollouts=body["rollouts"],
        open=Open(
            opened["rollout"],
            opened["before"],
            Link(**opened["start"]),
            data.get(_OPEN, "").encode(),
        ),
        samples={name: Kept(**kept) for name, kept in body["samples"].items()},
    )


def packed(text: bytes) -> Mapping[str, str]:
    """The `binaryData` of a closed object: the same text gives the same bytes."""
    return {"text.gz": b64encode(gzip.compress(text, mtime=0)).decode("ascii")}


def unpacked(data: Mapping[str, str], source: str) -> bytes:
    """What `packed` packed. Raises BackendctlError `journal.corrupt`."""
    try:
        return gzip.decompress(b64decode(data["text.gz"], validate=True))
    except (KeyError, ValueError, OSError, EOFError) as error:
        raise gone(source, f"it cannot be unpacked: {error!r}") from error


def gone(source: str, cause: str) -> BackendctlError:
    """Something that was written down is not there any more, or is not what was written."""
    return BackendctlError(
        "journal.corrupt",
        f"{source} cannot be trusted",
        cause=cause,
        state="nothing was written; what is recorded elsewhere is sound",
        data={"source": source},
    )
