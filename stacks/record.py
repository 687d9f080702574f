"""One resource as a program registers it: what rules judge and what the estimate prices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """A resource, its inputs, and the options that the engine holds it by."""

    type: str
    """Pulumi's token, such as `aws:rds/instance:Instance`."""
    name: str
    stack: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    """Inputs, in the provider's spelling."""
    protected: bool = False
    retained: bool = False
    """Kept in the cloud when it leaves the program."""
    adopted: bool = False
    """Only read: it existed before and belongs to somebody else."""
    parent: str = ""
    aliases: tuple[str, ...] = ()
    deleted_first: bool = False
    """Whether a replacement begins by deleting it."""
    ignored: tuple[str, ...] = ()
    """Inputs that may differ without anything being done about it."""
    needs: frozenset[str] = frozenset()
    """What is made before it and deleted after it, as `TYPE::NAME`."""
    secret: frozenset[str] = frozenset()
    """Inputs that are marked secret, so that they are encrypted in state."""

    @property
    def title(self) -> str:
        """How messages name it."""
        return f"{self.stack}/{self.name}"
