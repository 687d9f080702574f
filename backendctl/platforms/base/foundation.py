"""The servers an environment stands on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from backendctl.platforms.base.progress import OnLine, unheard


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One of the servers that outlive a release: gateway, database, cache, issuer."""

    name: str
    running: bool
    """Whether it answers as it should."""
    address: str
    detail: str = ""
    alive: bool = False
    """Whether its process runs; one that runs and does not answer hangs, or is still starting."""
    restarts: int = 0
    """Times it came back by itself since it was started."""
    last_restart: float | None = None
    """When the last of them was, in seconds since the epoch."""
    next: tuple[str, ...] = ()
    """What to type where starting it again would not help."""
    needed: bool = True
    """Whether anything waits for it; one that was never asked for is only spoken of, and so is one
    (`alive`) that whoever asks may not look at."""


WATCHDOG = "watchdog"
"""The service that brings a rollout to an end which nobody drives, where an environment has one."""


class Foundation(Protocol):
    """The servers an environment stands on. On Kubernetes and AWS the Pulumi stacks own them."""

    def ensure(self, on_line: OnLine) -> None:
        """Bring up whatever is not running, with its data; idempotent, also after a reboot."""
        ...

    def stop(self, purge: bool = False, on_line: OnLine = unheard) -> None:
        """Stop every process of the environment; with `purge`, delete its data too.

        `on_line` is told what is waited for.
        """
        ...

    def status(self) -> Sequence[ServiceStatus]:
        """One look at each server."""
        ...

    def logs(self, server: str, lines: int) -> Sequence[str]:
        """A server's last lines of output, oldest first; none if it never ran."""
        ...

    def variables(self) -> Collection[str]:
        """Names of the `bindings`; known before the environment was ever up."""
        ...

    def bindings(self) -> Mapping[str, str]:
        """Environment variables by which a process of the service reaches the servers.

        Secret: never shown, logged or journaled.
        """
        ...
