"""Noticing that nobody drives a rollout any more, without ever mistaking a hold for that.

Every look reads one small file of the store; the journal is read only once for each time that
somebody let go of the environment. Imports little, because who looks is resident.

When nobody holds the environment
- a rollout that was left half way is an orphan: `CONFIRM` seconds after its driver's lease has run
  out, or, where the driver gave the environment back without ending it, one lease later, so that
  whoever reads its last words can act on them first;
- a rollout that is held for a person is one only after the hold's own deadline.

Waiting is counted on the monotonic clock from the first look on, so that a clock that is set
forward ends nothing early, and one that is set back keeps nothing waiting. The wall clock is asked
once for each hold: how far its deadline is away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backendctl.clock import Clock
from backendctl.platforms.base import Store
from backendctl.rollout.lease import LEASE

CONFIRM = 2.0
"""Seconds a lease must stay lapsed: a driver that was merely starved may still renew it."""

STUCK = "stuck"
"""The kind of hold that waits for no person (`states.HoldKind`, not imported: see above)."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """A rollout that has not ended, as far as its journal's last words tell."""

    rollout: str
    held_until: float | None
    """Seconds since the epoch; None unless it waits for a person."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """A rollout that somebody must bring to an end."""

    rollout: str
    epoch: int
    """The last epoch granted when it was seen: once there is another, somebody sees to it."""
    overdue: bool
    """It was held for a person, and the hold's deadline has passed."""

    @property
    def reason(self) -> str:
        """For the journal."""
        if self.overdue:
            return "the hold's deadline passed, and nobody had decided or drove it"
        return "its driver was gone, and nobody recovered it before its lease had run out"


def in_flight(store: Store) -> InFlight | None:
    """The rollout that has not ended; None if there is none. Raises what reading raises."""
    for rollout in reversed(store.rollouts()):
        records = store.records(rollout)
        if not records:
            continue  # killed before its first record was durable: it changed nothing
        if records[-1].get("ended"):
            return None
        return InFlight(rollout, _held_until(records))
    return None


def _held_until(records: Sequence[Mapping[str, Any]]) -> float | None:
    """When the hold ends that the rollout is in; None if it is in none."""
    phase = next((r["phase"] for r in reversed(records) if "phase" in r), "")
    hold = next((r["hold"] for r in reversed(records) if "hold" in r), None)
    if phase != "hold" or hold is None or hold["kind"] == STUCK:
        return None
    return float(hold["until"])


@dataclass(slots=True)
class _Alone:
    """Nobody has held the environment since the first of these looks."""

    epoch: int
    lapsed: bool
    """Its last holder's lease ran out; False: it was given back."""
    flight: InFlight | None
    due: float
    """On the monotonic clock."""


class DeadMan:
    """Looks at a store, again and again."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._alone: _Alone | None = None

    def look(self) -> Orphan | None:
        """A rollout to be ended now, if there is one. Raises what reading the store raises."""
        epoch, holder = self._store.epoch(), self._store.holder()
        if holder is not None and holder.expires > self._clock.now():
            self._alone = None
            return None
        lapsed = holder is not None
        alone = self._alone
        if alone is None or (alone.epoch, alone.lapsed) != (epoch, lapsed):
            alone = self._alone = self._begin(epoch, lapsed)
        if alone.flight is None or self._clock.monotonic() < alone.due:
            return None
        # A driver that was starved of its lease may have gone on writing until now.
        if in_flight(self._store) != alone.flight:
            self._alone = None
            return None
        return Orphan(alone.flight.rollout, epoch, alone.flight.held_until is not None)

    def _begin(self, epoch: int, lapsed: bool) -> _Alone:
        flight = in_flight(self._store)
        wait = CONFIRM if lapsed else LEASE
        if flight is not None and flight.held_until is not None:
            wait = max(wait, flight.held_until - self._clock.now())
        return _Alone(epoch, lapsed, flight, self._clock.monotonic() + wait)
