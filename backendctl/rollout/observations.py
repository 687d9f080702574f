"""What the machine is told: every input of a decision, so that a journal of these replays it."""

from dataclasses import dataclass
from typing import Literal

from backendctl.platforms.base import Condition
from backendctl.rollout.verdict import Block


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the intent with that serial number ended."""

    serial: int
    ok: bool
    code: str = ""
    """An error code of errors.py when it failed."""
    message: str = ""
    tail: tuple[str, ...] = ()
    """The release's last log lines, redacted, when it failed."""
    condition: Condition | None = None
    restarts: int = 0
    seconds: float = 0.0
    kind: Literal["outcome"] = "outcome"


@dataclass(frozen=True, slots=True)
class Measured:
    """The end of a block. An arm that could not be measured is missing, and `problem` says why."""

    block: Block
    problem: str = ""
    kind: Literal["block"] = "block"


@dataclass(frozen=True, slots=True)
class Copied:
    """The end of a block in which requests were copied: the copies in place of the candidate's
    requests, the originals in place of stable's. Both are missing together; `problem` says why."""

    block: Block
    unanswered: int = 0
    """Of the copies that failed: not answered."""
    lost: int = 0
    """Copies beside those that were lost on the way."""
    problem: str = ""
    kind: Literal["copied"] = "copied"


@dataclass(frozen=True, slots=True)
class Health:
    """One look at the candidate's processes."""

    condition: Condition
    restarts: int
    detail: str = ""
    tail: tuple[str, ...] = ()
    stable_unready: bool = False
    """Stable was not ready either: what ails both is not the candidate's doing."""
    kind: Literal["health"] = "health"


@dataclass(frozen=True, slots=True)
class Command:
    """A person's word, or a signal's. `index` is its place among those posted; -1 if not posted."""

    verb: str
    """pause | resume | approve | promote | abort; any other is taken in and not heeded."""
    by: str
    reason: str
    index: int = -1
    kind: Literal["command"] = "command"


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed and nothing else happened."""

    kind: Literal["tick"] = "tick"


@dataclass(frozen=True, slots=True)
class TakenOver:
    """Another process drives from here on; whether it undoes or goes on with what was begun."""

    by: str
    choice: Literal["undo", "go-on"]
    reason: str = ""
    kind: Literal["taken-over"] = "taken-over"


Observation = Outcome | Measured | Copied | Health | Command | Tick | TakenOver
