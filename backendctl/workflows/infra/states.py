"""What the states of an environment's stacks say, without looking at the cloud."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backendctl.provision.changes import NAMESPACE_TAKEN_OVER, short_type
from backendctl.provision.infrastructure import Infrastructure
from backendctl.provision.locks import Pending, pending
from backendctl.provision.upstream import present
from backendctl.workflows.infra.opened import Opened
from backendctl.workflows.infra.outcomes import results
from backendctl.workflows.infra.telling import Waiting, listener

SECRET = "[secret]"  # noqa: S105 (what is shown instead of one)


@dataclass(frozen=True, slots=True)
class Held:
    """One resource in a state."""

    stack: str
    urn: str
    type: str
    id: str
    protected: bool
    retained: bool
    inputs: Mapping[str, Any]

    @property
    def taken_over(self) -> bool:
        """Whether it only stands for fields of ours on somebody else's namespace."""
        return self.type == NAMESPACE_TAKEN_OVER

    @property
    def stays(self) -> bool:
        """Whether the thing itself outlives a destruction."""
        return self.retained or self.taken_over

    @property
    def title(self) -> str:
        if self.taken_over:
            return f"Namespace {self.id}"
        return f"{short_type(self.type)} {self.urn.split('::', 3)[3]}"


def held(stack: str, state: Mapping[str, Any]) -> Iterator[Held]:
    """The real resources of a state: neither components nor providers."""
    for each in state.get("resources") or ():
        if each.get("custom") and not each["type"].startswith("pulumi:providers:"):
            yield Held(
                stack,
                each["urn"],
                each["type"],
                each.get("id", ""),
                bool(each.get("protect")),
                bool(each.get("retainOnDelete")),
                each.get("inputs") or {},
            )


def existing(infrastructure: Infrastructure) -> Sequence[str]:
    """The stacks that hold anything, in the order of their definition."""
    states = results(infrastructure.states())
    return [each.name for each in infrastructure.definitions if states[each.name].get("resources")]


def unfinished(states: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Sequence[Pending]]:
    """Stack -> operations that were cut off; only stacks that have any."""
    found = {name: pending(state) for name, state in states.items()}
    return {name: each for name, each in found.items() if each}


def outputs(opened: Opened, progress: Waiting, *, show_secrets: bool) -> Mapping[str, Any]:
    """Stack -> output -> value; secrets as `[secret]` unless they are asked for."""
    infrastructure = opened.infrastructure(listener(progress, acts=False))
    states = results(infrastructure.states())
    return {
        each.name: {
            name: SECRET if value.secret and not show_secrets else value.value
            for name, value in present(states[each.name]).items()
        }
        for each in opened.definitions
        if states[each.name].get("resources")
    }
