"""What the conductor makes of what it hears."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from backendctl.loadtest.conductor import Conductor
from backendctl.loadtest.measurement import Measurement, Outcome, Recorder
from backendctl.loadtest.processes import Processes
from backendctl.loadtest.profile import Durations, Loop, derive
from backendctl.loadtest.verdict import Result, judge
from backendctl.spec.model import Load, Slo

PROFILE = replace(
    derive(
        Load(peak_rps=10, peak_users=10, sustained_users=1, think_time=1.0),
        Slo(),
        Durations(0.05, 0.05, 0.05, 0.05, 0.05),
        loops=frozenset({Loop.OPEN}),
    ),
    workers=2,
)


class Scripted:
    """Two workers that count what they are told to, and say so when they are asked to finish."""

    def __init__(self, kept_back: int = 0) -> None:
        self._kept_back = kept_back
        self._to_say: list[Mapping[str, Any]] = [{"say": "ready"}]

    def tell(self, command: Mapping[str, Any]) -> None:
        if command["do"] == "stage":
            self._to_say += [self._delta(each, command["order"]["stage"]) for each in (0, 1)]
        if command["do"] == "finish":
            stages = len(PROFILE.stages)
            for index, more in enumerate((0, self._kept_back)):
                count = stages * (index + 1) + more
                self._to_say.append({"say": "final", "worker": f"worker {index}", "count": count})

    def _delta(self, index: int, stage: int) -> Mapping[str, Any]:
        recorder = Recorder()
        for _ in range(index + 1):
            recorder.scheduled(stage)
            recorder.started(stage, 0.0)
            recorder.ended(stage, 0, "GET /", Outcome.OK, 200, 0.001, 0.001)
        assert recorder.count == index + 1
        return {
            "say": "delta",
            "worker": f"worker {index}",
            "in_flight": 0,
            "cpu": None,
            "at": time.time(),
            "stages": recorder.take(),
        }

    def hear(self, seconds: float) -> Iterator[Mapping[str, Any]]:
        said, self._to_say = self._to_say, []
        yield from said

    def ended(self) -> dict[str, int]:
        return {}


def conducted(processes: Scripted) -> Measurement:
    found = Measurement()
    real = cast("Processes", processes)
    Conductor(real, PROFILE, found, lambda _: None, lambda: None).conduct()
    return found


def test_what_is_merged_is_what_the_workers_counted() -> None:
    found = conducted(Scripted())
    stages = len(PROFILE.stages)
    assert found.counted == {"worker 0": stages, "worker 1": 2 * stages}
    assert found.count == 3 * stages
    assert found.lost == []


@pytest.mark.parametrize("kept_back", [1, -1])
def test_a_request_that_got_lost_on_the_way_makes_the_measurement_invalid(kept_back: int) -> None:
    found = conducted(Scripted(kept_back))
    stages = len(PROFILE.stages)
    (why,) = found.lost
    assert f"{3 * stages + kept_back} requests were counted" in why
    assert f"{3 * stages} arrived" in why
    assert judge(PROFILE.stages, found, PROFILE.limits).result is Result.INVALID
