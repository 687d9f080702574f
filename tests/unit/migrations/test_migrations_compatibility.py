"""What statements do to older code: a table, and what holds for all of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.migrations.compatibility import New, judge, summed
from backendctl.migrations.revisions import Effect
from backendctl.migrations.statements import UnreadableError, parse

EXPAND = (
    "CREATE TABLE a (id bigint PRIMARY KEY, name text NOT NULL CHECK (name <> ''))",
    "CREATE TABLE a (id bigint PRIMARY KEY); CREATE UNIQUE INDEX ON a (id)",
    "CREATE TABLE a (x int); ALTER TABLE a DROP COLUMN x; ALTER TABLE a RENAME TO b",
    "CREATE TABLE a (x int); DROP TABLE a",
    "ALTER TABLE items ADD COLUMN note text",
    "ALTER TABLE items ADD COLUMN note text NOT NULL DEFAULT ''",
    "ALTER TABLE items ADD COLUMN id2 bigserial NOT NULL",
    "ALTER TABLE items ADD COLUMN id2 bigint GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE items ADD COLUMN owner bigint REFERENCES users (id)",
    "ALTER TABLE items ADD COLUMN owner bigint;"
    "ALTER TABLE items ADD CONSTRAINT f FOREIGN KEY (owner) REFERENCES users (id) NOT VALID",
    "ALTER TABLE items ADD COLUMN code text; ALTER TABLE items ADD UNIQUE (shop, code)",
    "ALTER TABLE items ADD COLUMN code text; CREATE UNIQUE INDEX i ON items (code, lower(name))",
    "ALTER TABLE items ADD COLUMN a int DEFAULT 0; ALTER TABLE items ALTER a DROP DEFAULT",
    "ALTER TABLE items ADD COLUMN a int; ALTER TABLE items ALTER a SET DEFAULT 0;"
    "ALTER TABLE items ALTER a SET NOT NULL",
    "ALTER TABLE items ADD COLUMN a int; ALTER TABLE items DROP COLUMN a",
    "ALTER TABLE items ALTER name SET DEFAULT 'x'",
    "ALTER TABLE items ALTER name DROP NOT NULL",
    "ALTER TABLE items VALIDATE CONSTRAINT positive",
    "ALTER TABLE items DROP CONSTRAINT positive",
    "ALTER TABLE items SET (fillfactor = 70)",
    "CREATE INDEX CONCURRENTLY i ON items (name)",
    "DROP INDEX CONCURRENTLY i",
    "ALTER INDEX i RENAME TO j",
    "ALTER TYPE mood ADD VALUE 'glad'",
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE OR REPLACE VIEW v AS SELECT 1 AS one",
    "UPDATE items SET name = 'x' WHERE name IS NULL; DELETE FROM items WHERE name = 'y'",
    "GRANT SELECT ON items TO reader",
    "COMMENT ON TABLE items IS 'goods'",
    "SET lock_timeout = '1s'; SELECT 1",
    "BEGIN; COMMIT",
    "",
)
CONTRACT = (
    "ALTER TABLE items DROP COLUMN note",
    "DROP TABLE items",
    "DROP TABLE IF EXISTS shop.items CASCADE",
    "DROP VIEW v",
    "DROP FUNCTION f(int)",
    "DROP TYPE mood",
    "ALTER TABLE items ALTER name SET NOT NULL",
    "ALTER TABLE items ALTER name DROP DEFAULT",
    "ALTER TABLE items ADD CONSTRAINT positive CHECK (price > 0) NOT VALID",
    "ALTER TABLE items ADD CONSTRAINT owned FOREIGN KEY (owner) REFERENCES users NOT VALID",
    "ALTER TABLE items ADD CONSTRAINT once UNIQUE USING INDEX i",
    "CREATE UNIQUE INDEX CONCURRENTLY i ON items (name)",
    "ALTER TABLE items ENABLE ROW LEVEL SECURITY",
    "TRUNCATE items",
    "REVOKE SELECT ON items FROM reader",
    "BEGIN; ALTER TABLE items DROP COLUMN a; UPDATE alembic_version SET version_num = '2'; COMMIT",
    "UPDATE items SET name = '' WHERE name IS NULL; ALTER TABLE items ALTER name SET NOT NULL",
)
BREAKING = (
    "ALTER TABLE items RENAME COLUMN name TO title",
    "ALTER TABLE items RENAME TO goods",
    "ALTER VIEW v RENAME TO w",
    "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
    "ALTER TABLE items SET SCHEMA archive",
    "ALTER TABLE items ALTER price TYPE bigint",
    "ALTER TABLE items ADD COLUMN note text NOT NULL",
    "ALTER TABLE items ADD COLUMN a int; ALTER TABLE items ALTER a SET NOT NULL",
    # What Django makes of a new field with a Python default.
    "ALTER TABLE items ADD COLUMN a int DEFAULT 0 NOT NULL; ALTER TABLE items ALTER a DROP DEFAULT",
    "DO $$ BEGIN PERFORM 1; END $$",
    "CALL tidy_up()",
    "CREATE TABLE IF NOT EXISTS items (a int); ALTER TABLE items DROP COLUMN a",
    "ALTER TABLE items ADD COLUMN IF NOT EXISTS a int; ALTER TABLE items DROP COLUMN a",
    "ALTER TABLE items ADD COLUMN a int; ALTER TABLE items DROP COLUMN b",
    "ALTER TABLE items ADD COLUMN a int; CREATE UNIQUE INDEX i ON items (name)",
    "ALTER TABLE items ADD COLUMN a int; CREATE UNIQUE INDEX i ON items (a) NULLS NOT DISTINCT",
    "ALTER TABLE items ADD COLUMN a int DEFAULT 0; CREATE UNIQUE INDEX i ON items (a)",
    "ALTER TABLE items ADD COLUMN a int; ALTER TABLE items ADD UNIQUE NULLS NOT DISTINCT (a)",
    "ALTER TABLE items ADD COLUMN a int;"
    "ALTER TABLE items ADD FOREIGN KEY (a, b) REFERENCES users MATCH FULL",
    "ALTER TABLE items ADD COLUMN a int; ALTER TABLE items ADD FOREIGN KEY (b) REFERENCES users",
    "ALTER TABLE items DROP CONSTRAINT small; "
    "ALTER TABLE items ADD COLUMN b int; ALTER TABLE items ADD CONSTRAINT large CHECK (b < 9)",
)
CASES = [
    *((sql, Effect.EXPAND) for sql in EXPAND),
    *((sql, Effect.CONTRACT) for sql in CONTRACT),
    *((sql, Effect.BREAKING) for sql in BREAKING),
]


@pytest.mark.parametrize(("sql", "effect"), CASES)
def test_a_migration_is_what_it_does_to_older_code(sql: str, effect: Effect) -> None:
    verdict = summed(judge(parse(sql), New()))
    assert verdict.effect is effect, verdict.why
    assert bool(verdict.why) is (effect is not Effect.EXPAND)


def test_a_table_of_an_earlier_migration_of_the_same_release_is_new_to_older_code() -> None:
    new = New()
    assert summed(judge(parse("CREATE TABLE a (x int)"), new)).effect is Effect.EXPAND
    assert summed(judge(parse("ALTER TABLE a DROP COLUMN x"), new)).effect is Effect.EXPAND


def test_the_reason_names_the_statement() -> None:
    verdict = summed(judge(parse("SELECT 1;\n\nALTER TABLE items\n  DROP COLUMN note"), New()))
    assert verdict.why == (
        "drops column note, which older code may still use (ALTER TABLE items DROP COLUMN note)"
    )


@given(st.lists(st.sampled_from(CASES), min_size=1, max_size=4), st.data())
def test_a_statement_more_never_makes_a_migration_safer(
    cases: list[tuple[str, Effect]], data: st.DataObject
) -> None:
    """Among statements about different tables, so that none is about what another one adds."""
    order = [Effect.EXPAND, Effect.CONTRACT, Effect.BREAKING]
    parts = [
        sql.replace("items", f"items{n}").replace(" a ", f" a{n} ")
        for n, (sql, _) in enumerate(cases)
    ]
    whole = summed(judge(parse(";".join(parts)), New())).effect
    part = summed(judge(parse(data.draw(st.sampled_from(parts))), New())).effect
    assert order.index(whole) >= order.index(part)


def test_a_statement_knows_its_line_and_text() -> None:
    found = parse("-- first\nSELECT 'é';\n/* more */\n\n  DROP TABLE\n  a;\n")
    assert [(each.line, each.text) for each in found] == [(2, "SELECT 'é'"), (5, "DROP TABLE a")]


def test_text_that_is_no_sql_is_said_with_its_line() -> None:
    with pytest.raises(UnreadableError, match="syntax error") as caught:
        parse("SELECT 1;\nDROP TABEL a;")
    assert caught.value.line == 2
