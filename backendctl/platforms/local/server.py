"""What the foundation knows of each server it starts."""

from collections.abc import Callable, Mapping
from typing import Protocol

from backendctl.platforms.local.supervisor import Program

OnLine = Callable[[str], None]


class Server(Protocol):
    """A server that outlives releases: gateway, database, cache, issuer."""

    @property
    def name(self) -> str:
        """Name of its program under the supervisor, and of its port."""
        ...

    def prepare(self, port: int, on_line: OnLine) -> Program:
        """Make what it needs to start (once) and say how to run it; idempotent and quick after
        the first time. Raises BackendctlError."""
        ...

    def ready(self, port: int) -> bool:
        """Whether it answers as it should, now."""
        ...

    def address(self, port: int) -> str:
        """Where it listens, for a person; no secret."""
        ...

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the `bindings`."""
        ...

    def bindings(self, port: int) -> Mapping[str, str]:
        """The variables by which a process of the service reaches it. Secret."""
        ...
