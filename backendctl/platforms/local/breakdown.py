"""Adding up the gateway's log: per release, which endpoints and clients its failures are of."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from backendctl.platforms.base import Breakdown
from backendctl.platforms.endpoints import MOST_ENDPOINTS, OTHER
from backendctl.platforms.local.request_log import Entry, Outcome

MOST_CLIENTS = 4096
"""Clients that are told apart; failures of any more count, but for no client."""


@dataclass(slots=True)
class _Arm:
    errors: Counter[str] = field(default_factory=Counter)
    slow: Counter[str] = field(default_factory=Counter)
    clients: dict[str, Counter[str]] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)


class Tally:
    """Cumulative counts of all releases; endpoints have the same names for all of them."""

    def __init__(self, slow_ms: float) -> None:
        self._slow_ms = slow_ms
        self._named: set[str] = set()
        self._clients: set[str] = set()
        self._arms: dict[int, _Arm] = {}

    def add(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            arm = self._arms.setdefault(entry.number, _Arm())
            client = _known(entry.client, self._clients, MOST_CLIENTS, "")
            if client:
                arm.seen[client] += 1
            failed = entry.outcome is not Outcome.ANSWERED
            slow = entry.milliseconds > self._slow_ms
            if not failed and not slow:
                continue
            endpoint = _known(entry.endpoint, self._named, MOST_ENDPOINTS, OTHER)
            if slow:
                arm.slow[endpoint] += 1
            if failed:
                arm.errors[endpoint] += 1
                if client:
                    arm.clients.setdefault(client, Counter())[endpoint] += 1

    def of(self, numbers: Collection[int]) -> Mapping[int, Breakdown]:
        """A copy of the counts of these releases; a release without any has empty ones."""
        return {number: _frozen(self._arms.get(number, _Arm())) for number in numbers}


def _known(name: str, known: set[str], most: int, other: str) -> str:
    if name not in known:
        if not name or len(known) >= most:
            return other
        known.add(name)
    return name


def _frozen(arm: _Arm) -> Breakdown:
    return Breakdown(
        errors=dict(arm.errors),
        slow=dict(arm.slow),
        clients={client: dict(counts) for client, counts in arm.clients.items()},
        seen=dict(arm.seen),
    )
