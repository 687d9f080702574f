"""`make crash-matrix`: kill the driver at every record of every rollout, recover, check.

`python -m bench.crash_matrix [--lanes 3] [--only TEXT] [--every N]`. Writes
bench/results/crash-matrix.json and exits 1 if a cell failed.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.crash_matrix.cells import Cell
from bench.crash_matrix.lanes import in_lanes
from bench.crash_matrix.scenarios import scenarios

RESULTS = Path(__file__).parents[1] / "results" / "crash-matrix.json"
LANES = 3
"""Environments at a time: a cell mostly waits."""


def main() -> int:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--lanes", type=int, default=LANES)
    parse.add_argument("--only", default="", help="scenarios with this in their name")
    parse.add_argument("--every", type=int, default=1, help="only every so many-th record")
    options = parse.parse_args()
    names = [each.name for each in scenarios() if options.only in each.name]
    began = time.monotonic()
    cells: list[Cell] = []
    print(f"{'scenario':<40}{'cells':>6}{'passed':>8}{'requests':>10}{'seconds':>9}", flush=True)
    for name, found in in_lanes(names, options.every, options.lanes):
        cells += found
        _print(name, found)
        write(cells)
        for failed in (cell for cell in found if cell.problems):
            print(json.dumps(asdict(failed), indent=1), flush=True)
    _print("all", cells)
    failures = sum(bool(cell.problems) for cell in cells)
    print(f"{time.monotonic() - began:.0f} s with {options.lanes} at a time; {RESULTS}")
    return 1 if failures or not cells else 0


def _print(name: str, cells: Sequence[Cell]) -> None:
    passed = sum(not cell.problems for cell in cells)
    requests, seconds = sum(c.requests for c in cells), sum(c.seconds for c in cells)
    print(f"{name:<40}{len(cells):>6}{passed:>8}{requests:>10,}{seconds:>9.0f}", flush=True)


def write(cells: Sequence[Cell]) -> None:
    """The result, as the acceptance reads it, with what makes it up."""
    failures = [asdict(cell) for cell in cells if cell.problems]
    body = {
        "cells": len(cells),
        "passed": len(cells) - len(failures),
        "failures": failures,
        "requests": sum(cell.requests for cell in cells),
        "scenarios": Counter(cell.scenario for cell in cells),
        "phases": Counter(cell.phase or "none in flight" for cell in cells),
        "ends": Counter(cell.result or "nothing to recover" for cell in cells),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
