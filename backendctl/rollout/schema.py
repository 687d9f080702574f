"""Whether a release works with the schema that the database has now."""

from collections.abc import Sequence
from dataclasses import dataclass

from backendctl.errors import BackendctlError
from backendctl.migrations.revisions import Effect, Revision, Tool, with_ancestors
from backendctl.platforms.base import Platform, Release, SchemaRange, Store

_RECORDS_ONLY_THE_LAST = frozenset((Tool.ALEMBIC, Tool.GOLANG_MIGRATE))


@dataclass(frozen=True, slots=True)
class Present:
    """The migrations that the database has."""

    applied: frozenset[str]
    doubt: str = ""
    """Why this is not the database's own word."""


def present_schema(platform: Platform, coming: SchemaRange | None = None) -> Present | None:
    """What the database says; where it cannot be asked, what the rollouts' journals say.

    `coming` is that of a release not yet recorded. None if no release says which migrations it
    has: then there is nothing to compare.
    """
    releases = platform.store.releases()
    schemas = [each.package.schema for each in releases if each.package.schema]
    schemas += [coming] if coming else []
    if not schemas:
        return None
    recorded = _recorded(platform.store, releases)
    tool = schemas[-1].tool
    doubt = "this environment has no database of its own to ask"
    if platform.schema is not None:
        try:
            has = applied(platform.schema.applied(tool), tool, schemas)
        except BackendctlError as error:
            doubt = f"{error.message} ({error.cause})"
        else:
            if has or not recorded:
                return Present(has)
            # Moved by a setting of the tool's, which only the tool understands.
            doubt = f"the database has no record where {tool} keeps it by default"
    return Present(recorded, f"{doubt}; by the record of rollouts")


def applied(said: frozenset[str], tool: Tool, schemas: Sequence[SchemaRange]) -> frozenset[str]:
    """All that the database has, from what the tool's own record says."""
    if tool not in _RECORDS_ONLY_THE_LAST:
        return said
    known = {each.name: each for schema in schemas for each in schema.revisions}
    return with_ancestors(said, tuple(known.values()))


def check_schema(target: Release, releases: Sequence[Release], present: Present | None) -> None:
    """Refuse a release that does not work with the present schema.

    It works with its own migrations, and with later ones that only add. What a later one does was
    found out and recorded when the release that brought it was made. A release that says nothing
    about its schema is not refused.

    Raises `release.schema`.
    """
    own = target.package.schema
    if present is None or own is None:
        return
    if own.oldest:
        lacking = [name for name in own.oldest.split(",") if name not in present.applied]
        if lacking:
            said = f"release {target.number} needs migration {lacking[0]}, which the database lacks"
            raise _refused(said, "a rollback applies no migration", present)
    names = {each.name for each in own.revisions}
    for name in sorted(present.applied - names):
        brought = _brought(name, releases)
        if brought is None:
            if own.tool is Tool.DJANGO and not _of_own_app(name, own):
                continue  # of an installed package
            raise _refused(
                f"the database has migration {name}, which came with no release",
                f"whether release {target.number} works with it cannot be known",
                present,
            )
        number, revision = brought
        harmless = revision.effect in (None, Effect.EXPAND)
        if not harmless:
            raise _refused(
                f"release {target.number} does not work with the present schema: migration {name}, "
                f"which came with release {number}, was applied since",
                f"it {revision.why}; a schema is never downgraded, so that no data is lost",
                present,
            )


def _refused(said: str, cause: str, present: Present) -> BackendctlError:
    if present.doubt:
        cause = f"{cause} ({present.doubt})"
    return BackendctlError(
        "release.schema",
        said,
        cause=cause,
        state="nothing was changed",
        next=("backendctl deploy  # mend it forwards", "backendctl rollout history"),
    )


def _brought(name: str, releases: Sequence[Release]) -> tuple[int, Revision] | None:
    """The first release that came with a migration, and what is known of it by now."""
    found: tuple[int, Revision] | None = None
    for release in releases:
        schema = release.package.schema
        for each in schema.revisions if schema else ():
            if each.name == name and (found is None or found[1].effect is None):
                found = (found[0] if found else release.number, each)
    return found


def _of_own_app(name: str, schema: SchemaRange) -> bool:
    app = name.partition(".")[0]
    return any(each.name.partition(".")[0] == app for each in schema.revisions)


def _recorded(store: Store, releases: Sequence[Release]) -> frozenset[str]:
    """The migrations that rollouts have applied."""
    ran = {(number, kind) for number, kind in _migrations(store)}
    found: set[str] = set()
    for release in releases:
        schema = release.package.schema
        if schema is None:
            continue
        if (release.number, "migrate") in ran:
            found |= with_ancestors(
                [name for name in schema.oldest.split(",") if name], schema.revisions
            )
        if (release.number, "contract") in ran:
            found |= {each.name for each in schema.revisions}
    return frozenset(found)


def _migrations(store: Store) -> list[tuple[int, str]]:
    """Release and kind of each migration that ended well."""
    found = []
    for rollout in store.rollouts():
        records = store.records(rollout)
        begun = {r["intent"]["serial"]: r["intent"] for r in records if "intent" in r}
        for record in records:
            saw = record.get("saw", {})
            intent = begun.get(saw.get("serial"), {})
            if saw.get("ok") and intent.get("kind") in ("migrate", "contract"):
                found.append((int(intent["number"]), str(intent["kind"])))
    return found
