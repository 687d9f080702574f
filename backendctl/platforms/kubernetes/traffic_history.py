"""What each release did in the last day, in ConfigMaps: one for each hour, 25 in all.

The hour's object is rewritten with every span (a few kilobytes: lines of JSON, compressed) and
begins anew when its hour comes round again, so nothing is ever deleted. There is one writer, the
environment's watchdog; a second one is refused by the object's version.
"""

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Span
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.errors import Conflict
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.span_lines import DAY, Times, line_of, outside, span_of

HOUR = 3600.0
SEGMENTS = 25
MOST_LINES = 4000
"""Lines of one hour; five releases' spans of ten seconds are 1800. Further ones are dropped."""
_COMPONENT = "traffic"
_SPANS = "spans"
_HOUR = "hour"
_EDGES = "edges"
_LEFT_OUT = "left-out"
_ATTEMPTS = 5


@dataclass(slots=True)
class _Segment:
    """One hour as it is kept."""

    hour: int
    lines: list[str] = field(default_factory=list)
    edges: tuple[float, ...] = ()
    version: str = ""
    """The object's; "" for one that is not there."""


class TrafficHistory:
    """Spans of all releases. Making one touches nothing."""

    def __init__(self, cluster: Cluster, naming: Naming) -> None:
        self._cluster = cluster
        self._naming = naming
        self._open: _Segment | None = None

    def append(self, spans: Iterable[Span]) -> None:
        """Add spans. Raises BackendctlError when they cannot be written."""
        by_hour: dict[int, list[Span]] = {}
        for span in spans:
            by_hour.setdefault(int(span.start // HOUR), []).append(span)
        for hour, found in sorted(by_hour.items()):
            self._append(hour, found)

    def since(self, moment: float) -> Sequence[Span]:
        """Whole spans that began at or after `moment`, by their beginning: those that were counted
        at the same edges as the newest."""
        segments = sorted(self._segments(), key=lambda each: each.hour)
        edges = segments[-1].edges if segments else ()
        found = (
            span_of(line, edges)
            for segment in segments
            if segment.edges == edges and (segment.hour + 1) * HOUR > moment
            for line in segment.lines
        )
        return outside((each for each in found if each), moment, self.left_out())

    def leave_out(self, start: float, end: float) -> None:
        """Spans that overlap with that time are not given back any more."""
        for _ in range(_ATTEMPTS):
            now = self._get(_LEFT_OUT)
            kept = [each for each in _times(now) if each[1] >= start - DAY]
            body = {"data": {_LEFT_OUT: json.dumps([*kept, (start, end)])}}
            try:
                self._put(_LEFT_OUT, body, _version(now))
            except Conflict:
                continue
            return
        raise BackendctlError(
            "platform.conflict",
            f"ConfigMap {self._name(_LEFT_OUT)} is changed by others all the time",
            state="the time of the load test counts as users' traffic",
        )

    def _append(self, hour: int, spans: Sequence[Span]) -> None:
        edges = spans[0].latencies.edges_ms
        for _ in range(_ATTEMPTS):
            segment = self._open
            if segment is None or segment.hour != hour:
                segment = self._read(hour)
            if segment.edges != edges:
                segment.lines.clear()  # counted at other edges: they cannot be added to these
                segment.edges = edges
            lines = [*segment.lines, *map(line_of, spans)][:MOST_LINES]
            body = {
                "data": {_HOUR: str(hour), _EDGES: json.dumps(edges)},
                "binaryData": {_SPANS: _packed(lines)},
            }
            try:
                segment.version = self._put(_number(hour), body, segment.version)
            except Conflict:
                self._open = None
                continue
            segment.lines = lines
            self._open = segment
            return

    def _read(self, hour: int) -> _Segment:
        found = self._get(_number(hour))
        segment = _segment(found) if found else None
        if segment is None or segment.hour != hour:
            return _Segment(hour, version=_version(found))
        return segment

    def _segments(self) -> Iterator[_Segment]:
        labels = {**self._naming.selector, **_component(self._naming)}
        for each in self._cluster.list("ConfigMap", labels):
            segment = _segment(each)
            if segment is not None:
                yield segment

    def left_out(self) -> Sequence[Times]:
        """The times that `leave_out` was told."""
        return _times(self._get(_LEFT_OUT))

    def _get(self, name: str) -> Mapping[str, Any] | None:
        return self._cluster.get("ConfigMap", self._name(name))

    def _put(self, name: str, body: Mapping[str, Any], version: str) -> str:
        """Write it in the place of that version; its new version."""
        metadata = {
            "name": self._name(name),
            "namespace": self._naming.namespace,
            "labels": dict(self._naming.labels(_COMPONENT)),
        }
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **body}
        if not version:
            return _version(self._cluster.create(manifest))
        metadata["resourceVersion"] = version
        return _version(self._cluster.replace(manifest))

    def _name(self, part: str) -> str:
        return f"{self._naming.service}-traffic-{part}"


def _component(naming: Naming) -> Mapping[str, str]:
    labels = naming.labels(_COMPONENT)
    return {key: value for key, value in labels.items() if value == _COMPONENT}


def _number(hour: int) -> str:
    return f"{hour % SEGMENTS:02d}"


def _version(found: Mapping[str, Any] | None) -> str:
    return str(found["metadata"]["resourceVersion"]) if found else ""


def _segment(found: Mapping[str, Any]) -> _Segment | None:
    """None for an object that holds no spans, or none that can be read."""
    data = found.get("data") or {}
    try:
        return _Segment(
            int(data[_HOUR]),
            _unpacked(found["binaryData"][_SPANS]),
            tuple(map(float, json.loads(data[_EDGES]))),
            _version(found),
        )
    except (KeyError, ValueError, zlib.error):
        return None


def _times(found: Mapping[str, Any] | None) -> Sequence[Times]:
    if found is None:
        return []
    try:
        return [(float(a), float(b)) for a, b in json.loads(found["data"][_LEFT_OUT])]
    except (KeyError, ValueError, TypeError):
        return []


def _packed(lines: Sequence[str]) -> str:
    return base64.b64encode(zlib.compress("\n".join(lines).encode())).decode()


def _unpacked(text: str) -> list[str]:
    return zlib.decompress(base64.b64decode(text)).decode().splitlines()
