"""Whether a release works with the schema that the database has now, and who is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from backendctl.errors import BackendctlError
from backendctl.migrations.revisions import Effect, Revision, Tool
from backendctl.platforms.base import MigrationScript, Release, SchemaRange
from backendctl.rollout.history import serving
from backendctl.rollout.schema import Present, check_schema, present_schema
from backendctl.workflows.migrations import checked
from backendctl.workflows.rollouts import run_rollback
from tests.fakes.platform import Fake
from tests.fakes.rollouts import Desk, means

A = Revision("a", (), "a.py")
ADDS = Revision("b", ("a",), "b.py", Effect.EXPAND)
DROPS = Revision("c", ("b",), "c.py", Effect.CONTRACT, "drops column x")


class Database:
    """base.Schema of a database that has what `has` says, or is away."""

    def __init__(self, *has: str, sql: str = "SELECT 1") -> None:
        self.has: Sequence[str] = has
        self.sql = sql
        self.away = False

    def applied(self, tool: Tool) -> frozenset[str]:
        if self.away:
            raise BackendctlError("missing.server", "it cannot be asked", cause="refused")
        return frozenset(self.has)

    def scripts(
        self, release: Release, revisions: Sequence[Revision]
    ) -> Mapping[str, MigrationScript]:
        return {each.name: MigrationScript(self.sql, self.sql) for each in revisions}


def schema(*revisions: Revision, oldest: str | None = None) -> SchemaRange:
    newest = revisions[-1].name
    return SchemaRange(newest if oldest is None else oldest, newest, Tool.ALEMBIC, revisions)


@pytest.fixture
def desk(fake: Fake) -> Desk:
    return Desk(fake)


def release(fake: Fake, number: int, of: SchemaRange | None) -> Release:
    made = fake.make_release(migrate=True, schema=of)
    return replace(made, number=number)


def check(fake: Fake, target: SchemaRange, newer: SchemaRange, *applied: str) -> None:
    first, second = release(fake, 1, target), release(fake, 2, newer)
    check_schema(first, [first, second], Present(frozenset(applied)))


def test_a_release_works_with_later_migrations_that_only_add(fake: Fake) -> None:
    check(fake, schema(A), schema(A, ADDS), "a", "b")


def test_a_release_works_with_what_came_with_it_whatever_it_does(fake: Fake) -> None:
    check(fake, schema(A, ADDS, DROPS), schema(A, ADDS, DROPS), "a", "b", "c")


def test_a_release_is_refused_after_a_migration_that_takes_away(fake: Fake) -> None:
    with pytest.raises(BackendctlError, match="migration c, which came with release 2") as refused:
        check(fake, schema(A), schema(A, ADDS, DROPS), "a", "b", "c")
    assert refused.value.code == "release.schema"
    assert "it drops column x; a schema is never downgraded" in refused.value.cause


def test_it_is_not_refused_while_that_migration_still_waits(fake: Fake) -> None:
    check(fake, schema(A), schema(A, ADDS, DROPS, oldest="b"), "a", "b")


def test_a_migration_that_came_with_no_release_is_not_trusted(fake: Fake) -> None:
    with pytest.raises(BackendctlError, match="z, which came with no release"):
        check(fake, schema(A), schema(A, ADDS), "a", "z")


def test_a_database_that_lacks_what_the_release_needs_is_refused(fake: Fake) -> None:
    with pytest.raises(BackendctlError, match="needs migration b, which the database lacks"):
        check(fake, schema(A, ADDS), schema(A, ADDS), "a")


def test_migrations_of_installed_django_apps_are_nobodys_business(fake: Fake) -> None:
    own = SchemaRange("shop.a", "shop.a", Tool.DJANGO, (Revision("shop.a"),))
    check(fake, own, own, "shop.a", "auth.0012")
    with pytest.raises(BackendctlError, match=r"shop\.z, which came with no release"):
        check(fake, own, own, "shop.a", "shop.z")


def test_a_release_that_says_nothing_about_its_schema_is_not_refused(fake: Fake) -> None:
    first, second = release(fake, 1, None), release(fake, 2, schema(A, DROPS))
    check_schema(first, [first, second], Present(frozenset("ac")))
    check_schema(second, [first, second], None)


# --- whole rollouts ---


def two_releases(fake: Fake, desk: Desk) -> None:
    """Release 2 drops something, after its bake."""
    for of in (schema(A), schema(A, ADDS, DROPS, oldest="b")):
        made = fake.make_release(migrate=True, schema=of)
        late = of.oldest != of.newest
        contract = ("contract",) if late else ()
        made = replace(made, processes=replace(made.processes, contract=contract))
        desk.roll_out(made, desk.lease())
    assert serving(fake.store).stable == 2


def rolled_back(fake: Fake, desk: Desk) -> BackendctlError:
    with pytest.raises(BackendctlError) as refused:
        run_rollback(fake.platform, desk.spec, lambda _: None, by="bob", means=means(fake))
    assert serving(fake.store).stable == 2
    return refused.value


def test_the_database_decides_over_the_record(fake: Fake, desk: Desk) -> None:
    two_releases(fake, desk)
    database = Database("b")  # somebody has restored a backup
    fake = replace(fake, platform=replace(fake.platform, schema=database))
    done = run_rollback(fake.platform, desk.spec, lambda _: None, by="bob", means=means(fake))
    assert done.serving == 1


def test_a_rollback_over_a_contract_migration_is_refused(fake: Fake, desk: Desk) -> None:
    two_releases(fake, desk)
    fake = replace(fake, platform=replace(fake.platform, schema=Database("c")))
    assert "by the record" not in rolled_back(fake, desk).cause


def test_without_the_database_the_record_decides_and_says_so(fake: Fake, desk: Desk) -> None:
    two_releases(fake, desk)
    assert "by the record of rollouts" in rolled_back(fake, desk).cause
    database = Database()
    database.away = True
    fake = replace(fake, platform=replace(fake.platform, schema=database))
    assert "it cannot be asked (refused); by the record" in rolled_back(fake, desk).cause


def test_a_record_that_is_not_where_it_is_looked_for_is_no_empty_database(
    fake: Fake, desk: Desk
) -> None:
    two_releases(fake, desk)
    fake = replace(fake, platform=replace(fake.platform, schema=Database()))
    assert "no record where alembic keeps it by default" in rolled_back(fake, desk).cause


def test_the_record_knows_which_migrations_ran(fake: Fake, desk: Desk) -> None:
    assert present_schema(fake.platform) is None
    two_releases(fake, desk)
    present = present_schema(fake.platform)
    assert present is not None
    assert present.applied == {"a", "b", "c"}


# --- before a candidate is recorded ---


def judged(fake: Fake, desk: Desk, sql: str, of: SchemaRange) -> Release:
    desk.roll_out(fake.make_release(migrate=True, schema=schema(A)), desk.lease())
    fake = replace(fake, platform=replace(fake.platform, schema=Database("a", sql=sql)))
    candidate = fake.make_release(migrate=True, schema=of)
    processes = replace(candidate.processes, migrate=("alembic", "upgrade", "head"))
    return checked(fake.platform, replace(candidate, processes=processes), lambda _: None)


BARE = (A, Revision("b", ("a",), "b.py"))


def test_what_its_migrations_do_is_recorded_with_the_release(fake: Fake, desk: Desk) -> None:
    found = judged(fake, desk, "ALTER TABLE t DROP COLUMN x", schema(*BARE))
    of = found.package.schema
    assert of is not None
    assert (of.oldest, of.newest) == ("a", "b")
    assert of.revisions[1].effect is Effect.CONTRACT
    assert (found.processes.migrate, found.processes.contract) == (
        (),
        ("alembic", "upgrade", "head"),
    )


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("CREATE INDEX i ON t (a)", "migration.hazard"),
        ("ALTER TABLE t RENAME COLUMN a TO b", "migration.contract"),
    ],
)
def test_a_migration_that_harms_is_refused(fake: Fake, desk: Desk, sql: str, code: str) -> None:
    with pytest.raises(BackendctlError) as refused:
        judged(fake, desk, sql, schema(*BARE))
    assert refused.value.code == code
    assert refused.value.exit == 1
    assert refused.value.data["findings"][0]["file"] == "b.py"


def test_the_first_release_is_asked_nothing(fake: Fake) -> None:
    first = fake.make_release(migrate=True, schema=schema(A))
    fake = replace(fake, platform=replace(fake.platform, schema=Database(sql="nonsense")))
    assert checked(fake.platform, first, lambda _: None) is first
