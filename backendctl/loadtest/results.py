"""What a load test found, and where it is kept.

A test has a folder of its own, `.backendctl/<environment>/loadtests/<id>/`, readable by its owner
only: `result.json` (the numbers), `measurement.json` (the histograms they come from),
`report.html`, `junit.xml`, and the generator's plan and log.
"""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.loadtest.measurement import Measurement, StageMeasurement
from backendctl.loadtest.private import write_private
from backendctl.loadtest.profile import Loop, Profile, Stage, profile_from_data
from backendctl.loadtest.verdict import Check, Result, Verdict

RESULT_FILE = "result.json"
MEASUREMENT_FILE = "measurement.json"
HTML_FILE = "report.html"
JUNIT_FILE = "junit.xml"


@dataclass(frozen=True, slots=True)
class LoadTestResult:
    """One load test."""

    id: str
    target: str
    environment: str
    began: float
    """Seconds since the epoch."""
    seconds: float
    profile: Profile
    measurement: Measurement
    verdict: Verdict
    folder: Path
    source: str = ""
    """Where the requests came from, for a person."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Operations that were not sent, and why."""

    @property
    def result(self) -> Result:
        return self.verdict.result

    @property
    def interrupted(self) -> bool:
        return self.measurement.interrupted

    @property
    def offered_rps(self) -> float:
        """Requests per second that were meant to be sent in the hold: twice the expected peak."""
        return self._per_second(lambda found: found.scheduled)

    @property
    def achieved_rps(self) -> float:
        """Of those, requests per second that were really sent."""
        return self._per_second(lambda found: found.started)

    @property
    def p95_ms(self) -> float | None:
        """95th percentile of the response time in the hold, from the intended send time."""
        return self._quantile(0.95)

    @property
    def p99_ms(self) -> float | None:
        return self._quantile(0.99)

    @property
    def requests(self) -> int:
        """Requests sent in all stages."""
        return sum(found.started for found in self.measurement.stages.values())

    @property
    def errors(self) -> int:
        return sum(found.errors for found in self.measurement.stages.values())

    @property
    def knee_rps(self) -> float | None:
        """The highest rate of a stress test at which the promises still held; None without one."""
        stages = list(enumerate(self.profile.stages))
        if not any(stage.name.startswith("stress") for _, stage in stages):
            return None
        held = [
            stage.to_rate
            for index, stage in stages
            if (stage.name == "hold" or stage.name.startswith("stress"))
            and holds(self.measurement.stages.get(index), self.profile)
        ]
        return max(held, default=0.0)

    def stage(self, name: str) -> tuple[Stage, StageMeasurement] | None:
        """The stage of that name and what was measured in it."""
        for index, stage in enumerate(self.profile.stages):
            if stage.name == name and index in self.measurement.stages:
                return stage, self.measurement.stages[index]
        return None

    def _hold(self) -> tuple[Stage, StageMeasurement] | None:
        return self.stage("hold") or self.stage("closed hold")

    def _per_second(self, count: Any) -> float:
        found = self._hold()
        return 0.0 if found is None else round(count(found[1]) / found[0].duration, 3)

    def _quantile(self, fraction: float) -> float | None:
        found = self._hold()
        if found is None:
            return None
        response = found[1].response
        return round(response.quantile(fraction) * 1000, 3) if response.count else None

    def to_data(self) -> dict[str, Any]:
        """The numbers, as plain values."""
        return {
            "id": self.id,
            "result": self.result.value,
            "target": self.target,
            "environment": self.environment,
            "began": self.began,
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
            "offered_rps": self.offered_rps,
            "achieved_rps": self.achieved_rps,
            "p95_ms": self.p95_ms,
            "p99_ms": self.p99_ms,
            "requests": self.requests,
            "requests_by_worker": dict(sorted(self.measurement.counted.items())),
            "errors": self.errors,
            "extended_s": round(sum(stage.extended for stage in self.profile.stages), 3),
            "knee_rps": self.knee_rps,
            "verdict": self.verdict.to_data(),
            "stages": [
                stage_data(
                    stage,
                    self.measurement.stages[index],
                    self.measurement.seconds_of(index, stage.duration),
                )
                for index, stage in enumerate(self.profile.stages)
                if index in self.measurement.stages
            ],
            "profile": self.profile.to_data(),
            "source": self.source,
            "left_out": dict(self.left_out),
            "folder": str(self.folder),
        }


