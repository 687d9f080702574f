"""Whoever reads along while a workflow tells what it is doing."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class Listener:
    """A Progress that keeps every line."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def hear(self, text: str) -> None:
        self.lines.append(text)

    def line(self, text: str) -> None:
        self.hear(text)

    def detail(self, text: str) -> None:
        self.hear(text)

    def emit(self, event: str, data: Mapping[str, Any]) -> None:
        return

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        self.hear(name)
        yield self.hear
