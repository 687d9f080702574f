"""What a release's migrations would do to the one that serves, found out before it is recorded."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

from backendctl.errors import BackendctlError
from backendctl.migrations.assess import Finding, Script, assess
from backendctl.migrations.ordering import Order, arrange
from backendctl.migrations.plain_sql import in_transaction
from backendctl.migrations.revisions import Revision
from backendctl.platforms.base import OnLine, Platform, Release, Schema, SchemaRange
from backendctl.rollout.history import serving
from backendctl.rollout.redact import without_secrets
from backendctl.rollout.schema import present_schema


def checked(
    platform: Platform,
    release: Release,
    on_line: OnLine,
    *,
    tests: Sequence[str] = (),
    deadline: float = 0.0,
) -> Release:
    """The release with what is now known of its migrations, and when each is to be applied.

    Nothing is asked where nothing serves yet, or where the migrations are of no known kind (said
    on `on_line`). Raises BackendctlError `migration.hazard` for one that would keep users waiting,
    `migration.contract` for one that would break the release that serves, also by the word of its
    own `tests` (within `deadline` seconds), and as `Schema.rehearse`.
    """
    stable = _stable(platform)
    if stable is None or platform.schema is None:
        return release
    schema = release.package.schema
    if schema is None:
        command = " ".join(release.processes.migrate)
        on_line(
            f"`{command}` is no migration tool that backendctl knows: whether its migrations keep "
            "users waiting, or break the release that serves, is not checked"
        )
        return release
    pending = _pending(platform, schema, on_line)
    if not pending:
        return release
    found = assess(_scripts(platform.schema, release, schema, pending), _today())
    for each in found.waived:
        on_line(f"waived: {each}")
    if found.findings:
        raise _refused("migration.hazard", found.findings)
    known = stable.package.schema.revisions if stable.package.schema else ()
    order = arrange(
        found.revisions,
        schema.tool,
        release.processes.migrate,
        {each.name for each in known},
        stable.number,
    )
    if not isinstance(order, Order):
        raise _refused("migration.contract", order)
    _tell(order, on_line)
    judged = _with(release, schema, order)
    if tests and order.before:
        _rehearse(platform, judged, stable, tests, deadline, on_line)
    return judged


def _stable(platform: Platform) -> Release | None:
    number = serving(platform.store).stable
    return next((r for r in platform.store.releases() if r.number == number), None)


def _pending(platform: Platform, schema: SchemaRange, on_line: OnLine) -> tuple[Revision, ...]:
    present = present_schema(platform, schema)
    if present is None:
        return ()
    if present.doubt:
        on_line(f"which migrations are applied is not the database's own word: {present.doubt}")
    return tuple(each for each in schema.revisions if each.name not in present.applied)


def _scripts(
    source: Schema, release: Release, schema: SchemaRange, pending: Sequence[Revision]
) -> list[Script]:
    found = source.scripts(release, pending)
    return [
        Script(
            each,
            found[each.name].source,
            found[each.name].sql,
            found[each.name].problem,
            in_transaction(schema.tool, found[each.name].source),
        )
        for each in pending
    ]


def _today() -> date:
    return datetime.now(UTC).date()


def _rehearse(
    platform: Platform,
    release: Release,
    stable: Release,
    tests: Sequence[str],
    deadline: float,
    on_line: OnLine,
) -> None:
    assert platform.schema is not None  # noqa: S101 - the caller has looked
    on_line(f"release {stable.number} is tested with the new schema: {' '.join(tests)}")
    try:
        ended = platform.schema.rehearse(release, stable, tests, deadline, on_line)
    except BackendctlError as error:
        if error.code != "platform.unsupported":
            raise
        on_line(f"not tested: {error.message}, because {error.cause}")
        return
    if ended.result.exit_status == 0:
        return
    itself = ended.argv != tuple(tests)
    said = f"`{' '.join(ended.argv)}` ended with status {ended.result.exit_status}"
    tail = without_secrets(platform, ended.result.tail)
    raise BackendctlError(
        "release.migration" if itself else "migration.contract",
        f"the migrations of release {release.number} fail on an empty copy of the schema"
        if itself
        else f"the tests of release {stable.number}, which serves, fail with the new schema",
        cause="\n".join((said, *(f"| {line}" for line in tail))),
        state="nothing was started and nothing was migrated; what served goes on serving",
        next=("change the migration so that the release that serves goes on working",),
    )


def _tell(order: Order, on_line: OnLine) -> None:
    for each in order.before:
        on_line(f"migration {each.name}: before the release starts ({each.effect})")
    for each in order.after:
        on_line(f"migration {each.name}: after the bake, because it {each.why}")


def _with(release: Release, schema: SchemaRange, order: Order) -> Release:
    judged = {each.name: each for each in (*order.before, *order.after)}
    revisions = tuple(judged.get(each.name, each) for each in schema.revisions)
    late = {each.name for each in order.after}
    needed = [each.name for each in revisions if each.name not in late]
    oldest = schema.newest if not late else (needed[-1] if needed else "")
    return replace(
        release,
        package=replace(
            release.package, schema=replace(schema, oldest=oldest, revisions=revisions)
        ),
        processes=replace(release.processes, migrate=order.migrate, contract=order.contract),
    )


def _refused(code: str, findings: Sequence[Finding]) -> BackendctlError:
    many = f"{len(findings)} migrations" if len({f.file for f in findings}) > 1 else "a migration"
    what = (
        f"{many} would keep users waiting, or cannot be judged"
        if code == "migration.hazard"
        else f"{many} would break the release that serves"
    )
    return BackendctlError(
        code,
        what,
        cause="\n".join(str(each) for each in findings),
        state="nothing was started and nothing was migrated; what served goes on serving",
        next=("change the migration as said above", "backendctl deploy"),
        data={
            "findings": [
                {
                    "rule": each.rule,
                    "file": each.file,
                    "line": each.line,
                    "statement": each.statement,
                    "why": each.why,
                    "instead": each.instead,
                }
                for each in findings
            ]
        },
    )
