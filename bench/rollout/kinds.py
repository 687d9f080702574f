"""The kinds of rollout that users must not notice, and one environment's worth of each."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx  # noqa: F401 - so that forked drivers need not import it

from backendctl.spec.model import Strategy
from bench.shop.drivers import Cue, Ended, run
from bench.shop.environment import Pace, Shop, open_shop
from bench.shop.users import Report, users

RATE = 50.0
"""Users' requests per second in each environment."""
PACE = Pace(step=0.6, bake=0.6, drain=30.0)
"""Drains wait for streams of three seconds."""


@dataclass
class Tally:
    """What users saw of one kind of rollout."""

    kind: str
    rollouts: int = 0
    seconds: float = 0.0
    report: Report = field(default_factory=Report)
    surprises: list[str] = field(default_factory=list)
    """Rollouts that did not end as they should."""


def _canary(shop: Shop, _: int) -> tuple[str, Ended]:
    return "promoted", run(lambda: shop.deploy(Strategy.CANARY))


def _blue_green(shop: Shop, _: int) -> tuple[str, Ended]:
    return "promoted", run(lambda: shop.deploy(Strategy.BLUE_GREEN))


def _forced_back(shop: Shop, index: int) -> tuple[str, Ended]:
    """By a person at a step or in the bake, and by the verdict, in turn."""
    if index % 3 == 2:
        return "restored", run(lambda: shop.deploy(bad=True))
    strategy, phase = ((Strategy.CANARY, "step"), (Strategy.BLUE_GREEN, "bake"))[index % 3]
    abort = Cue(lambda record: record.get("phase") == phase, "abort")
    return "restored", run(lambda: shop.dying(None, (abort,)).deploy(strategy))


def _by_hand(shop: Shop, _: int) -> tuple[str, Ended]:
    """To the release before, which has to be started again; after a deploy that is not counted."""
    deployed = run(lambda: shop.deploy(unjudged=True))
    if deployed.outcome is None or deployed.outcome.result != "promoted":
        return "promoted", deployed
    return "promoted", run(shop.rollback)


KINDS: dict[str, Callable[[Shop, int], tuple[str, Ended]]] = {
    "canary, promoted": _canary,
    "blue-green, promoted": _blue_green,
    "forced rollback": _forced_back,
    "rollback by hand": _by_hand,
}


def play(kind: str, count: int) -> Tally:
    """`count` rollouts of a kind, one after the other, in an environment of its own."""
    tally = Tally(kind)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_shop(Path(folder), PACE, lambda _: None) as shop,
    ):
        for _ in range(2):  # so that there is a release to go back to
            run(lambda: shop.deploy(unjudged=True))
        with users(shop.port, RATE, "full", shop.admin_socket) as crowd:
            began = time.monotonic()
            for index in range(count):
                expected, ended = KINDS[kind](shop, index)
                found = ended.outcome.result if ended.outcome is not None else ended.code
                tally.rollouts += 1
                if found != expected:
                    tally.surprises.append(f"rollout {index}: {expected} expected, it was {ended}")
            tally.seconds = time.monotonic() - began
            tally.report = crowd.report()
    return tally
