"""Runs a copy of this very program where the environment is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from backendctl.platforms.base.progress import OnLine

ERRAND_FOLDER = "/etc/backendctl"
"""Where an errand finds its files."""
ERRAND_SECRETS = "/etc/backendctl-secret"
"""Where it finds those that are secret."""
INDEX_VARIABLE = "BACKENDCTL_INDEX"
"""Tells a copy of an errand which one it is: 0, 1, 2 ..."""


LOAD_PODS = 24
"""Copies that a load test may have at the same time, one core each: an environment has room for
them."""


@dataclass(frozen=True, slots=True)
class Errand:
    """A module of backendctl that is to run where the environment is, apart from this machine."""

    name: str
    """What it is for, as a part of names: `driver`, `load`."""
    argv: tuple[str, ...]
    """The module and its arguments, as `python -m` takes them."""
    deadline: float
    """Seconds after which it is ended, whatever it is at."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Name -> content, in ERRAND_FOLDER; nothing secret."""
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    """The same in ERRAND_SECRETS."""
    variables: Mapping[str, str] = field(default_factory=dict)
    steers: bool = False
    """Whether it drives a rollout, and so may change the environment. Others may ask for nothing
    at all."""
    copies: int = 1
    cores: float = 0.1
    """That each copy is promised."""
    memory: int = 256 * 2**20
    """Bytes that each copy may take."""


class Underway(Protocol):
    """An errand that has begun."""

    @property
    def where(self) -> str:
        """Where it runs, in words, for a person."""
        ...

    @property
    def follow(self) -> str:
        """The command that shows what it says."""
        ...

    def address(self) -> str:
        """Where the first copy is reached by other errands of the same environment."""
        ...

    def lines(self) -> Iterator[str]:
        """What the first copy says, from its beginning, as it comes, until it has ended.

        Raises BackendctlError when that cannot be had any more.
        """
        ...

    def ended(self) -> Mapping[int, int]:
        """Exit status of the copies that have ended, by index."""
        ...

    def remove(self) -> None:
        """End what is left of it; gone on return. Idempotent."""
        ...


class Away(Protocol):
    """Runs backendctl itself in the environment, so that this machine may go."""

    def start(self, errand: Errand, on_line: OnLine) -> Underway:
        """Returns once every copy has begun.

        Raises BackendctlError `missing.environment` when there is no image of backendctl for it,
        `platform.errand` when a copy does not begin; nothing is left then.
        """
        ...
