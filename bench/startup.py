"""`backendctl --help` against an interpreter that does nothing, in turn: noise hits both."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 20
BUDGET = 0.150
"""Seconds for `--help` on an idle core."""


def main() -> None:
    """Print medians, their difference and the ratio pair by pair."""
    help_ = [str(Path(sys.executable).with_name("backendctl")), "--help"]
    nothing = [sys.executable, "-c", "pass"]
    pairs = [(_seconds(help_), _seconds(nothing)) for _ in range(ROUNDS + 1)][1:]
    own, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
    best = min(each for each, _ in pairs)
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{'':<22}{'median ms':>10}{'min ms':>10}")
    print(f"{'backendctl --help':<22}{own * 1e3:>10.1f}{best * 1e3:>10.1f}")
    print(f"{'python -c pass':<22}{bare * 1e3:>10.1f}{min(b for _, b in pairs) * 1e3:>10.1f}")
    verdict = "within" if own <= BUDGET else "OVER"
    print(f"ratio {ratio:.1f}; {verdict} the budget of {BUDGET * 1e3:.0f} ms")


def _seconds(argv: list[str]) -> float:
    # As where it is installed: compiled once, by the round that is not counted.
    compiled = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True, env=compiled)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
