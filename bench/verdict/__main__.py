"""Print what the verdict does to good and bad releases, with 95 % Wilson intervals."""

import argparse

from backendctl.rollout.verdict import Decision
from bench.verdict.simulate import Cell, cell, guarded, patient, plain, short, wilson
from bench.verdict.traces import BAD_TRACES, GOOD_TRACES, SHORT_TRACES


def row(made: Cell) -> str:
    runs = len(made.outcomes)
    shares = []
    for decision in (Decision.FAIL, Decision.PASS, Decision.INCONCLUSIVE, Decision.INVALID):
        hits = made.count(decision)
        low, high = wilson(hits, runs)
        shares.append(f"{100 * hits / runs:5.1f} [{100 * low:4.1f} {100 * high:5.1f}]")
    ends = Decision.PASS if made.trace.good else Decision.FAIL
    seconds, requests = made.median(ends, "seconds"), made.median(ends, "candidate_requests")
    medians = "-" if seconds is None else f"{seconds:.0f} s, {requests:.0f} req"
    return f"{made.trace.name:34} {made.rps:6g} " + " ".join(shares) + f"  {medians}"


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--runs", type=int, default=300)
    parse.add_argument("--rps", type=float, nargs="*", default=[1.0, 10.0, 100.0, 1000.0])
    parse.add_argument("--only", default="", help="part of a trace's name")
    parse.add_argument("--plain", action="store_true", help="without guards")
    parse.add_argument("--patient", action="store_true", help="a deadline of four hours")
    parse.add_argument("--short", action="store_true", help="steps of 8 s, blocks of 1 s")
    parse.add_argument("--seed", type=int, default=1)
    chosen = parse.parse_args()
    print(
        f"{'trace':34} {'rps':>6} {'rolled back %':18} {'promoted %':18} "
        f"{'inconclusive %':18} {'invalid %':18}  median of promoted (good) or rolled back (bad)"
    )
    make, block = guarded, 10.0
    if chosen.plain:
        make = plain
    if chosen.patient:
        make = patient
    if chosen.short:
        make, block = short, 1.0
    for trace in SHORT_TRACES if chosen.short else (*GOOD_TRACES, *BAD_TRACES):
        if chosen.only not in trace.name:
            continue
        for rps in chosen.rps:
            print(row(cell(trace, rps, chosen.runs, make, block, chosen.seed)), flush=True)


if __name__ == "__main__":
    main()