def holds(found: StageMeasurement | None, profile: Profile) -> bool:
    """Whether a stage kept the promises as measured, without regard to certainty."""
    if found is None or not found.count:
        return False
    response, limits = found.response, profile.limits
    if not response.count or found.errors > limits.error_rate * found.count:
        return False
    return response.quantile(0.95) <= limits.p95 and response.quantile(0.99) <= limits.p99


def stage_data(stage: Stage, found: StageMeasurement, seconds: float) -> dict[str, Any]:
    """One stage's numbers; `seconds` is how long it lasted."""
    return {
        "name": stage.name,
        "loop": stage.loop.value,
        "seconds": round(seconds, 3),
        "extended_s": round(stage.extended, 3),
        "offered_rps": round(found.scheduled / seconds, 3),
        "achieved_rps": round(found.started / seconds, 3),
        "users": stage.users if stage.loop is Loop.CLOSED else None,
        "scheduled": found.scheduled,
        "started": found.started,
        "errors": found.errors,
        "outcomes": dict(found.outcomes),
        "response_ms": _milliseconds(found.response),
        "service_ms": _milliseconds(found.service),
        "schedule_lag_ms": _milliseconds(found.lag),
        "operations": {
            name: {
                "requests": operation.count,
                "errors": operation.errors,
                "statuses": dict(operation.statuses),
                "response_ms": _milliseconds(operation.response),
            }
            for name, operation in sorted(found.operations.items())
        },
    }


def _milliseconds(histogram: Any) -> dict[str, float] | None:
    if not histogram.count:
        return None
    points = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(histogram.quantile(q) * 1000, 3) for name, q in points.items()}


# --- keeping ------------------------------------------------------------------------------------


def new_id() -> str:
    """Sorts by time; two in the same second differ."""
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + "-" + secrets.token_hex(2)


def save(result: LoadTestResult) -> None:
    """Keep the numbers and what they come from."""
    write_private(result.folder / MEASUREMENT_FILE, json.dumps(result.measurement.to_data()))
    write_private(result.folder / RESULT_FILE, json.dumps(result.to_data(), indent=1))


def load(folder: Path) -> LoadTestResult:
    """A kept result. Raises `missing.data`."""
    try:
        data = json.loads((folder / RESULT_FILE).read_text())
        measured = json.loads((folder / MEASUREMENT_FILE).read_text())
    except (OSError, ValueError) as error:
        raise BackendctlError(
            "missing.data",
            f"there is no load test {folder.name!r}",
            cause=str(error),
            next=("backendctl loadtest report --list",),
        ) from error
    checks = tuple(
        Check(**{**check, "result": Result(check["result"])}) for check in data["verdict"]["checks"]
    )
    return LoadTestResult(
        id=data["id"],
        target=data["target"],
        environment=data["environment"],
        began=data["began"],
        seconds=data["seconds"],
        profile=profile_from_data(data["profile"]),
        measurement=Measurement.from_data(measured),
        verdict=Verdict(
            Result(data["verdict"]["result"]), checks, tuple(data["verdict"]["reasons"])
        ),
        folder=folder,
        source=data["source"],
        left_out=data["left_out"],
    )


def kept(root: Path) -> list[str]:
    """Ids of all kept results, oldest first; `root` is the environment's `loadtests` folder."""
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in root.iterdir() if (entry / RESULT_FILE).is_file())
