"""What a migration locks, and for how long: squawk's findings, and three of our own.

Which of squawk's rules count is decided here. Left out are those about style, and those about
compatibility, which `compatibility.py` decides from the whole set of migrations; timeouts are set
by whoever runs the migration.
"""

import json
import re
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.migrations.statements import Statement, parts_missing

POSTGRES = "14"
"""The oldest version that still gets fixes: what is safe there is safe on all."""
_DEADLINE = 30.0

_SAFE_WAYS: Mapping[str, str] = {
    "adding-field-with-default": "add the column without a default, set the default in a second "
    "statement, and fill existing rows in batches",
    "adding-foreign-key-constraint": "ADD CONSTRAINT ... FOREIGN KEY ... NOT VALID; then VALIDATE "
    "CONSTRAINT in a migration of its own",
    "adding-not-nullable-field": "ADD CONSTRAINT ... CHECK (... IS NOT NULL) NOT VALID; VALIDATE "
    "CONSTRAINT in a migration of its own; then SET NOT NULL, which needs no scan any more",
    "adding-required-field": "add the column with a constant DEFAULT, or without NOT NULL",
    "adding-serial-primary-key-field": "add a plain column, fill it in batches, build a UNIQUE "
    "INDEX CONCURRENTLY, then ADD CONSTRAINT ... PRIMARY KEY USING INDEX",
    "ban-concurrent-index-creation-in-transaction": "run it outside a transaction (Alembic: "
    "`with op.get_context().autocommit_block():`; Django: `atomic = False`)",
    "ban-drop-database": "no migration of a service drops a database",
    "ban-truncate-cascade": "name each table that is to be emptied",
    "changing-column-type": "add a column of the new type, write both, copy in batches, read the "
    "new one, and drop the old one after a later release has baked",
    "constraint-missing-not-valid": "ADD CONSTRAINT ... NOT VALID; then VALIDATE CONSTRAINT in a "
    "migration of its own",
    "disallowed-unique-constraint": "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... "
    "UNIQUE USING INDEX",
    "require-concurrent-index-creation": "CREATE INDEX CONCURRENTLY, outside a transaction "
    "(Alembic: `postgresql_concurrently=True` in `with op.get_context().autocommit_block():`)",
    "require-concurrent-index-deletion": "DROP INDEX CONCURRENTLY, outside a transaction",
    "require-concurrent-partition-detach": "DETACH PARTITION ... CONCURRENTLY",
    "require-concurrent-reindex": "REINDEX ... CONCURRENTLY",
}
"""The rules of squawk that stop a deploy, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Hazard:
    """A statement that would keep users waiting."""

    rule: str
    line: int
    """Of the SQL text, from 1."""
    why: str
    instead: str


def find(sql: str, statements: Sequence[Statement], in_transaction: bool) -> list[Hazard]:
    """The hazards of one migration's SQL, by line.

    `in_transaction` says that whoever applies it wraps it in a transaction. Raises BackendctlError
    `missing.extra` without squawk, `migration.hazard` when squawk hangs.
    """
    programs = [
        Statement(PROGRAM, {}, line, "a program")
        for line, text in enumerate(sql.split("\n"), 1)
        if "CANNOT BE WRITTEN AS SQL" in text  # sqlmigrate's words
    ]
    all_ = sorted([*statements, *programs], key=lambda each: each.line)
    found = [*_squawk(sql, in_transaction), *_own(all_, in_transaction)]
    return sorted(found, key=lambda hazard: (hazard.line, hazard.rule))


def _squawk(sql: str, in_transaction: bool) -> list[Hazard]:
    program = Path(sysconfig.get_path("scripts")) / "squawk"
    if not program.exists():
        raise parts_missing("squawk-cli")
    wrapped = "--assume-in-transaction" if in_transaction else "--no-assume-in-transaction"
    options = ("--reporter", "json", "--pg-version", POSTGRES, wrapped)
    with tempfile.TemporaryDirectory() as folder:  # also keeps a .squawk.toml of theirs out
        (Path(folder) / "migration.sql").write_text(sql)
        try:
            done = subprocess.run(
                [str(program), *options, "migration.sql"],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_DEADLINE,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise BackendctlError(
                "migration.hazard",
                f"a migration could not be judged: squawk did not read it within {_DEADLINE:.0f} s",
                state="nothing was changed",
                next=("backendctl deploy",),
            ) from error
    if done.returncode not in (0, 1):
        raise RuntimeError(f"squawk ended with status {done.returncode}: {done.stderr.strip()}")
    return [
        Hazard(each["rule_name"], each["line"] + 1, each["message"], _SAFE_WAYS[each["rule_name"]])
        for each in json.loads(done.stdout or "[]")
        if each["rule_name"] in _SAFE_WAYS
    ]


# --- our own ----------------------------------------------------------------------------------

_REWRITES = frozenset(("AT_SetLogged", "AT_SetUnLogged", "AT_SetTableSpace", "AT_SetAccessMethod"))
_CHANGES = frozenset(("UpdateStmt", "DeleteStmt", "MergeStmt"))
PROGRAM = "Program"
"""Stands among statements for what a tool runs that is no SQL, such as Django's RunPython."""
_QUICK = frozenset(("setval", "set_config", "nextval", "coalesce", "max"))
_BOOKS = ("alembic_version", "django_migrations", "schema_migrations", "flyway_schema_history")
"""Tables in which tools keep their own record: no user waits for them."""


