"""`make bench-verdict`: our judge and its peers on the same seeded traces, as a table and JSON."""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench.verdict import table, targets
from bench.verdict.grid import Wanted, evaluation, run, tuning

RESULTS = Path(__file__).resolve().parents[1] / "results" / "verdict.json"


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--scale", type=float, default=1.0, help="times the usual number of runs")
    parse.add_argument("--tuning", action="store_true", help="our judge on the tuning traces")
    parse.add_argument("--only", default="", help="part of a trace's name")
    parse.add_argument("--engine", default="", help="part of an engine's name")
    parse.add_argument("--schedule", default="", help="part of a schedule's name")
    parse.add_argument("--rps", type=float, nargs="*")
    parse.add_argument("--workers", type=int, help="processes; by default one a core")
    chosen = parse.parse_args()
    wanted = tuning(chosen.scale) if chosen.tuning else evaluation(chosen.scale)
    whole = not (chosen.only or chosen.engine or chosen.schedule or chosen.rps or chosen.tuning)
    began = time.monotonic()
    cells = run([_narrowed(each, chosen) for each in wanted], chosen.workers, _tell)
    print("\n".join(table.lines(cells)))
    if whole:
        print("\nCells in which a peer is right more often than we are:")
        print("\n".join(table.losses(cells, targets.OURS)) or "none")
        print()
        print("\n".join(targets.lines(targets.check(cells))))
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps([table.record(cell) for cell in cells], indent=1) + "\n")
        print(f"\n{RESULTS}")
    rollouts = sum(len(cell.outcomes) for cell in cells)
    print(f"{rollouts:,} rollouts in {time.monotonic() - began:.0f} s")


def _tell(done: int, parts: int) -> None:
    """A line for each tenth: the whole takes minutes."""
    if 10 * done // parts > 10 * (done - 1) // parts:
        print(f"{100 * done // parts} % of {parts} parts of the work", file=sys.stderr, flush=True)


def _narrowed(wanted: Wanted, chosen: argparse.Namespace) -> Wanted:
    return replace(
        wanted,
        traces=tuple(t for t in wanted.traces if chosen.only in t.name),
        engines=tuple(
            e for e in wanted.engines if chosen.engine in e.name and chosen.schedule in e.schedule
        ),
        rps=tuple(r for r in wanted.rps if not chosen.rps or r in chosen.rps),
    )


if __name__ == "__main__":
    main()
