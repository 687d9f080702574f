"""The real command in a cluster, hit by a signal at an exact record of its rollout's journal.

`python -m tests.cluster.dying_command MOMENT SIGNAL WORDS...`
"""

import dataclasses
import signal
import sys
from pathlib import Path

from backendctl.cli.main import main
from backendctl.platforms.base import Platform
from backendctl.platforms.open import open_platform
from backendctl.rollout import lease
from backendctl.rollout.states import Phase
from backendctl.spec.model import Spec
from backendctl.workflows import environment
from bench.shop.drivers import Cue, Death, DyingStore, Record

LEASE = 5.0
"""Seconds. A third of the product's: who waits for its end need not wait longer."""


def shift(record: Record) -> bool:
    """What was just done was a shift of users' requests: the gateway serves these weights."""
    return "weights" in record


def shift_to_all(record: Record) -> bool:
    """The candidate is to get all requests next."""
    intent = record.get("intent", {})
    shares = intent.get("weights", {})
    return intent.get("kind") == "apply" and len(shares) > 1 and 100 in shares.values()


def measured(record: Record) -> bool:
    return bool(record["kind"] == "block")


def restored(record: Record) -> bool:
    """Stable has all requests again."""
    return shift(record) and sorted(record["weights"].values()) == [0, 100]


def drains(record: Record) -> bool:
    """The candidate serves; what served before is to go."""
    return record.get("phase") == Phase.DRAIN


MOMENTS = {
    "first-shift": ("before", shift),
    "mid-step": ("after", measured),
    "to-all": ("after", shift_to_all),
    "abort": ("before", restored),
    "drain": ("after", drains),
}
"""Side of the record, and which; see bench.crash_matrix."""

CUES = {"abort": (Cue(measured, "abort"),)}
"""What a person says meanwhile."""


def hit(moment: str, number: int) -> None:
    """From here on, whoever opens an environment dies there."""
    side, when = MOMENTS[moment]

    def opened(project: Path, spec: Spec, name: str) -> Platform:
        platform = open_platform(project, spec, name)
        death = Death(0, side, when=when, signal=number)
        store = DyingStore(platform, death, CUES.get(moment, ()))
        return dataclasses.replace(platform, store=store)

    environment.open_platform = opened  # type: ignore[attr-defined]


if __name__ == "__main__":
    _program, chosen, name, *words = sys.argv
    lease.LEASE = LEASE
    hit(chosen, signal.Signals[name])
    sys.argv = ["backendctl", *words]
    main()
