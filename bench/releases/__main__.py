"""`make bench-releases`: does backendctl tell good releases of a service from bad ones?

An environment of the service in `service/` is brought up by the command line, users come at a
constant rate, and each release is deployed by canary over the same good one. Writes
bench/results/releases.json, and exits 1 if a bad release was promoted, a good one turned away, or
the way back to the base release failed. A release that is held, or not begun for want of a verdict
in time, is neither right nor wrong, and is told.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.releases.catalogue import RELEASES
from bench.releases.trial import Trial, play

RESULTS = Path(__file__).parents[1] / "results" / "releases.json"
RATE = 50.0
HEAD = (
    f"{'release':<18}{'truth':<7}{'result':<12}{'exit':>4}{'s':>6}{'candidate':>10}{'lost':>6}"
    f"{'partner':>8}{'slow':>6}{'load':>6}  reason"
)
WIDTH = 160


def main() -> int:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--only", nargs="*", help="names of releases")
    parse.add_argument("--rate", type=float, default=RATE, help="requests per second")
    parse.add_argument(
        "--backendctl", type=Path, default=Path(sys.executable).with_name("backendctl")
    )
    parse.add_argument("--folder", type=Path, help="keep everything there, in a new folder")
    options = parse.parse_args()
    releases = [each for each in RELEASES if options.only is None or each.name in options.only]
    folder = options.folder or Path(tempfile.mkdtemp(prefix="releases-"))
    folder.mkdir(exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running
    began = time.monotonic()
    print(HEAD, flush=True)
    trials: list[Trial] = []

    def on_trial(trial: Trial) -> None:
        trials.append(trial)
        _print(trial)
        _keep(trials, options.rate, time.monotonic() - began)

    try:
        play(options.backendctl.absolute(), folder, releases, options.rate, on_trial)
    finally:
        if options.folder is None:
            shutil.rmtree(folder)
    body = _keep(trials, options.rate, time.monotonic() - began)
    print(json.dumps(body["summary"]))
    return 1 if body["summary"]["wrong"] else 0


def _keep(trials: Sequence[Trial], rate: float, seconds: float) -> dict[str, Any]:
    """After each release: what was found out is not lost when the rest is given up."""
    body = result(trials, rate, seconds)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(body, indent=1) + "\n")
    return body


def _print(trial: Trial) -> None:
    seen, reason = trial.impact, trial.reason.splitlines()[0]
    print(
        f"{trial.release:<18}{'good' if trial.good else 'bad':<7}{trial.result:<12}"
        f"{trial.exit:>4}{trial.seconds:>6.0f}{seen.candidate:>10,}{seen.lost:>6}"
        f"{seen.partner_candidate:>8}{seen.slow:>6}"
        f"{trial.load:>6}  {'WRONG: ' if trial.wrong else ''}{reason[:WIDTH]}",
        flush=True,
    )
    for each in trial.trouble:
        print(f"    {each}", flush=True)


def result(trials: Sequence[Trial], rate: float, seconds: float) -> dict[str, Any]:
    """As it is kept."""
    bad = [each for each in trials if not each.good and not each.blind]
    summary = {
        "good": sum(each.good for each in trials),
        "good_promoted": sum(each.good and each.result == "promoted" for each in trials),
        "bad": len(bad),
        "bad_turned_away": sum(
            each.result not in ("promoted", "held", "not tried") for each in bad
        ),
        "undecided": [each.release for each in trials if each.result in ("held", "not tried")],
        "not_caught_by_design": [each.release for each in trials if each.blind],
        "wrong": [each.release for each in trials if each.wrong],
        "requests": sum(each.impact.requests for each in trials),
        "lost": sum(each.impact.lost for each in trials),
        "lost_by_base": sum(each.impact.lost_by_base for each in trials),
        "lost_while_good": sum(each.impact.lost for each in trials if each.good),
        "requests_per_second": rate,
        "seconds": round(seconds),
        "cores": os.cpu_count(),
    }
    return {"summary": summary, "releases": [asdict(each) for each in trials]}


if __name__ == "__main__":
    sys.exit(main())
