"""Whether a release works with the schema that the database has now."""

from collections.abc import Sequence

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Release, Store


def check_schema(target: Release, releases: Sequence[Release], migrated: int | None) -> None:
    """Refuse a release that does not work with the present schema.

    `migrated` is the newest release whose migration ran: its newest revision is the schema that
    is there, since a schema is never downgraded. Revisions are ordered by the releases that name
    them. A release that says nothing about its schema is not refused.

    Raises `release.schema`.
    """
    present = next((r.package.schema for r in releases if r.number == migrated), None)
    works = target.package.schema
    if present is None or works is None:
        return
    order: list[str] = []
    for release in releases:
        schema = release.package.schema
        for revision in (schema.oldest, schema.newest) if schema else ():
            if revision not in order:
                order.append(revision)
    low, now, high = (order.index(r) for r in (works.oldest, present.newest, works.newest))
    if not low <= now <= high:
        raise BackendctlError(
            "release.schema",
            f"release {target.number} works with schema {works.oldest} to {works.newest}; "
            f"the database is at {present.newest}",
            cause="a schema is never downgraded, so that no data is lost",
            state="nothing was changed",
            next=("backendctl deploy",),
        )


def last_migrated(store: Store) -> int | None:
    """The newest release whose migration ended well; None if none ever ran."""
    for rollout in reversed(store.rollouts()):
        records = store.records(rollout)
        begun = {r["intent"]["serial"]: r["intent"] for r in records if "intent" in r}
        for record in records:
            saw = record.get("saw", {})
            intent = begun.get(saw.get("serial"), {})
            if saw.get("ok") and intent.get("kind") == "migrate":
                return int(intent["number"])
    return None
