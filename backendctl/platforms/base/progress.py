"""How whoever waits is told what happens."""

from collections.abc import Callable

OnLine = Callable[[str], None]
"""Receives one line of progress, as text for a person."""


def unheard(_line: str) -> None:
    """The OnLine of a caller who does not listen."""
