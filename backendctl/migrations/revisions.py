"""Migrations as a graph of revisions, and what is known of each. Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Tool(StrEnum):
    """Who applies the migrations and keeps the record of them in the database."""

    ALEMBIC = "alembic"
    DJANGO = "django"
    DBMATE = "dbmate"
    FLYWAY = "flyway"
    GOLANG_MIGRATE = "golang-migrate"
    GOOSE = "goose"
    KNEX = "knex"
    NODE_PG_MIGRATE = "node-pg-migrate"
    PRISMA = "prisma"


class Effect(StrEnum):
    """What a migration does to code that was written before it."""

    EXPAND = "expand"
    """It only adds: older code goes on working."""
    CONTRACT = "contract"
    """It takes away, or forbids what older code may do: to be applied when that code is gone."""
    BREAKING = "breaking"
    """Older code stops working and newer code cannot work before it: no moment suits both."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One migration, by the name under which the tool records it."""

    name: str
    after: tuple[str, ...] = ()
    """The revisions it builds on."""
    file: str = ""
    """Relative to the code."""
    effect: Effect | None = None
    """None while nobody had to know: it was applied before a release served."""
    why: str = ""
    """What makes it more than an expansion."""


def ordered(revisions: Iterable[Revision]) -> tuple[Revision, ...]:
    """The revisions, each after those it builds on; by name where that leaves a choice.

    Raises ValueError for a circle. A parent that is not there counts as applied long ago (some
    projects squash their history).
    """
    left = {each.name: each for each in sorted(revisions, key=lambda each: each.name)}
    done: dict[str, Revision] = {}
    while left:
        ready = [r for r in left.values() if not any(parent in left for parent in r.after)]
        if not ready:
            raise ValueError(f"these revisions build on each other: {', '.join(left)}")
        # The first only, and look again: a chain stays together.
        chosen = next((r for r in ready if done and tuple(done)[-1] in r.after), ready[0])
        done[chosen.name] = left.pop(chosen.name)
    return tuple(done.values())


def with_ancestors(names: Collection[str], revisions: Sequence[Revision]) -> frozenset[str]:
    """`names` and all that they build on, as far as `revisions` know them."""
    known = {each.name: each for each in revisions}
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += known[name].after if name in known else ()
    return frozenset(found)


def heads(revisions: Sequence[Revision]) -> tuple[str, ...]:
    """The revisions that no other builds on."""
    built_on = {parent for each in revisions for parent in each.after}
    return tuple(each.name for each in revisions if each.name not in built_on)
