"""What a rule is, and what it is given."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from backendctl.shipped.stacks.record import Record
from backendctl.spec.model import Environment, Spec
from backendctl.spec.tiers_aws import Tier, tier_of


@dataclass(frozen=True)
class Judged:
    """Everything an environment's stacks would register, and what was promised of it."""

    spec: Spec
    environment: Environment
    records: Sequence[Record]
    today: date

    @property
    def tier(self) -> Tier:
        """What the environment is for."""
        return tier_of(self.environment)

    @cached_property
    def own(self) -> Sequence[Record]:
        """All but those that are adopted: they are their owners' to judge."""
        return tuple(each for each in self.records if not each.adopted)

    def of(self, *types: str) -> Iterator[Record]:
        """Our resources of these types, given without the package: `rds/instance:Instance`."""
        tokens = {f"aws:{each}" for each in types}
        return (each for each in self.own if each.type in tokens)

    def named(self, identity: object) -> Record | None:
        """The resource that an id in another's inputs stands for."""
        return self._by_id.get(str(identity))

    @cached_property
    def _by_id(self) -> Mapping[str, Record]:
        return {f"{each.type.rpartition(':')[2]}/{each.name}": each for each in self.own}


@dataclass(frozen=True, slots=True)
class Breach:
    """One resource that does not keep a rule."""

    subject: str
    message: str
    remedy: str


Look = Callable[[Judged], Iterator[Breach]]
Subjects = Callable[[Judged], int]


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rule with its reason and where that is written."""

    name: str
    reason: str
    source: str
    look: Look
    types: tuple[str, ...]
    """What it is held against; empty for every resource."""

    def subjects(self, judged: Judged) -> int:
        """How many there are."""
        return sum(1 for _ in judged.of(*self.types)) if self.types else len(judged.own)


def rule(reason: str, source: str, *types: str) -> Callable[[Look], Rule]:
    """Make a function a rule under its own name: `no_open_ingress` is "no-open-ingress"."""

    def decorate(look: Look) -> Rule:
        return Rule(look.__name__.replace("_", "-"), reason, source, look, types)

    return decorate


def at(record: Record, *path: str | int) -> Any:
    """A value inside a resource's inputs; None where there is none."""
    value: Any = record.properties
    for step in path:
        if isinstance(step, int):
            if not isinstance(value, list | tuple) or len(value) <= step:
                return None
            value = value[step]
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def listed(record: Record, key: str) -> Sequence[Any]:
    """A list among a resource's inputs; empty where there is none."""
    value = record.properties.get(key)
    return value if isinstance(value, list | tuple) else ()
