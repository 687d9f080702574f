"""How much longer a hold must be to decide what it left open."""

import math
from collections.abc import Iterable
from dataclasses import replace

from backendctl.loadtest.measurement import Measurement, StageMeasurement
from backendctl.loadtest.profile import Loop, Stage
from backendctl.loadtest.verdict import Check, Result, Verdict, checks_of
from backendctl.spec.model import Slo

MARGIN = 1.25
"""The requests to come will not be exactly like those seen: this many times what these ask for."""
LONGEST_ADVICE = 3600.0
"""Seconds. Numbers that need a longer hold lie at the promise itself."""


def extended(
    stage: Stage, found: StageMeasurement, limits: Slo, judged_stages: int
) -> Stage | None:
    """The stage with the time it needs to be decided; None where it is, or that takes too long.

    Made for the moment just before its end: the newest counts are still on their way, so the
    rate at which requests come is taken from what was asked for wherever that is known.
    """
    checks = checks_of(stage, found, limits, judged_stages)
    if any(check.result is Result.FAIL for check in checks):
        return None
    missing = _seconds(checks, _rate(stage, found)) - stage.duration
    if not 0 < missing <= stage.spare:
        return None
    wanted = MARGIN * (stage.duration + missing) - stage.duration
    longer = _whole_arrivals(stage, min(wanted, stage.spare))
    return replace(stage, duration=stage.duration + longer, spare=0.0, extended=longer)


def hold_needed(
    stages: Iterable[Stage], measurement: Measurement, verdict: Verdict
) -> float | None:
    """Seconds of hold that decide what this test left open, rounded up; None if none does."""
    longest = 0.0
    for index, stage in enumerate(stages):
        checks = [check for check in verdict.checks if check.stage == stage.name]
        found = measurement.stages.get(index)
        if checks and found is not None:
            rate = found.count / measurement.seconds_of(index, stage.duration)
            longest = max(longest, MARGIN * _seconds(checks, rate))
    return _rounded_up(longest) if 0 < longest <= LONGEST_ADVICE else None


def _seconds(checks: Iterable[Check], rate: float) -> float:
    """Seconds of requests at `rate` that decide all checks; infinite where none do."""
    needed = [
        math.inf if check.needed is None else check.needed
        for check in checks
        if check.result is Result.INCONCLUSIVE
    ]
    return max(needed, default=0.0) / rate if rate else math.inf


def _rate(stage: Stage, found: StageMeasurement) -> float:
    """Requests a second. A closed loop makes what it makes: its whole seconds say how many."""
    if stage.loop is Loop.OPEN:
        return stage.to_rate
    covered = min(stage.duration, max(found.seconds, default=0) + 1)
    return found.count / covered


def _whole_arrivals(stage: Stage, seconds: float) -> float:
    """About `seconds`, such that the stage's rate makes a whole number of arrivals of it."""
    if stage.loop is Loop.CLOSED:
        return seconds
    return max(1, math.floor(seconds * stage.to_rate)) / stage.to_rate


def _rounded_up(seconds: float) -> float:
    """To 5 s up to a minute, to 30 s up to ten, then to whole minutes."""
    step = 5 if seconds <= 60 else 30 if seconds <= 600 else 60
    return float(step * math.ceil(seconds / step))
