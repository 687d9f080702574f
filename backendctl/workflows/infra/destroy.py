"""`infra destroy`: what would be lost is looked for and named before anything is deleted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.provision.adopted import ADOPTED, adopted_stack
from backendctl.provision.changes import NAMESPACE
from backendctl.provision.engine import Applied
from backendctl.provision.infrastructure import Infrastructure
from backendctl.provision.protection import final_snapshot, protected_by_cloud
from backendctl.provision.upstream import present
from backendctl.workflows.infra.opened import Opened
from backendctl.workflows.infra.outcomes import results
from backendctl.workflows.infra.recovery import refuse_unfinished
from backendctl.workflows.infra.states import Held, held
from backendctl.workflows.infra.telling import Waiting, listener


@dataclass(frozen=True, slots=True)
class Losses:
    """What a destruction would delete, as the states have it."""

    environment: str
    resources: Sequence[Held]
    standing: Sequence[str] = ()
    """Stacks that stay whole, because what is kept stands on them."""
    adopted: Sequence[Held] = ()
    """What was taken into the picture: it is only forgotten."""
    keeping: bool = False
    """Whether what is protected stays."""

    @property
    def protected(self) -> Sequence[Held]:
        return [each for each in self.resources if each.protected and not each.retained]

    @property
    def stacks(self) -> Sequence[str]:
        return list(dict.fromkeys(each.stack for each in self.resources))

    @property
    def without_copy(self) -> Sequence[Held]:
        """Data stores that would leave no snapshot behind."""
        return [each for each in self.resources if final_snapshot(each.type, each.inputs) == ""]

    @property
    def snapshots(self) -> Mapping[str, Held]:
        """By name, what each final snapshot will be of."""
        named = ((final_snapshot(each.type, each.inputs), each) for each in self.resources)
        return {name: each for name, each in named if name}

    @property
    def adopted_lost(self) -> Sequence[Held]:
        """What was adopted in a namespace that the stack made: that takes all in it along."""
        if self.keeping:
            return []
        gone = {each.id for each in self.resources if each.type == NAMESPACE}
        return [each for each in self.adopted if each.id.partition("/")[0] in gone]

    def counts(self) -> Mapping[str, int]:
        return {n: sum(1 for r in self.resources if r.stack == n) for n in self.stacks}

    def lines(self) -> Iterator[str]:
        """What goes, what is protected, what remains of it."""
        for stack, count in self.counts().items():
            yield f"{stack}: {count} resources"
        for stack in self.standing:
            yield f"{stack}: stays whole, what is kept stands on it"
        for name, each in self.snapshots.items():
            yield f"  {each.title} leaves the final snapshot {name}"
        for each in self.resources:
            if each.taken_over:
                yield f"  {each.title} stays, with what is not the stack's: it was there before"
            if each.retained:
                yield f"  {each.title} stays: it is only forgotten"
        for each in self.without_copy:
            yield f"  its data is LOST, no final snapshot remains of it: {each.title} ({each.id})"
        for each in self.protected:
            yield f"  protected, because it holds data: {each.title} ({each.id or each.stack})"
        for each in self.adopted:
            if each in self.adopted_lost:
                yield f"adopted: {each.title} GOES with the namespace that it is in"
            else:
                yield f"adopted: {each.title} stays as it is, and is only forgotten"

    def data(self) -> Mapping[str, Any]:
        return {
            "environment": self.environment,
            "stacks": self.counts(),
            "standing": list(self.standing),
            "adopted": [{"urn": e.urn, "id": e.id} for e in self.adopted],
            "adopted_lost": [{"urn": e.urn, "id": e.id} for e in self.adopted_lost],
            "without_snapshot": [{"urn": e.urn, "id": e.id} for e in self.without_copy],
            "protected": [{"urn": e.urn, "id": e.id, "stack": e.stack} for e in self.protected],
            "snapshots": list(self.snapshots),
        }


@dataclass(frozen=True, slots=True)
class Destroyed:
    """What was deleted, and what is left."""

    losses: Losses
    stacks: Sequence[Applied]
    kept: Sequence[Held]

    def data(self) -> Mapping[str, Any]:
        deleted = {each.stack: len(each.changed) for each in self.stacks}
        kept = [{"urn": each.urn, "id": each.id} for each in self.kept]
        return {**self.losses.data(), "deleted": deleted, "kept": kept}

    def lines(self) -> Iterator[str]:
        for each in self.stacks:
            yield f"{each.stack}: {len(each.changed)} deleted"
        yield from (f"kept: {each.title} ({each.id})" for each in self.kept)
        yield from (f"final snapshot: {name}" for name in self.losses.snapshots)


def destroy(
    opened: Opened,
    progress: Waiting,
    approve: Callable[[Losses], None],
    *,
    keep_data: bool = False,
    delete_data: bool = False,
) -> Destroyed:
    """Delete the stacks, after `approve` (which raises if not) has seen what is lost.

    Raises `infra.protected` before anything is done when something is protected and neither
    `keep_data` nor `delete_data` says what becomes of it, or a database would leave no snapshot.
    """
    infrastructure = opened.infrastructure(listener(progress, acts=True), adopted=adopted_stack())
    with progress.step("Looking at what would be lost"):
        states = dict(results(infrastructure.states()))
    refuse_unfinished(states)
    adopted = states.pop(ADOPTED)
    found = [each for name, state in states.items() for each in held(name, state)]
    losses = Losses(
        opened.environment.name, found, (), list(held(ADOPTED, adopted)), keeping=keep_data
    )
    if losses.protected and not (keep_data or delete_data):
        raise _protected(losses)
    if delete_data and losses.without_copy:
        raise _without_copy(losses)
    standing: frozenset[str] = frozenset()
    if keep_data:
        # What is kept cannot do without what its stack stands on: a database needs its network.
        standing = infrastructure.beneath({each.stack for each in losses.protected})
        found = [each for each in found if each.stack not in standing]
        losses = replace(losses, resources=found, standing=tuple(sorted(standing)))
    approve(losses)
    opened.confirm_target()
    doomed = [
        each
        for each in found
        if delete_data or not each.protected or (each.retained and not keep_data)
    ]
    _release(infrastructure, doomed, states, progress)
    names = [n for n, state in states.items() if state.get("resources") and n not in standing]
    with progress.step("Destroying the stacks"):
        done = results(infrastructure.destroy(names, losses.counts(), keep_protected=keep_data))
    kept = [each for each in found if each.stays or (keep_data and each.protected)]
    if adopted.get("resources"):
        kept += [each for each in losses.adopted if each not in losses.adopted_lost]
        results(infrastructure.on_each("forget", [ADOPTED], lambda engine: engine.forget()))
    return Destroyed(losses, list(done.values()), kept)


def _release(
    infrastructure: Infrastructure,
    doomed: Sequence[Held],
    states: Mapping[str, Mapping[str, Any]],
    progress: Waiting,
) -> None:
    """In the state alone where only the engine protects a thing: that works in a stack that never
    came up whole, too. Where the cloud protects it, by the program."""
    here: dict[str, list[str]] = {}
    there: dict[str, list[str]] = {}
    for each in doomed:
        if protected_by_cloud(each.type, each.inputs) and not each.retained:
            there.setdefault(each.stack, []).append(each.urn)
        elif each.protected:
            here.setdefault(each.stack, []).append(each.urn)
    if not here and not there:
        return
    exported = {name: present(state) for name, state in states.items()}
    with progress.step("Taking the protection off what is deleted"):
        results(infrastructure.on_each("release", list(here), lambda e: e.unprotect(here[e.name])))
        results(infrastructure.release(there, exported))


def _protected(losses: Losses) -> BackendctlError:
    named = ", ".join(f"{each.title} ({each.id})" for each in losses.protected)
    return BackendctlError(
        "infra.protected",
        f"{losses.environment} holds data that is protected: {named}",
        cause="it was looked for before anything is deleted",
        state="nothing was deleted",
        next=("--keep-data", "--delete-data"),
        data=losses.data(),
    )


def _without_copy(losses: Losses) -> BackendctlError:
    named = ", ".join(f"{each.title} ({each.id})" for each in losses.without_copy)
    return BackendctlError(
        "infra.protected",
        f"no final snapshot would remain of {named}",
        cause="its skipFinalSnapshot is set, or no snapshot's name is",
        state="nothing was deleted",
        next=("backendctl infra up", "--keep-data"),
        data=losses.data(),
    )
