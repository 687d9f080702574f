"""From the gateway's breakdown to a block's: differences, and no more of them than a journal
should hold."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from backendctl.platforms.base import ArmSample, Breakdown
from backendctl.platforms.endpoints import OTHER
from backendctl.rollout.verdict import ArmBlock
from backendctl.rollout.verdict.parameters import ERRORS, SLO_P99

MOST_ENDPOINTS = 12
"""Endpoints with the most events that a block names; those of the others are counted together."""
MOST_CLIENTS = 4
"""Clients with the most failures that a block names, for each arm."""
MOST_SEEN = 8
"""Clients that a block says to have reached stable."""

Counts = Mapping[str, int]


def told_apart(arm: ArmSample | None) -> tuple[str, ...]:
    """The metrics whose events come with their endpoints."""
    return () if arm is None or arm.breakdown is None else (ERRORS, SLO_P99)


def with_breakdown(block: ArmBlock, before: Breakdown | None, after: Breakdown | None) -> ArmBlock:
    """The arm's block with its events by endpoint and the clients that failed most."""
    if before is None or after is None:
        return block
    clients = {
        client: _difference(before.clients.get(client, {}), counts)
        for client, counts in after.clients.items()
    }
    worst = sorted(clients, key=lambda c: (-sum(clients[c].values()), c))[:MOST_CLIENTS]
    endpoints = {
        ERRORS: _difference(before.errors, after.errors),
        SLO_P99: _difference(before.slow, after.slow),
    }
    return replace(
        block,
        endpoints={name: counts for name, counts in endpoints.items() if counts},
        clients={client: clients[client] for client in worst if clients[client]},
    )


def with_seen(
    stable: ArmBlock, candidate: Breakdown | None, before: Breakdown | None, after: Breakdown | None
) -> ArmBlock:
    """Stable's block with clients that reached it: first those that failed on the candidate, for
    only of them does it matter."""
    if candidate is None or before is None or after is None:
        return stable
    seen = _difference(before.seen, after.seen)
    order = sorted(seen, key=lambda c: (c not in candidate.clients, -seen[c], c))
    return replace(stable, seen=tuple(order[:MOST_SEEN]))


def trimmed(arms: Sequence[ArmBlock | None]) -> list[ArmBlock | None]:
    """Both arms' blocks with the same few endpoints by name.

    Which ones must not depend on the arm: the sums of both arms decide.
    """
    sums: dict[str, Counter[str]] = {}
    for arm in arms:
        for metric, events in arm.endpoints.items() if arm is not None else ():
            sums.setdefault(metric, Counter()).update(events)
    kept = {
        metric: frozenset(sorted(events, key=lambda name: (-events[name], name))[:MOST_ENDPOINTS])
        for metric, events in sums.items()
    }
    return [arm if arm is None else _named(arm, kept) for arm in arms]


def _named(arm: ArmBlock, kept: Mapping[str, Collection[str]]) -> ArmBlock:
    endpoints = {metric: _merged(events, kept[metric]) for metric, events in arm.endpoints.items()}
    errors = kept.get(ERRORS, ())
    clients = {client: _merged(events, errors) for client, events in arm.clients.items()}
    return replace(arm, endpoints=endpoints, clients=clients)


def _merged(events: Counts, kept: Collection[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, count in events.items():
        shown = name if name in kept else OTHER
        found[shown] = found.get(shown, 0) + count
    return found


def _difference(before: Counts, after: Counts) -> dict[str, int]:
    """What was added, in a fixed order, without zeros."""
    more = {name: count - before.get(name, 0) for name, count in after.items()}
    return {name: more[name] for name in sorted(more) if more[name] > 0}
