"""Whole rollouts on a virtual clock, and what became of them."""

from dataclasses import dataclass
from statistics import median

from backendctl.rollout.verdict import Limits
from bench.verdict.engines.base import Ending, Engine, Setting
from bench.verdict.traces import Trace
from bench.verdict.traffic import Traffic, history

PATIENCE = 5 * 3600.0
"""Seconds after which a rollout that has not ended counts as inconclusive (a Flagger whose checks
keep failing under its threshold would go on for ever)."""

SHARED_HISTORY = 10
"""Rollouts in a row that follow on the same history: making one takes as long as a rollout."""


@dataclass(frozen=True)
class Outcome:
    """One rollout's end."""

    ending: Ending
    seconds: float
    requests: int
    """Sent to the candidate until the decision ..."""
    errors: int
    """... and how many of them failed, whatever was measured."""


@dataclass(frozen=True)
class Cell:
    """Outcomes of many rollouts of one trace at one traffic."""

    engine: str
    schedule: str
    trace: Trace
    rps: float
    outcomes: tuple[Outcome, ...]

    def count(self, ending: Ending) -> int:
        return sum(o.ending is ending for o in self.outcomes)

    def median(self, field: str, ending: Ending | None = None) -> float | None:
        """Of those that ended so; None if none did."""
        values = [getattr(o, field) for o in self.outcomes if ending in (None, o.ending)]
        return float(median(values)) if values else None


def limits(trace: Trace) -> Limits:
    return Limits(error_rate=trace.limit, p95_s=0.3, p99_s=1.0, stable_p99_s=0.8)


def rollout(engine: Engine, trace: Trace, rps: float, seed: int) -> Outcome:
    """Drive one rollout to its end. The same seed gives all engines the same world."""
    setting = Setting(
        limits(trace),
        rps,
        lambda: history(trace, rps, 500_000_000 + seed // SHARED_HISTORY),
        trace.sticky,
        seed + 900_000_000,
    )
    run, traffic = engine.begin(setting), Traffic(trace, rps, seed)
    now = shift = 0.0
    requests = errors = 0
    weight = run.weight
    while now < PATIENCE:
        seconds = run.look
        seen = traffic.block(now, seconds, weight, now - shift)
        now += seconds
        requests, errors = requests + seen.requests, errors + seen.errors
        ending = run.see(seen.block)
        if ending is not None:
            return Outcome(ending, now, requests, errors)
        if run.weight != weight:
            weight, shift = run.weight, now
    return Outcome(Ending.INCONCLUSIVE, now, requests, errors)


def cell(engine: Engine, trace: Trace, rps: float, runs: int, seed: int) -> Cell:
    """`runs` rollouts with the seeds from `seed` on."""
    outcomes = tuple(rollout(engine, trace, rps, seed + run) for run in range(runs))
    return Cell(engine.name, engine.schedule, trace, rps, outcomes)
