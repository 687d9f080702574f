"""`infra unlock`: whose lock it is, what was cut off, and how both are put right."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.filesystem import atomic_write, make_folder
from backendctl.provision.adopted import adopted_stack
from backendctl.provision.infrastructure import Infrastructure
from backendctl.provision.live import duration
from backendctl.provision.locks import (
    Pending,
    StackLock,
    age,
    cut_off,
    natural_id,
    read_locks,
)
from backendctl.workflows.infra.opened import Opened
from backendctl.workflows.infra.outcomes import results
from backendctl.workflows.infra.states import unfinished
from backendctl.workflows.infra.telling import Waiting, listener


@dataclass(frozen=True, slots=True)
class Damage:
    """Locks left behind, and operations that were cut off."""

    environment: str
    locks: Mapping[str, Sequence[StackLock]]
    pending: Mapping[str, Sequence[Pending]]
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def stacks(self) -> Sequence[str]:
        return list(dict.fromkeys([*self.locks, *self.pending]))

    @property
    def live(self) -> Sequence[StackLock]:
        """Locks whose process is alive."""
        return [lock for each in self.locks.values() for lock in each if lock.alive]

    @property
    def foreign(self) -> Sequence[StackLock]:
        """Locks of other machines: whether their process lives cannot be seen from here."""
        return [lock for each in self.locks.values() for lock in each if lock.alive is None]

    def lines(self) -> Iterator[str]:
        for stack, locks in self.locks.items():
            for lock in locks:
                old = age(lock.since, self.at)
                ago = "" if old is None else f", {duration(old)} ago"
                yield f"{stack}: locked by {lock.in_words()}{ago}"
        for stack, operations in self.pending.items():
            yield from (f"{stack}: {each.in_words()}" for each in operations)

    def data(self) -> Mapping[str, Any]:
        return {
            "environment": self.environment,
            "locks": [
                {
                    "stack": stack,
                    "owner": lock.owner,
                    "pid": lock.pid,
                    "since": lock.since,
                    "alive": lock.alive,
                }
                for stack, locks in self.locks.items()
                for lock in locks
            ],
            "pending": [
                {"stack": stack, "urn": each.urn, "type": each.type}
                for stack, operations in self.pending.items()
                for each in operations
            ],
        }


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was put right."""

    damage: Damage
    backups: Sequence[str] = ()
    forgotten: Sequence[Pending] = ()
    """Creations whose outcome could not be looked up: what they made, if anything, is not in the
    state any more."""

    def data(self) -> Mapping[str, Any]:
        lost = [{"urn": each.urn} for each in self.forgotten]
        return {**self.damage.data(), "backups": list(self.backups), "forgotten": lost}

    def lines(self) -> Iterator[str]:
        if not self.damage.stacks:
            yield f"{self.damage.environment}: no stack is locked, and nothing was cut off."
            return
        yield f"{self.damage.environment}: unlocked and repaired {', '.join(self.damage.stacks)}."
        yield from (f"backup: {each}" for each in self.backups)
        for each in self.forgotten:
            yield (
                f"look whether it exists, and delete or adopt it: {each.title} (its creation was "
                "cut off, and it cannot be looked up by its name)"
            )


def unlock(
    opened: Opened,
    progress: Waiting,
    approve: Callable[[Damage], None],
    existing: Mapping[str, str] | None = None,
) -> Repaired:
    """Back the states up, take the locks away, and settle what was cut off.

    `existing`: URN -> id, for creations that somebody has looked up. `approve` sees the damage and
    raises if nothing is to be done. Raises `infra.locked` while a lock's process lives here.
    """
    infrastructure = opened.infrastructure(listener(progress, acts=False), adopted=adopted_stack())
    with progress.step("Looking for locks and operations that were cut off"):
        damage = look(opened, infrastructure)
    if damage.live:
        raise _alive(damage)
    if not damage.stacks:
        return Repaired(damage)
    approve(damage)
    if damage.pending:  # settled by looking at the cluster: it has to be the right one
        infrastructure.target = opened.targeted().target
    with progress.step("Backing up the states"):
        backups = _back_up(infrastructure, damage.stacks)
    with progress.step("Taking the locks away"):
        results(infrastructure.on_each("unlock", list(damage.locks), lambda e: e.unlock()))
    known = {
        each.urn: identifier
        for operations in damage.pending.values()
        for each in operations
        if each.type == "creating"
        and (identifier := (existing or {}).get(each.urn) or natural_id(each))
    }
    with progress.step("Settling what was cut off"):
        results(
            infrastructure.on_each(
                "repair",
                list(damage.pending),
                lambda engine: engine.repair(
                    {
                        each.urn: known[each.urn]
                        for each in damage.pending[engine.name]
                        if each.urn in known
                    }
                ),
            )
        )
    lost = [
        each
        for operations in damage.pending.values()
        for each in operations
        if each.type == "creating" and each.urn not in known
    ]
    return Repaired(damage, backups, lost)


def look(opened: Opened, infrastructure: Infrastructure) -> Damage:
    """Locks and cut-off operations of all stacks."""
    where = infrastructure.backend
    states = results(infrastructure.states())
    locks: dict[str, Sequence[StackLock]] = {}
    for name in states:
        folder = where.state_folder
        found = (
            read_locks(folder, where.project(name), where.environment)
            if folder is not None
            else infrastructure.told_locks(name)
        )
        if found:
            locks[name] = found
    return Damage(opened.environment.name, locks, unfinished(states))


def refuse_unfinished(states: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises `infra.pending` when an operation on any stack was cut off."""
    for name, operations in unfinished(states).items():
        raise cut_off(name, operations)


def _back_up(infrastructure: Infrastructure, names: Sequence[str]) -> Sequence[str]:
    folder = make_folder(infrastructure.backend.folder / "backups")
    found = results(infrastructure.on_each("back up", names, lambda engine: engine.backup()))
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    written = []
    for name, body in found.items():
        path = folder / f"{name}-{stamp}.json"
        atomic_write(path, body)
        written.append(str(path))
    return written


def _alive(damage: Damage) -> BackendctlError:
    who = "; ".join(dict.fromkeys(lock.in_words() for lock in damage.live))
    return BackendctlError(
        "infra.locked",
        f"the lock belongs to a run that is under way: {who}",
        cause="taking it away would let two runs change the same things",
        state="nothing was changed",
        next=tuple(f"kill -INT {lock.pid}" for lock in damage.live),
        data=damage.data(),
    )
