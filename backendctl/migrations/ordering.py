"""When each migration of a release is to be applied: before it starts, or after the bake. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from backendctl.migrations.assess import Finding
from backendctl.migrations.revisions import Effect, Revision, Tool

_HEADS = frozenset(("head", "heads"))


@dataclass(frozen=True, slots=True)
class Order:
    """The migrations that a release finds unapplied, in two parts."""

    before: tuple[Revision, ...]
    """Applied before the release starts: the one that serves goes on working."""
    after: tuple[Revision, ...] = ()
    """Applied once the former release is gone."""
    migrate: tuple[str, ...] = ()
    """The command for `before`; empty if there is nothing to apply."""
    contract: tuple[str, ...] = ()
    """The command for `after`."""


def arrange(
    pending: Sequence[Revision],
    tool: Tool,
    migrate: Sequence[str],
    known: Collection[str],
    stable: int,
) -> Order | list[Finding]:
    """Put `pending` (assessed, in the order in which they apply) in order, or say what forbids it.

    `known` are the migrations that came with the release that serves, `stable`: whatever they do,
    its code was written for it.
    """
    commands = tuple(migrate)
    late = [each for each in pending if each.effect is Effect.CONTRACT and each.name not in known]
    broken = [each for each in pending if each.effect is Effect.BREAKING and each.name not in known]
    if broken:
        return [_breaking(each, stable) for each in broken]
    if not late:
        return Order(tuple(pending), (), commands)
    first = pending.index(late[0])
    needed = [each for each in pending[first:] if each not in late]
    if needed:
        return [_out_of_order(late[0], needed[0])]
    before = tuple(pending[:first])
    stops = _up_to(tool, commands, before)
    if stops is not None:
        return Order(before, tuple(late), stops, commands)
    return [_all_at_once(each, before[-1], commands, stable) for each in late]


def _up_to(
    tool: Tool, command: tuple[str, ...], before: Sequence[Revision]
) -> tuple[str, ...] | None:
    """The command that applies `before` only; empty for none, None if it cannot be said."""
    if not before:
        return ()
    chained = all(before[place].name in each.after for place, each in enumerate(before[1:]))
    if tool is not Tool.ALEMBIC or not chained or not _HEADS.intersection(command):
        return None
    return tuple(before[-1].name if word in _HEADS else word for word in command)


def _breaking(revision: Revision, stable: int) -> Finding:
    return Finding(
        "breaking",
        revision.file,
        1,
        "",
        f"release {stable} serves and would stop working: this {revision.why}",
        "split it: add in this release, let the code use both; take away in a later release, when "
        "none that serves uses it. If it is harmless, say so in a comment of its own line: "
        "`backendctl: expand: REASON`",
    )


def _out_of_order(late: Revision, needed: Revision) -> Finding:
    return Finding(
        "order",
        late.file,
        1,
        "",
        f"this {late.why}; so it must wait until the bake has ended, and {needed.file}, which the "
        "new release needs before it starts, builds on it",
        "put the migrations that add before those that take away, or deploy them one after another",
    )


def _all_at_once(
    revision: Revision, needed: Revision, command: Sequence[str], stable: int
) -> Finding:
    return Finding(
        "contract",
        revision.file,
        1,
        "",
        f"this {revision.why}; `{' '.join(command)}` would apply it together with {needed.file}, "
        f"which the new release needs, while release {stable} serves",
        "leave it out of this release and deploy it in the next: on its own it waits until the "
        "bake has ended",
    )
