"""What is known to keep users waiting, and what is not."""

import subprocess

import pytest

from backendctl.errors import BackendctlError
from backendctl.migrations import hazards
from backendctl.migrations.statements import parse

HAZARDS = (
    ("BEGIN; ALTER TABLE t ADD COLUMN a int; SELECT pg_sleep(60); COMMIT", "slow-under-lock"),
    (
        "BEGIN; ALTER TABLE t ADD COLUMN a int; INSERT INTO u SELECT * FROM t; COMMIT",
        "slow-under-lock",
    ),
    ("BEGIN; ALTER TABLE t ADD COLUMN a int; SELECT max(a) FROM t; COMMIT", "slow-under-lock"),
    (
        "ALTER TABLE t ADD COLUMN a timestamptz DEFAULT clock_timestamp()",
        "adding-field-with-default",
    ),
    ("CREATE INDEX i ON t (a)", "require-concurrent-index-creation"),
    ("DROP INDEX i", "require-concurrent-index-deletion"),
    ("ALTER TABLE t ALTER a TYPE bigint", "changing-column-type"),
    ("ALTER TABLE t ALTER a SET NOT NULL", "adding-not-nullable-field"),
    ("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)", "constraint-missing-not-valid"),
    (
        "ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES u (id)",
        "adding-foreign-key-constraint",
    ),
    ("ALTER TABLE t ADD CONSTRAINT c UNIQUE (a)", "disallowed-unique-constraint"),
    ("ALTER TABLE t ADD COLUMN a int NOT NULL", "adding-required-field"),
    (
        "BEGIN; CREATE INDEX CONCURRENTLY i ON t (a); COMMIT",
        "ban-concurrent-index-creation-in-transaction",
    ),
    ("VACUUM FULL t", "rewrites-table"),
    ("CLUSTER t USING i", "rewrites-table"),
    ("ALTER TABLE t SET UNLOGGED", "rewrites-table"),
    ("LOCK TABLE t", "locks-table"),
    ("REFRESH MATERIALIZED VIEW v", "refresh-locks-view"),
    (
        "BEGIN; ALTER TABLE t ADD COLUMN a int; ALTER TABLE u ADD COLUMN b int; COMMIT",
        "several-tables-locked",
    ),
    (
        "BEGIN; ALTER TABLE t ADD COLUMN a int; UPDATE t SET a = 1 WHERE b; COMMIT",
        "slow-under-lock",
    ),
    ("UPDATE t SET a = 1", "changes-every-row"),
    ("DELETE FROM t", "changes-every-row"),
)
SAFE = (
    "BEGIN; ALTER TABLE t ADD COLUMN a int; SELECT setval('s', 1); COMMIT",
    "BEGIN; ALTER TABLE t ADD COLUMN a int; INSERT INTO u VALUES (1); COMMIT",
    "BEGIN; CREATE TABLE t (a int); UPDATE t SET a = 1; COMMIT",
    "BEGIN; UPDATE t SET a = 1 WHERE a > 1; ALTER TABLE t ADD COLUMN b int; COMMIT",
    "BEGIN;\n-- THIS OPERATION CANNOT BE WRITTEN AS SQL\nCOMMIT;",
    "ALTER TABLE t ADD COLUMN a int",
    "ALTER TABLE t ADD COLUMN a int NOT NULL DEFAULT 0",
    "ALTER TABLE t ADD COLUMN a timestamptz DEFAULT now()",
    "CREATE INDEX CONCURRENTLY i ON t (a)",
    "BEGIN; CREATE TABLE t (a int); CREATE INDEX i ON t (a); COMMIT",
    "BEGIN; ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; COMMIT",
    "BEGIN; ALTER TABLE t VALIDATE CONSTRAINT c; COMMIT",
    "BEGIN; ALTER TABLE t DROP COLUMN a; UPDATE alembic_version SET version_num = '2'; COMMIT",
    "BEGIN; ALTER TABLE t ADD COLUMN a int; COMMIT; BEGIN; ALTER TABLE u ADD COLUMN a int; COMMIT",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
    "UPDATE t SET a = 1 WHERE a IS NULL",
)


@pytest.mark.parametrize(("sql", "rule"), HAZARDS)
def test_a_hazard_is_found_and_says_what_to_do_instead(sql: str, rule: str) -> None:
    found = {each.rule: each for each in hazards.find(sql, parse(sql), False)}
    assert rule in found
    assert found[rule].line == 1
    assert found[rule].why
    assert found[rule].instead


@pytest.mark.parametrize("sql", SAFE)
def test_what_is_safe_is_left_in_peace(sql: str) -> None:
    assert hazards.find(sql, parse(sql), False) == []


def test_a_transaction_that_the_tool_adds_counts() -> None:
    sql = "ALTER TABLE t ADD COLUMN a int;\nUPDATE t SET a = 1 WHERE b > 1;"
    assert hazards.find(sql, parse(sql), False) == []
    (found,) = hazards.find(sql, parse(sql), True)
    assert (found.rule, found.line) == ("slow-under-lock", 2)


def test_a_program_under_a_lock_is_a_hazard() -> None:
    """What Django's sqlmigrate says of a RunPython beside an AddField."""
    said = "-- THIS OPERATION CANNOT BE WRITTEN AS SQL"
    sql = f"BEGIN;\nALTER TABLE t ADD COLUMN a int;\n{said}\nCOMMIT;"
    (found,) = hazards.find(sql, parse(sql), False)
    assert (found.rule, found.line) == ("slow-under-lock", 3)


def test_a_reader_that_hangs_is_said_and_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("squawk", 30.0)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(BackendctlError, match="within 30 s") as caught:
        hazards.find("SELECT 1", (), True)
    assert caught.value.code == "migration.hazard"
