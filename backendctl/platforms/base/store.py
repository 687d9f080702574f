"""Remembers releases, rollouts and who may write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from backendctl.platforms.base.releases import Release


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds an environment."""

    owner: str
    """user@host, and the process: enough to find them."""
    command: str
    since: float
    expires: float
    epoch: int
    alive: bool | None = None
    """False when the owner is known to be dead, True when known to live, None from afar."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The right to write. Every write carries the epoch; a stale one is refused."""

    epoch: int
    owner: str


@dataclass(frozen=True, slots=True)
class PersonCommand:
    """What a person asks of a rollout that another process drives."""

    verb: str
    """pause | resume | approve | promote | abort"""
    by: str
    reason: str
    at: float


SAMPLES_KEPT = 7 * 86400.0
"""Seconds for which examples of failed requests are kept."""


class Store(Protocol):
    """Remembers releases, rollouts and who may write, by compare-and-swap with a fencing epoch.

    A write whose grant is stale raises BackendctlError `rollout.fenced`; taking a lock that is
    held raises `rollout.locked` naming the holder. No secret is ever given to it.
    """

    def acquire(self, owner: str, command: str, lease: float, take_over: bool = False) -> Grant:
        """Take the environment for `lease` seconds.

        A lapsed lease, or a holder known to be dead, is taken over; a live one only on the
        owner's word (`take_over`). Each grant has a higher epoch than all before.
        """
        ...

    def renew(self, grant: Grant, lease: float) -> None:
        """Extend the lease."""
        ...

    def release(self, grant: Grant) -> None:
        """Give the environment back; a stale grant is ignored."""
        ...

    def holder(self) -> Holder | None:
        """Who holds it now."""
        ...

    def epoch(self) -> int:
        """The last epoch ever granted, 0 before the first. Each grant's is one higher: who sees
        the same one twice knows that nobody was given the environment in between."""
        ...

    def add_release(self, grant: Grant, release: Release) -> None:
        """Record a release; its number must be the next one."""
        ...

    def releases(self) -> Sequence[Release]:
        """All releases, oldest first."""
        ...

    def append(self, grant: Grant, rollout: str, record: Mapping[str, Any]) -> None:
        """Add a record to a rollout's journal, durable on return; begins it if it is new."""
        ...

    def records(self, rollout: str) -> Sequence[Mapping[str, Any]]:
        """A rollout's whole records, oldest first; a torn last one is left out.

        Raises `journal.corrupt` on a gap, `journal.version` on another version's journal.
        """
        ...

    def rollouts(self) -> Sequence[str]:
        """Identifiers of all rollouts, oldest first."""
        ...

    def keep_samples(self, grant: Grant, rollout: str, samples: Mapping[str, Any]) -> None:
        """Keep examples of what went wrong in a rollout, in place of those kept before.

        They are no part of the journal: forgotten after `SAMPLES_KEPT`, and nothing depends on
        them.
        """
        ...

    def samples(self, rollout: str) -> Mapping[str, Any] | None:
        """What `keep_samples` kept; None if nothing was, or no more."""
        ...

    def post(self, rollout: str, command: PersonCommand) -> None:
        """Leave a command for whoever drives the rollout. Needs no grant."""
        ...

    def posted(self, rollout: str) -> Sequence[PersonCommand]:
        """All commands left for a rollout so far, oldest first."""
        ...
