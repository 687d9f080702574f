"""Where the demo is told: on this machine, or in a namespace of its own in a cluster."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from backendctl.platforms.base import OnLine
from backendctl.workflows.demo import shop
from backendctl.workflows.environment import Opened


def _as_it_is(_folder: Path) -> None:
    """What the shop promises needs no change."""


@contextmanager
def _nothing_beneath(_opened: Opened, _say: OnLine, _left: OnLine) -> Iterator[None]:
    yield


@dataclass(frozen=True, slots=True)
class Stage:
    """An environment for the shop."""

    environment: str | None = None
    """Its name in the shop's backend.toml; None for the only one."""
    users_rps: float = shop.USERS_RPS
    load_tested: bool = True
    """Whether twice the expected peak is offered to it: only where nobody else is served."""
    settle: Callable[[Path], None] = _as_it_is
    """Writes the environment into the scaffolded shop's backend.toml."""
    beneath: Callable[[Opened, OnLine, OnLine], AbstractContextManager[None]] = _nothing_beneath
    """What the environment stands on, where `up` does not start it; gone in the end. Says first
    what it does, and second what it could not take away, and what to type about it."""


LOCAL = Stage()
