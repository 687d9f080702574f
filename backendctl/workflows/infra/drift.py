"""`infra drift`: what somebody changed behind the stacks' backs. Nothing is changed by looking."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backendctl.provision.adopted import adopted_stack
from backendctl.provision.changes import Action, ResourceChange
from backendctl.workflows.infra.opened import Opened
from backendctl.workflows.infra.outcomes import results
from backendctl.workflows.infra.preview import QUIET, change_data
from backendctl.workflows.infra.states import existing
from backendctl.workflows.infra.telling import Waiting, listener


@dataclass(frozen=True, slots=True)
class Drift:
    """What differs from what the stacks made."""

    environment: str
    stacks: Mapping[str, Sequence[ResourceChange]]
    looked_at: int
    """Resources that were compared."""

    @property
    def found(self) -> int:
        return sum(len(each) for each in self.stacks.values())

    def data(self) -> Mapping[str, Any]:
        return {
            "environment": self.environment,
            "drift": self.found,
            "compared": self.looked_at,
            "stacks": [
                {"name": name, "changes": [change_data(each) for each in changes]}
                for name, changes in self.stacks.items()
            ],
        }

    def lines(self) -> Iterator[str]:
        if not self.stacks:
            yield f"{self.environment}: no stack is up"
        for name, changes in self.stacks.items():
            if not changes:
                yield f"{name}: as the stack made it"
            for change in changes:
                if change.action is Action.DELETE:
                    yield f"{name}: {change.title} is gone"
                    continue
                yield f"{name}: {change.title} was changed"
                yield from (f"      {each.in_words()}" for each in change.properties)


def drift(opened: Opened, progress: Waiting) -> Drift:
    """Compare every stack's state with what is really there."""
    infrastructure = opened.infrastructure(listener(progress, acts=False), adopted=adopted_stack())
    with progress.step("Comparing with what is really there"):
        names = existing(infrastructure)
        found = results(infrastructure.drift(names))
    return Drift(
        opened.environment.name,
        {name: drifted(found[name]) for name in names},
        sum(len(each) for each in found.values()),
    )


def drifted(changes: Sequence[ResourceChange]) -> Sequence[ResourceChange]:
    """Those that are gone, or differ in something the stack sets. What a system adds by itself
    (status, counters, defaults) is no drift."""
    return [
        each
        for each in changes
        if not each.type.startswith(QUIET)
        and (each.action is Action.DELETE or (each.action is not Action.SAME and each.properties))
    ]
