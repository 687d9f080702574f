"""How a workflow tells what it is doing, whoever listens."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Progress(Protocol):
    """Receives progress; the CLI's session is one."""

    def line(self, text: str) -> None:
        """One line for a person."""
        ...

    def detail(self, text: str) -> None:
        """One line that only a person who asked for more wants to see."""
        ...

    def emit(self, event: str, data: Mapping[str, Any]) -> None:
        """A structured event for a program."""
        ...

    def step(self, name: str) -> AbstractContextManager[Callable[[str], None]]:
        """A piece of work that may take over a second; yields a function for its own lines."""
        ...
