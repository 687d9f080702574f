"""`make bench-rollout`: rollouts of each kind under constant load; no request may fail.

`python -m bench.rollout [--count 20] [--lanes 2]`. Writes bench/results/rollout.json and exits 1
if a request failed or a rollout did not end as it should.
"""

import argparse
import json
import multiprocessing
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.rollout.kinds import KINDS, RATE, Tally, play

RESULTS = Path(__file__).parents[1] / "results" / "rollout.json"
LANES = 2
"""Environments at a time."""


def main() -> int:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--count", type=int, default=20, help="rollouts of each kind")
    parse.add_argument("--lanes", type=int, default=LANES)
    options = parse.parse_args()
    head = (
        f"{'kind':<24}{'rollouts':>9}{'requests':>10}{'failed':>8}{'own errors':>12}{'seconds':>9}"
    )
    print(head, flush=True)
    tallies = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.lanes, mp_context=context) as pool:
        for done in as_completed([pool.submit(play, kind, options.count) for kind in KINDS]):
            tallies.append(done.result())
            _print(tallies[-1])
    body = result(tallies)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(body, indent=1) + "\n")
    print(f"{body['requests']:,} requests, {body['failed']} failed; {RATE:g} a second in each")
    print("  ".join(f"{kind}: {count:,}" for kind, count in body["requests_by_kind"].items()))
    problems = [*body["failures"], *body["surprises"], *body["broken"]]
    for problem in problems:
        print(json.dumps(problem))
    return 1 if problems or not body["requests"] else 0


def _print(tally: Tally) -> None:
    report = tally.report
    print(
        f"{tally.kind:<24}{tally.rollouts:>9}{report.requests:>10,}{len(report.failed):>8}"
        f"{report.own_errors:>12}{tally.seconds:>9.0f}",
        flush=True,
    )


def result(tallies: Sequence[Tally]) -> dict[str, Any]:
    """The result, as the acceptance reads it, with what makes it up."""
    by_kind: Counter[str] = Counter()
    for tally in tallies:
        by_kind.update(tally.report.kinds)
    failures = [{"during": t.kind, **asdict(f)} for t in tallies for f in t.report.failed]
    return {
        "rollouts": sum(tally.rollouts for tally in tallies),
        "requests": sum(tally.report.requests for tally in tallies),
        "failed": len(failures),
        "kinds": {
            tally.kind: {
                "rollouts": tally.rollouts,
                "requests": tally.report.requests,
                "failed": len(tally.report.failed),
                "own_errors": tally.report.own_errors,
                "seconds": round(tally.seconds, 1),
            }
            for tally in tallies
        },
        "requests_by_kind": dict(sorted(by_kind.items())),
        "longest_delay_of_a_request": max((t.report.latest for t in tallies), default=0.0),
        "failures": failures,
        "surprises": [f"{t.kind}: {each}" for t in tallies for each in t.surprises],
        "broken": [f"{t.kind}: {each}" for t in tallies for each in t.report.broken],
    }


if __name__ == "__main__":
    sys.exit(main())