def _own(statements: Sequence[Statement], in_transaction: bool) -> Iterable[Hazard]:
    created: set[str] = set()
    held: dict[str, int] = {}  # tables locked by the present transaction, and since which line
    open_ = in_transaction
    for each in statements:
        if each.kind == "TransactionStmt":
            open_ = each.body["kind"] == "TRANS_STMT_BEGIN" or in_transaction
            held.clear()
        yield from _rewrite(each)
        if each.kind in ("UpdateStmt", "DeleteStmt") and "whereClause" not in each.body:
            yield from _every_row(each, created)
        if each.kind == "CreateStmt":
            created.add(_relation(each))
        if not open_:
            continue
        table = _relation(each)
        if held and _slow(each, created):
            yield Hazard(
                "slow-under-lock",
                each.line,
                f"it works on rows while the transaction keeps {', '.join(held)} locked: every "
                "request for that table waits until it is done",
                "do this in a migration of its own, rows in batches",
            )
        if not table or table in created or table in _BOOKS:
            continue
        if each.kind in ("AlterTableStmt", "DropStmt", "RenameStmt"):
            if held and table not in held:
                yield Hazard(
                    "several-tables-locked",
                    each.line,
                    f"it locks {table} while the transaction keeps {', '.join(held)} locked: "
                    "requests that use both can deadlock, and all wait for the slowest",
                    "one table for each migration",
                )
            held.setdefault(table, each.line)


def _every_row(statement: Statement, created: set[str]) -> Iterable[Hazard]:
    table = _relation(statement)
    if table not in created and table not in _BOOKS:
        yield Hazard(
            "changes-every-row",
            statement.line,
            f"it locks every row of {table} until it is done: each request that writes one waits, "
            "and connections run out",
            "change rows in batches of some thousands, each in a transaction of its own, outside "
            "the migration",
        )


def _slow(statement: Statement, created: set[str]) -> bool:
    """Whether it may take long: it works on the rows of a table that is in use, sleeps, or is a
    program (of which nothing is known)."""
    kind, body = statement.kind, statement.body
    if kind in _CHANGES:
        return _relation(statement) not in created and _relation(statement) not in _BOOKS
    if kind == "InsertStmt":
        return "fromClause" in body.get("selectStmt", {}).get("SelectStmt", {})
    if kind == "SelectStmt":
        called = re.findall(r"(\w+)\s*\(", statement.text)
        return not ("fromClause" not in body and set(called) <= _QUICK)
    return kind == PROGRAM


def _rewrite(statement: Statement) -> Iterable[Hazard]:
    kind, body = statement.kind, statement.body
    options = {o["DefElem"]["defname"] for o in body.get("options", ()) if "DefElem" in o}
    subtypes = {
        cmd["AlterTableCmd"]["subtype"]
        for cmd in (body.get("cmds", ()) if kind == "AlterTableStmt" else ())
    }
    rewrites = kind == "ClusterStmt" or (kind == "VacuumStmt" and "full" in options)
    if rewrites or subtypes & _REWRITES:
        yield Hazard(
            "rewrites-table",
            statement.line,
            "it rewrites the whole table and locks out reads and writes until it is done",
            "do it outside a deploy, with a tool such as pg_repack",
        )
    elif kind == "LockStmt":
        yield Hazard(
            "locks-table",
            statement.line,
            "it locks a table for as long as the transaction lasts",
            "leave the locking to the statements that need it",
        )
    elif kind == "RefreshMatViewStmt" and not body.get("concurrent"):
        yield Hazard(
            "refresh-locks-view",
            statement.line,
            "it locks out reads of the view until all of it is computed anew",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY",
        )


def _relation(statement: Statement) -> str:
    body = statement.body
    if statement.kind == "DropStmt":
        if body["removeType"] != "OBJECT_TABLE":
            return ""
        return str(body["objects"][0]["List"]["items"][-1]["String"]["sval"])
    return str(body.get("relation", {}).get("relname", ""))
