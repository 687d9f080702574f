"""What the simulation asks of an engine: a weight, how long to look, and a word at the end."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from backendctl.rollout.verdict import Block, Limits, Reference

NATIVE = "native"
"""The schedule that the engine's documentation shows."""
COMMON = "one step of 10 %"
"""The same for all: 10 % of the requests for at most 30 minutes, a look every minute."""
COMMON_WEIGHT, COMMON_SECONDS, COMMON_LOOK = 0.1, 1800.0, 60.0


class Ending(StrEnum):
    ROLLED_BACK = "rolled_back"
    PROMOTED = "promoted"
    INCONCLUSIVE = "inconclusive"
    """Neither: waits for a person."""


@dataclass(frozen=True)
class Setting:
    """What is known before a rollout."""

    limits: Limits
    rps: float
    history: Callable[[], Reference | None]
    """What stable did in the hours before; made only for engines that look at it."""
    sticky: bool
    """Whether sessions stay with an arm."""
    seed: int
    """For engines that draw at random themselves."""


class Rollout(Protocol):
    """One rollout under way."""

    @property
    def weight(self) -> float:
        """The candidate's share of requests from now on."""
        ...

    @property
    def look(self) -> float:
        """Seconds until the engine's next block ends."""
        ...

    def see(self, block: Block) -> Ending | None:
        """Take in the next block; the first one starts at 0."""
        ...


class Engine(Protocol):
    """A judge on a schedule."""

    @property
    def name(self) -> str: ...

    @property
    def schedule(self) -> str: ...

    def begin(self, setting: Setting) -> Rollout: ...
