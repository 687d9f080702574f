"""What was measured: recorded in each worker, sent every second, merged without rounding.

Two clocks run for every request. *Response time* counts from the moment the request was meant to
be sent, *service time* from the moment it was. They differ by the schedule lag, which is the
generator's own fault and is kept apart, so that it can be judged.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from backendctl.loadtest.histogram import Histogram


class Outcome(StrEnum):
    """How a request ended."""

    OK = "ok"
    SERVER_ERROR = "server error"
    """Status 5xx."""
    UNDOCUMENTED = "undocumented status"
    """A status that the operation's OpenAPI description does not list."""
    TIME_OUT = "time-out"
    TRANSPORT = "transport error"
    """Refused, reset, or not HTTP."""
    SHED = "not sent: too many in flight"
    """The service left so many requests unanswered that no more fitted; see `Limits`."""
    UNFINISHED = "unanswered at the end"
    FAILED = "failed by the locustfile"
    REFUSED = "refused"
    """A documented 4xx: the request was at fault, so it is no error of the service. Too many of
    these and the test is invalid, for it did not do the work it was meant to."""


TIMED = frozenset(
    {
        Outcome.OK,
        Outcome.SERVER_ERROR,
        Outcome.UNDOCUMENTED,
        Outcome.TIME_OUT,
        Outcome.UNFINISHED,
        Outcome.FAILED,
    }
)
"""Outcomes whose time says how long a user waited. A refused request or connection is answered
quickly and would only make the latencies look better."""
NO_ERROR = frozenset({Outcome.OK, Outcome.REFUSED})


@dataclass(slots=True)
class Operation:
    """One kind of request within one stage."""

    response: Histogram = field(default_factory=Histogram)
    outcomes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return sum(self.outcomes.values())

    @property
    def errors(self) -> int:
        return self.count - sum(self.outcomes[outcome] for outcome in NO_ERROR)

    def to_data(self) -> dict[str, Any]:
        return {
            "response": self.response.to_data(),
            "outcomes": dict(self.outcomes),
            "statuses": dict(self.statuses),
        }

    def merge_data(self, data: Mapping[str, Any]) -> None:
        self.response.merge(Histogram.from_data(data["response"]))
        self.outcomes.update(data["outcomes"])
        self.statuses.update(data["statuses"])


@dataclass(slots=True)
class Second:
    """Requests that were meant to be sent within one second of a stage."""

    count: int = 0
    errors: int = 0
    response: Histogram = field(default_factory=Histogram)

    def to_data(self) -> dict[str, Any]:
        return {"count": self.count, "errors": self.errors, "response": self.response.to_data()}

    def merge_data(self, data: Mapping[str, Any]) -> None:
        self.count += data["count"]
        self.errors += data["errors"]
        self.response.merge(Histogram.from_data(data["response"]))


