"""Cells as lines of text and as JSON."""

from collections.abc import Sequence
from typing import Any

from bench.verdict.engines import Ending
from bench.verdict.intervals import wilson
from bench.verdict.simulate import Cell

HEADER = (
    f"{'engine':24} {'schedule':18} {'rps':>5} {'runs':>5}  {'rolled back %':22} "
    f"{'promoted %':22} {'held %':>6}  {'candidate requests, its errors, seconds (medians)'}"
)


def percent(hits: int, runs: int) -> str:
    """A percentage with its 95 % Wilson interval."""
    low, high = wilson(hits, runs)
    return f"{100 * hits / runs:5.1f} [{100 * low:5.1f} {100 * high:5.1f}]"


def line(made: Cell) -> str:
    runs = len(made.outcomes)
    shares = [
        f"{percent(made.count(ending), runs):22}"
        for ending in (Ending.ROLLED_BACK, Ending.PROMOTED)
    ]
    held = 100 * made.count(Ending.INCONCLUSIVE) / runs
    medians = [made.median(field) or 0.0 for field in ("requests", "errors", "seconds")]
    return (
        f"{made.engine:24} {made.schedule:18} {made.rps:5g} {runs:5}  {shares[0]} {shares[1]} "
        f"{held:6.1f}  {medians[0]:9,.0f} {medians[1]:7,.0f} {medians[2]:7,.0f}"
    )


def lines(cells: Sequence[Cell]) -> list[str]:
    """The table, trace by trace."""
    made, trace = [HEADER], ""
    for each in cells:
        if each.trace.name != trace:
            trace = each.trace.name
            kind = "good" if each.trace.good else "BAD"
            made += ["", f"{trace} ({kind}: {each.trace.effect})"]
        made.append(line(each))
    return made


def record(made: Cell) -> dict[str, Any]:
    """One cell for `verdict.json`."""
    runs = len(made.outcomes)
    counts = {ending.value: made.count(ending) for ending in Ending}
    decided = Ending.PROMOTED if made.trace.good else Ending.ROLLED_BACK
    return {
        "engine": made.engine,
        "schedule": made.schedule,
        "trace": made.trace.name,
        "rps": made.rps,
        "truth": "good" if made.trace.good else "bad",
        "effect": made.trace.effect,
        "runs": runs,
        **counts,
        "median_candidate_requests": made.median("requests"),
        "median_candidate_requests_if_right": made.median("requests", decided),
        "median_user_visible_errors": made.median("errors"),
        "median_seconds": made.median("seconds"),
        "wilson_95": {name: wilson(hits, runs) for name, hits in counts.items()},
    }


def losses(cells: Sequence[Cell], ours: str) -> list[str]:
    """Cells in which another engine on the same kind of schedule is right more often than ours,
    beyond what their intervals leave open."""
    best = {(c.schedule, c.trace.name, c.rps): c for c in cells if c.engine == ours}
    made = []
    for each in cells:
        mine = best.get((each.schedule, each.trace.name, each.rps))
        if mine is None or each.engine == ours:
            continue
        right = Ending.PROMOTED if each.trace.good else Ending.ROLLED_BACK
        low, _ = wilson(each.count(right), len(each.outcomes))
        _, high = wilson(mine.count(right), len(mine.outcomes))
        if low > high:
            word = "promoted" if each.trace.good else "rolled back"
            made.append(
                f"{each.trace.name}, {each.rps:g} rps, {each.schedule}: {word} by {each.engine} "
                f"{100 * each.count(right) / len(each.outcomes):.0f} %, by us "
                f"{100 * mine.count(right) / len(mine.outcomes):.0f} %"
            )
    return made
