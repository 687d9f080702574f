"""The bench's own book-keeping: cells, seeds, records and targets."""

import json
from collections.abc import Callable
from itertools import pairwise

from bench.verdict import table, targets
from bench.verdict.engines import NATIVE, Ending, Ours
from bench.verdict.grid import CHUNK, Job, evaluation, tuning
from bench.verdict.simulate import Cell, Outcome, rollout
from bench.verdict.traces import EVALUATION, EVALUATION_SEED, TUNING, Trace, called


def cells(end: Callable[[str, Trace], Ending]) -> list[Cell]:
    """Every cell of the evaluation, each with ten rollouts that end as `end` says."""
    return [
        Cell(
            engine.name,
            engine.schedule,
            trace,
            rps,
            (Outcome(end(engine.name, trace), 100.0, 200, 3),) * 10,
        )
        for wanted in evaluation()
        for trace in wanted.traces
        for rps in wanted.rps
        for engine in wanted.engines
    ]


def right(_engine: str, trace: Trace) -> Ending:
    return Ending.PROMOTED if trace.good else Ending.ROLLED_BACK


def wrong(_engine: str, trace: Trace) -> Ending:
    return Ending.ROLLED_BACK if trace.good else Ending.PROMOTED


def test_a_judge_that_is_always_right_meets_every_target_it_can_and_one_always_wrong_none() -> None:
    met = {c.target: c.met for c in targets.check(cells(right))}
    bare = [target for target in met if "without guards, w = .1: median <= 120" in target]
    assert [target for target, ok in met.items() if not ok] == bare  # 200 requests are too many
    assert not any(c.met for c in targets.check(cells(wrong)))


def test_losing_cells_are_listed_and_winning_ones_are_not() -> None:
    def one_loses(engine: str, trace: Trace) -> Ending:
        lost = engine == targets.OURS and trace.name == "slow path"
        return (wrong if lost else right)(engine, trace)

    lines = table.losses(cells(one_loses), targets.OURS)
    assert lines
    assert all(line.startswith("slow path") for line in lines)
    assert table.losses(cells(right), targets.OURS) == []


def test_records_are_json_and_their_counts_sum_to_the_runs() -> None:
    for record in json.loads(json.dumps([table.record(cell) for cell in cells(right)])):
        assert record["runs"] == sum(
            record[name] for name in ("rolled_back", "promoted", "inconclusive")
        )
        assert record["truth"] in ("good", "bad")


def test_tuning_and_evaluation_share_no_seed_and_no_cell_overlaps_another() -> None:
    def seeds(job: Job) -> range:
        return range(job.seed, job.seed + job.runs)

    assert all(seeds(job).stop <= 10_000 for wanted in tuning() for job in wanted.jobs())
    assert all(job.seed >= EVALUATION_SEED for wanted in evaluation() for job in wanted.jobs())
    ours, *_ = evaluation()
    jobs = [job for job in ours.jobs() if job.engine is ours.engines[0]]
    assert all(job.runs <= CHUNK for job in jobs)
    ends = sorted((seeds(job).start, seeds(job).stop) for job in jobs)
    assert all(stop <= start for (_, stop), (start, _) in pairwise(ends))


def test_tuning_and_evaluation_differ_in_every_shape() -> None:
    targets_both = {"errors 2x", "errors 3x", "errors 10x", "every request fails"}
    for mine, theirs in zip(TUNING, EVALUATION, strict=True):
        assert mine.name == theirs.name
        shaped = (mine.pods, mine.common, mine.own, mine.client, mine.surge)
        if any(shaped) and mine.name not in targets_both:
            assert shaped != (theirs.pods, theirs.common, theirs.own, theirs.client, theirs.surge)


def test_the_same_seed_gives_the_same_rollout() -> None:
    trace = called("errors 10x")
    assert rollout(Ours(NATIVE), trace, 100.0, 5) == rollout(Ours(NATIVE), trace, 100.0, 5)
