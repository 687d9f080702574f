"""Which cells are run, how often, and on which seeds; spread over the cores."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.verdict.engines import COMMON, ENGINES, NATIVE, Engine, Kayenta, Ours, Plain
from bench.verdict.simulate import Cell, Outcome, cell
from bench.verdict.traces import (
    EVALUATION,
    EVALUATION_SEED,
    INDEPENDENT,
    TUNING,
    TUNING_SEED,
    Trace,
    called,
    place,
)

RPS = (1.0, 10.0, 100.0, 1000.0)
CHUNK = 50
"""Runs that one process does at a time."""
SEEDS_A_CELL, SEEDS_A_TRACE = 10_000, 100_000

# Runs of a cell, so that the whole stays under ten minutes on two cores: most where a target of 1
# or 2 % hangs on a narrow interval (0 of 400 has an upper bound of 1 %), few where a rollout is
# long. `--scale` multiplies them all.
OUR_RUNS = {
    "carrying": {1.0: 80, 10.0: 250, 100.0: 500, 1000.0: 500},
    "independent": {1.0: 30, 10.0: 80, 100.0: 200, 1000.0: 200},
    "disturbed": {1.0: 15, 10.0: 100, 100.0: 80, 1000.0: 100},
    "bad": {1.0: 10, 10.0: 30, 100.0: 50, 1000.0: 50},
}
CARRYING = ("independent 0.5 %", "errors 2x")
OUR_COMMON_RUNS = 8
PEER_RUNS = {NATIVE: 100, COMMON: 50}
KAYENTA_RUNS = {NATIVE: 40, COMMON: 20}
BARE = ("errors 2x", "errors 10x")
BARE_ENDPOINT = "broken endpoint"
BARE_RUNS = 200


@dataclass(frozen=True)
class Job:
    """Some runs of a cell."""

    engine: Engine
    trace: Trace
    rps: float
    runs: int
    seed: int


@dataclass(frozen=True)
class Wanted:
    """What to run."""

    traces: Sequence[Trace]
    engines: Sequence[Engine]
    rps: Sequence[float]
    seed: int
    scale: float = 1.0
    """Times the usual number of runs."""
    spread: bool = True
    """Whether each cell has seeds of its own."""

    def jobs(self) -> Iterator[Job]:
        for engine in self.engines:
            for trace in self.traces:
                for rps in self.rps:
                    seed = self.seed
                    if self.spread:
                        seed += place(trace.name) * SEEDS_A_TRACE + RPS.index(rps) * SEEDS_A_CELL
                    runs = max(1, round(self.scale * _runs(engine, trace, rps)))
                    for first in range(0, runs, CHUNK):
                        yield Job(engine, trace, rps, min(CHUNK, runs - first), seed + first)


def evaluation(scale: float = 1.0) -> tuple[Wanted, ...]:
    """Everything the table shows."""
    bare = tuple(called(name) for name in BARE)
    return (
        Wanted(EVALUATION, ENGINES, RPS, EVALUATION_SEED, scale),
        Wanted(bare, (Plain(),), (10.0,), EVALUATION_SEED + 50_000_000, scale),
        Wanted(
            (called(BARE_ENDPOINT),),
            (Plain(by_endpoint=True),),
            (10.0,),
            EVALUATION_SEED + 60_000_000,
            scale,
        ),
    )


def tuning(scale: float = 1.0) -> tuple[Wanted, ...]:
    """Our judge on the tuning traces; the seeds of all cells stay below 10,000."""
    return (Wanted(TUNING, (Ours(NATIVE),), RPS, TUNING_SEED, scale, spread=False),)


def _runs(engine: Engine, trace: Trace, rps: float) -> int:
    if isinstance(engine, Plain):
        return BARE_RUNS
    if isinstance(engine, Kayenta):
        return KAYENTA_RUNS[engine.schedule]
    if not isinstance(engine, Ours):
        return PEER_RUNS[engine.schedule]
    if engine.schedule == COMMON:
        return OUR_COMMON_RUNS
    if trace.name in CARRYING:
        return OUR_RUNS["carrying"][rps]
    if not trace.good:
        return OUR_RUNS["bad"][rps]
    return OUR_RUNS["independent" if trace.name in INDEPENDENT else "disturbed"][rps]


def _work(job: Job) -> tuple[Job, tuple[Outcome, ...]]:
    return job, cell(job.engine, job.trace, job.rps, job.runs, job.seed).outcomes


def run(
    wanted: Sequence[Wanted],
    workers: int | None = None,
    on_part: Callable[[int, int], None] = lambda _done, _of: None,
) -> list[Cell]:
    """All cells, in the order asked for; `on_part` is told how many parts of the work are done."""
    jobs = [job for each in wanted for job in each.jobs()]
    # The slow ones first, so that no process is left alone with one at the end.
    jobs.sort(key=lambda job: (isinstance(job.engine, Ours), -job.rps), reverse=True)
    outcomes: dict[tuple[str, str, str, float], dict[int, tuple[Outcome, ...]]] = {}
    with multiprocessing.get_context("fork").Pool(workers or os.cpu_count()) as pool:
        for done, (job, made) in enumerate(pool.imap_unordered(_work, jobs), start=1):
            on_part(done, len(jobs))
            key = (job.engine.name, job.engine.schedule, job.trace.name, job.rps)
            outcomes.setdefault(key, {})[job.seed] = made
    return [
        Cell(
            engine.name,
            engine.schedule,
            trace,
            rps,
            tuple(
                outcome
                for _, part in sorted(
                    outcomes[(engine.name, engine.schedule, trace.name, rps)].items()
                )
                for outcome in part
            ),
        )
        for each in wanted
        for trace in each.traces
        for rps in each.rps
        for engine in each.engines
    ]
