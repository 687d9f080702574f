"""Measurements made up for tests."""

import random
from collections.abc import Callable
from pathlib import Path

from backendctl.loadtest.measurement import Measurement, Outcome, Recorder
from backendctl.loadtest.profile import Loop, Profile, Stage, derive
from backendctl.loadtest.results import LoadTestResult
from backendctl.loadtest.verdict import judge
from backendctl.spec.model import Load, Slo

SLO = Slo(p95=0.3, p99=1.0, error_rate=0.01)
LOAD = Load(peak_rps=100, peak_users=1000, sustained_users=500, think_time=10)


def stage(name: str = "hold", duration: float = 20.0, rate: float = 200.0) -> Stage:
    return Stage(name, Loop.OPEN, duration, rate, rate, judged=True)


def measured(
    stages: tuple[Stage, ...] = (stage(),),
    *,
    latency: Callable[[random.Random], float] = lambda rng: rng.expovariate(20),
    error_share: float = 0.0,
    lag: float = 0.001,
    lag_share: float = 0.0,
    cpu: tuple[float, ...] = (),
    seed: int = 1,
) -> Measurement:
    """A run in which every request was sent; `lag_share` of them 1 s late."""
    rng = random.Random(seed)
    recorder = Recorder()
    measurement = Measurement()
    began = 1000.0
    for index, each in enumerate(stages):
        count = each.arrivals
        recorder.scheduled(index, count)
        for _ in range(count):
            second = int(rng.random() * each.duration)
            recorder.started(index, 1.0 if rng.random() < lag_share else lag)
            outcome = Outcome.SERVER_ERROR if rng.random() < error_share else Outcome.OK
            status = 500 if outcome is Outcome.SERVER_ERROR else 200
            seconds = latency(rng)
            recorder.ended(index, second, "GET /items", outcome, status, seconds, seconds)
        measurement.spans[index] = (began, began + each.duration)
        began += each.duration
    measurement.merge(recorder.take())
    measurement.cpu["worker 0"] = [(1001.0 + i, used) for i, used in enumerate(cpu)]
    return measurement


def result_of(
    folder: Path,
    measurement: Measurement | None = None,
    stages: tuple[Stage, ...] = (stage(),),
    **changes: object,
) -> LoadTestResult:
    """A whole result around a measurement."""
    from dataclasses import replace

    found = measurement or measured(stages)
    profile: Profile = replace(derive(LOAD, SLO, cores=2), stages=stages)
    fields: dict[str, object] = {
        "id": folder.name,
        "target": "http://127.0.0.1:1",
        "environment": "local",
        "began": 1_800_000_000.0,
        "seconds": 25.0,
        "profile": profile,
        "measurement": found,
        "verdict": judge(stages, found, SLO),
        "folder": folder,
        "source": "a test",
        "left_out": {"POST /purge": "it may do anything"},
    }
    return LoadTestResult(**{**fields, **changes})  # type: ignore[arg-type]
