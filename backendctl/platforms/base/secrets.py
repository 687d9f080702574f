"""Named secret values, each change a new version."""

from collections.abc import Mapping
from typing import Protocol


class Secrets(Protocol):
    """Named secret values, each change a new version.

    Values reach the processes of releases and, by `reveal`, backendctl's own requests; nothing
    else.
    """

    def set(self, name: str, value: str) -> str:
        """Store a new version and return its identifier."""
        ...

    def unset(self, name: str) -> None:
        """Forget the name for releases to come; releases that pinned a version keep it."""
        ...

    def reveal(self, name: str) -> str | None:
        """The present value, for a request that backendctl itself makes; None if it is not set.

        Never shown, logged or journaled.
        """
        ...

    def current(self) -> Mapping[str, str]:
        """Name -> version, for every name that is set."""
        ...