@dataclass(slots=True)
class StageMeasurement:
    """One stage, from one worker for one second or from all for its whole length."""

    scheduled: int = 0
    """Requests that were meant to be sent."""
    started: int = 0
    """Of those, requests that were sent."""
    in_flight: int = 0
    """Requests sent and not yet ended, when this was looked at."""
    service: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)
    """How much later than meant each request was sent."""
    operations: dict[str, Operation] = field(default_factory=dict)
    seconds: dict[int, Second] = field(default_factory=dict)

    def operation(self, name: str) -> Operation:
        return self.operations.setdefault(name, Operation())

    @property
    def response(self) -> Histogram:
        """Response times of all operations."""
        merged = Histogram()
        for operation in self.operations.values():
            merged.merge(operation.response)
        return merged

    @property
    def count(self) -> int:
        """Requests that ended, one way or the other."""
        return sum(operation.count for operation in self.operations.values())

    @property
    def errors(self) -> int:
        return sum(operation.errors for operation in self.operations.values())

    @property
    def outcomes(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for operation in self.operations.values():
            total.update(operation.outcomes)
        return total

    def to_data(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "scheduled": self.scheduled,
            "started": self.started,
            "in_flight": self.in_flight,
            "service": self.service.to_data(),
            "lag": self.lag.to_data(),
            "operations": {name: kind.to_data() for name, kind in self.operations.items()},
            "seconds": {str(number): second.to_data() for number, second in self.seconds.items()},
        }

    def merge_data(self, data: Mapping[str, Any]) -> None:
        """Add what `to_data` gave."""
        self.scheduled += data["scheduled"]
        self.started += data["started"]
        self.in_flight += data["in_flight"]
        self.service.merge(Histogram.from_data(data["service"]))
        self.lag.merge(Histogram.from_data(data["lag"]))
        for name, operation in data["operations"].items():
            self.operation(name).merge_data(operation)
        for number, second in data["seconds"].items():
            self.seconds.setdefault(int(number), Second()).merge_data(second)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        made = cls()
        made.merge_data(data)
        return made


class Recorder:
    """Counts in a worker, and hands out what is new since it was last asked."""

    def __init__(self) -> None:
        self._fresh: dict[int, StageMeasurement] = {}
        self.in_flight = 0
        self.count = 0
        """Requests that have ended, one way or the other, since the beginning."""

    def _stage(self, stage: int) -> StageMeasurement:
        found = self._fresh.get(stage)
        if found is None:
            found = self._fresh[stage] = StageMeasurement()
        return found

    def scheduled(self, stage: int, count: int = 1) -> None:
        """So many requests are meant to be sent in the stage."""
        self._stage(stage).scheduled += count

    def started(self, stage: int, lag: float) -> None:
        """A request is being sent, `lag` seconds after it should have been."""
        record = self._stage(stage)
        record.started += 1
        record.in_flight += 1
        record.lag.record(lag)
        self.in_flight += 1

    def ended(
        self,
        stage: int,
        second: int,
        operation: str,
        outcome: Outcome,
        status: int,
        response: float,
        service: float,
    ) -> None:
        """A started request ended; `second` is the one of the stage it was meant to be sent in."""
        record = self._stage(stage)
        record.in_flight -= 1
        self.in_flight -= 1
        self._count(record, second, operation, outcome, status)
        if outcome in TIMED:
            record.operations[operation].response.record(response)
            record.service.record(service)
            record.seconds[second].response.record(response)

    def shed(self, stage: int, second: int, operation: str) -> None:
        """A request could not be sent because too many others wait for their answers."""
        self._count(self._stage(stage), second, operation, Outcome.SHED, 0)

    def _count(
        self,
        record: StageMeasurement,
        second: int,
        operation: str,
        outcome: Outcome,
        status: int,
    ) -> None:
        self.count += 1
        kind = record.operation(operation)
        kind.outcomes[outcome] += 1
        kind.statuses[str(status) if status else outcome.value] += 1
        window = record.seconds.setdefault(second, Second())
        window.count += 1
        window.errors += outcome not in NO_ERROR

    def take(self) -> dict[str, Any]:
        """What is new, by stage, as plain values; from here on it is no longer new."""
        fresh, self._fresh = self._fresh, {}
        return {str(stage): record.to_data() for stage, record in fresh.items()}


@dataclass(slots=True)
class Measurement:
    """The whole test, as far as it went."""

    stages: dict[int, StageMeasurement] = field(default_factory=dict)
    spans: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Stage -> when it began and was meant to end, seconds since the epoch."""
    cpu: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """Worker -> (seconds since the epoch, percent of one core over the second before)."""
    counted: dict[str, int] = field(default_factory=dict)
    """Worker -> requests that ended, by its own count: known of those that came to their end."""
    lost: list[str] = field(default_factory=list)
    """Workers that ended, or fell silent, before the test did, and how."""
    interrupted: bool = False

    def merge(self, delta: Mapping[str, Any]) -> None:
        """Add what a worker's `Recorder.take` gave."""
        for stage, data in delta.items():
            self.stages.setdefault(int(stage), StageMeasurement()).merge_data(data)

    @property
    def count(self) -> int:
        """Requests that ended, in all stages, as they were merged."""
        return sum(found.count for found in self.stages.values())

    def seconds_of(self, stage: int, planned: float) -> float:
        """How long a stage lasted; one that waits until the service is stable takes longer."""
        began, ended = self.spans.get(stage, (0.0, planned))
        return ended - began

    def cpu_during(self, stage: int) -> Iterator[tuple[str, list[float]]]:
        """Per worker, the 1 s samples that lie within the stage by at least half."""
        began, ended = self.spans.get(stage, (0.0, 0.0))
        for worker, samples in self.cpu.items():
            yield worker, [used for at, used in samples if began + 0.5 <= at <= ended + 0.5]

    def to_data(self) -> dict[str, Any]:
        return {
            "stages": {str(k): v.to_data() for k, v in sorted(self.stages.items())},
            "spans": {str(k): list(v) for k, v in sorted(self.spans.items())},
            "cpu": {k: [list(s) for s in v] for k, v in self.cpu.items()},
            "counted": self.counted,
            "lost": self.lost,
            "interrupted": self.interrupted,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        made = cls(
            spans={int(k): (v[0], v[1]) for k, v in data["spans"].items()},
            cpu={k: [(s[0], s[1]) for s in v] for k, v in data["cpu"].items()},
            counted=dict(data.get("counted", {})),
            lost=list(data["lost"]),
            interrupted=data["interrupted"],
        )
        made.merge(data["stages"])
        return made
