"""What a contradiction is, and a rule that finds some."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from backendctl.spec.model import Spec


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Keys that contradict each other; the first is the one to look at first."""

    keys: tuple[str, ...]
    message: str
    accepted: str


Rule = Callable[[Spec], Iterator[Contradiction]]
