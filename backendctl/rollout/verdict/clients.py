"""The worst-client guard: no release is convicted on the failures of one client alone.

The comparison with stable takes each failed request's arm for a random draw. For a client whose
requests all go to one arm (a session that sticks, a connection that is kept) that is not so: if
such a client sends what no release could answer, its failures look like the candidate's. So a
second track is kept that leaves out the client with the most failures on the candidate, and the
candidate is convicted only when both tracks convict it.

A client that was seen on both arms since the step began is routed at random: its failures are
draws like any other, and it is not left out. Without that, a service with one client (a proxy, a
load generator) could never be judged.

Each block leaves out the client that leads by then. When the lead changes, what was left out of
the former leader stays out, and what was counted of the new one stays in: never fewer
failures are left out than the worst client has had.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.blocks import ArmBlock


@dataclass(frozen=True, slots=True)
class Clients:
    """Whose failures the candidate's were."""

    failures: Mapping[str, int] = field(default_factory=dict)
    """Client -> its failures on the candidate that counted; the `MOST_CLIENTS` with the most."""
    mixed: tuple[str, ...] = ()
    """Clients known to reach stable as well, since the step began; sorted."""

    def begin_step(self) -> "Clients":
        """A rise of the weight may have moved a client from stable to the candidate."""
        return replace(self, mixed=())

    def after(self, candidate: ArmBlock, stable: ArmBlock) -> "Clients":
        """With one more block."""
        mixed = self.mixed
        if len(mixed) < default.MOST_MIXED:
            mixed = tuple(sorted({*mixed, *stable.seen, *stable.clients}))
        failures = dict(self.failures)
        for client, counts in candidate.clients.items():
            failures[client] = failures.get(client, 0) + sum(counts.values())
        kept = sorted(failures.items(), key=lambda item: (-item[1], item[0]))
        return Clients(dict(kept[: default.MOST_CLIENTS]), mixed)

    def worst(self) -> str | None:
        """The client to leave out: the most failures of those that may stick to the candidate."""
        sticking = (item for item in self.failures.items() if item[0] not in self.mixed)
        client, _ = max(sticking, key=lambda item: (item[1], item[0]), default=(None, 0))
        return client


def without(arm: ArmBlock, client: str) -> ArmBlock:
    """The arm's block less a client's failures; its other requests are not known and stay."""
    counts = arm.clients.get(client)
    if not counts:
        return arm
    events = dict(arm.endpoints.get(default.ERRORS, {}))
    for endpoint, count in counts.items():
        events[endpoint] = max(0, events.get(endpoint, 0) - count)
    return replace(
        arm,
        errors=max(0, arm.errors - sum(counts.values())),
        endpoints={**arm.endpoints, default.ERRORS: {k: v for k, v in events.items() if v}},
    )
