"""One thing that `backendctl doctor` looked at, and what it found."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from backendctl.errors import BackendctlError


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    name: str
    level: Level
    found: str
    next: str = ""
    """What to type, or do, about it."""


def guarded(name: str, look: Callable[[], Check], level: Level = Level.FAILED) -> Check:
    """What was found; an error of looking is a finding of that level."""
    try:
        return look()
    except BackendctlError as error:
        said = f"{error.message}: {error.cause}" if error.cause else error.message
        return Check(name, level, said, next(iter(error.next), ""))
