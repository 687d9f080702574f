"""What statements do to the code that was written before them. Pure.

Only what is known to add counts as an expansion; what is not known at all counts as breaking, so
that somebody looks at it. The rules for each statement follow from one question: can an INSERT,
UPDATE, SELECT or DELETE that worked before it fail after it?
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backendctl.migrations.revisions import Effect
from backendctl.migrations.statements import Statement

_ADDS = frozenset(
    (
        *("CreateSchemaStmt", "CreateSeqStmt", "CreateEnumStmt", "CompositeTypeStmt"),
        *("CreateRangeStmt", "CreateDomainStmt", "CreateExtensionStmt", "CreateStatsStmt"),
        *("CreateFunctionStmt", "CreateTrigStmt", "CreateRoleStmt", "CreateCastStmt", "DefineStmt"),
        *("CreatePublicationStmt", "ViewStmt", "AlterSeqStmt", "AlterDefaultPrivilegesStmt"),
    )
)
_DATA = frozenset(("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "SelectStmt", "CopyStmt"))
"""They change rows, or nothing; what rows mean is between the service's releases."""
_NEUTRAL = frozenset(
    (
        *("VariableSetStmt", "VariableShowStmt", "TransactionStmt", "CommentStmt", "LockStmt"),
        *("VacuumStmt", "ReindexStmt", "ClusterStmt", "RefreshMatViewStmt", "ConstraintsSetStmt"),
        *("ExplainStmt", "CheckPointStmt", "DiscardStmt", "NotifyStmt"),
    )
)
_TABLE_NEUTRAL = frozenset(
    (
        *("AT_SetStatistics", "AT_SetOptions", "AT_ResetOptions", "AT_SetStorage"),
        *("AT_SetCompression", "AT_SetRelOptions", "AT_ResetRelOptions", "AT_ReplicaIdentity"),
        *("AT_ClusterOn", "AT_DropCluster", "AT_SetLogged", "AT_SetUnLogged", "AT_SetTableSpace"),
        *("AT_SetAccessMethod", "AT_ValidateConstraint", "AT_AttachPartition", "AT_DropNotNull"),
        *("AT_AddIdentity", "AT_SetIdentity", "AT_DisableRowSecurity", "AT_NoForceRowSecurity"),
        *("AT_EnableTrig", "AT_DisableTrig", "AT_EnableTrigAll", "AT_DisableTrigAll"),
        *("AT_EnableTrigUser", "AT_DisableTrigUser", "AT_DropConstraint"),
    )
)
_TABLE_CONTRACT: Mapping[str, str] = {
    "AT_DropColumn": "drops column {name}, which older code may still use",
    "AT_SetNotNull": "forbids NULL in {name}, which older code may still write",
    "AT_AddConstraint": "adds a constraint that rows older code writes may break",
    "AT_DetachPartition": "takes rows away that older code may still read",
    "AT_DropIdentity": "takes the value away that older code leaves to the database ({name})",
    "AT_DropExpression": "takes the value away that older code leaves to the database ({name})",
    "AT_DropInherit": "takes rows away that older code may still read",
    "AT_EnableRowSecurity": "hides rows that older code may still read or write",
    "AT_ForceRowSecurity": "hides rows that older code may still read or write",
}
_SERIAL = frozenset(("serial", "bigserial", "smallserial", "serial4", "serial8", "serial2"))
_FILLED = frozenset(("CONSTR_DEFAULT", "CONSTR_IDENTITY", "CONSTR_GENERATED"))
_NAMES_NOBODY_USES = frozenset(
    ("OBJECT_INDEX", "OBJECT_TABCONSTRAINT", "OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE")
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one statement, or one change within it, does to older code."""

    effect: Effect
    why: str = ""


EXPAND = Verdict(Effect.EXPAND)


def _contract(why: str) -> Verdict:
    return Verdict(Effect.CONTRACT, why)


def _breaking(why: str) -> Verdict:
    return Verdict(Effect.BREAKING, why)


@dataclass(slots=True)
class New:
    """What the migrations have added so far: no older code knows it, so nothing breaks there."""

    relations: set[str] = field(default_factory=set)
    columns: dict[tuple[str, str], "Column"] = field(default_factory=dict)
    """By table and name, where the table itself is not new."""

    def left_null(self, table: str, names: Iterable[str]) -> bool:
        """Whether rows that older code writes have NULL in one of these columns."""
        found = (self.columns.get((table, name)) for name in names)
        return any(column is not None and not column.filled for column in found)


@dataclass(slots=True)
class Column:
    """A new column of a table that older code writes to without naming it."""

    filled: bool
    """The database fills it in where an INSERT leaves it out."""
    required: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """A statement and the worst that it does."""

    statement: Statement
    verdict: Verdict


def judge(statements: Sequence[Statement], new: New) -> list[Judged]:
    """Each statement's effect, in order; `new` learns what they add."""
    return [Judged(each, _worst(_changes(each, new))) for each in statements]


def summed(judged: Sequence[Judged]) -> Verdict:
    """The effect of a whole migration.

    One that both adds and takes away is breaking: newer code needs the one before it starts, older
    code forbids the other until it has gone.
    """
    worst = [each for each in judged if each.verdict.effect is Effect.BREAKING]
    if worst:
        return _of(worst[0])
    takes = [each for each in judged if each.verdict.effect is Effect.CONTRACT]
    if not takes:
        return EXPAND
    adds = [each for each in judged if _adds(each)]
    if not adds:
        return _of(takes[0])
    why = f"it also {_of(takes[0]).why}: one file cannot be applied both before and after"
    return _breaking(f"it adds ({_short(adds[0].statement.text)}); {why}")


def _of(judged: Judged) -> Verdict:
    said = f"{judged.verdict.why} ({_short(judged.statement.text)})"
    return Verdict(judged.verdict.effect, said)


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:97] + "..."


def _adds(judged: Judged) -> bool:
    """Whether newer code may need it: data changes and settings are no reason to split a file."""
    kind = judged.statement.kind
    if judged.verdict.effect is not Effect.EXPAND or kind in _NEUTRAL | _DATA:
        return False
    if kind == "AlterTableStmt":
        subtypes = {cmd["subtype"] for cmd in _commands(judged.statement)}
        helpers = _TABLE_NEUTRAL - {"AT_DropNotNull", "AT_DropConstraint", "AT_AddIdentity"}
        return not subtypes <= helpers
    return kind != "DropStmt"


def _worst(changes: Iterator[Verdict]) -> Verdict:
    order = (Effect.BREAKING, Effect.CONTRACT)
    found = list(changes)
    for effect in order:
        for each in found:
            if each.effect is effect:
                return each
    return EXPAND


def _changes(statement: Statement, new: New) -> Iterator[Verdict]:
    kind, body = statement.kind, statement.body
    match kind:
        # IF NOT EXISTS may meet an old one: that is not new.
        case "CreateStmt" if not body.get("if_not_exists"):
            new.relations.add(_name(body["relation"]))
        case "CreateTableAsStmt" if not body.get("if_not_exists"):
            new.relations.add(_name(body["into"]["rel"]))
        case "CreateStmt" | "CreateTableAsStmt":
            pass
        case "AlterTableStmt":
            for command in _commands(statement):
                yield _table_change(command, _name(body["relation"]), new)
        case "IndexStmt":
            if body.get("unique") and not _meets_only_null(body, new):
                yield _contract("forbids duplicates that older code may still write")
        case "DropStmt":
            yield from _drop(body, new)
        case "RenameStmt" if body["renameType"] not in _NAMES_NOBODY_USES:
            if _name(body.get("relation", {})) not in new.relations:
                yield _breaking("renames what older code still calls by its old name")
        case "AlterEnumStmt" if body.get("oldVal"):
            yield _breaking("renames what older code still calls by its old name")
        case "AlterObjectSchemaStmt":
            yield _breaking("moves what older code looks for in its old place")
        case "TruncateStmt":
            yield _contract("deletes rows that older code may still read")
        case "GrantStmt" | "GrantRoleStmt" if not body.get("is_grant"):
            yield _contract("takes rights away that older code may still need")
        case "CreatePolicyStmt" if not body.get("permissive"):
            yield _contract("hides rows that older code may still read or write")
        case "RenameStmt" | "AlterEnumStmt" | "GrantStmt" | "GrantRoleStmt" | "CreatePolicyStmt":
            pass
        case _ if kind not in _ADDS | _DATA | _NEUTRAL:
            yield _breaking("is not known to leave older code working")


def _table_change(command: Mapping[str, Any], table: str, new: New) -> Verdict:
    if table in new.relations:
        return EXPAND
    subtype, name = command["subtype"], command.get("name", "")
    column = (table, name)
    if subtype == "AT_AddColumn":
        added = _added(command["def"]["ColumnDef"])
        if not command.get("missing_ok"):
            new.columns[table, command["def"]["ColumnDef"]["colname"]] = added
        return _insertable(added, command["def"]["ColumnDef"]["colname"])
    if column in new.columns:
        return _new_column_change(command, new.columns[column], name)
    if subtype == "AT_ColumnDefault":
        if "def" in command:
            return EXPAND
        return _contract(f"takes the default of {name} away, on which older code may still rely")
    if subtype == "AT_AlterColumnType":
        return _breaking(f"changes the type of {name}, which older code reads and writes")
    if subtype == "AT_AddConstraint" and _spares_null(command["def"]["Constraint"], table, new):
        return EXPAND
    if subtype in _TABLE_CONTRACT:
        return _contract(_TABLE_CONTRACT[subtype].format(name=name))
    if subtype in _TABLE_NEUTRAL:
        return EXPAND
    return _breaking(f"is not known to leave older code working ({subtype})")


def _spares_null(constraint: Mapping[str, Any], table: str, new: New) -> bool:
    """Whether a foreign key or UNIQUE is over a new column, so that no row of older code, which
    has NULL there, can break it."""
    if constraint.get("nulls_not_distinct"):
        return False
    columns = {"CONSTR_FOREIGN": "fk_attrs", "CONSTR_UNIQUE": "keys"}.get(constraint["contype"], "")
    simple = constraint.get("fk_matchtype", "s") == "s"
    names = [each["String"]["sval"] for each in constraint.get(columns, ())]
    return simple and new.left_null(table, names)


def _meets_only_null(index: Mapping[str, Any], new: New) -> bool:
    """The same of a unique index; or its whole table is new."""
    table = _name(index["relation"])
    names = [each["IndexElem"].get("name", "") for each in index["indexParams"]]
    distinct = not index.get("nulls_not_distinct")
    return table in new.relations or (distinct and new.left_null(table, names))


def _added(column: Mapping[str, Any]) -> Column:
    kinds = {c["Constraint"]["contype"] for c in column.get("constraints", ())}
    type_name = column["typeName"]["names"][-1]["String"]["sval"]
    return Column(
        filled=bool(kinds & _FILLED) or type_name in _SERIAL,
        required=bool(kinds & {"CONSTR_NOTNULL", "CONSTR_PRIMARY"}),
    )


def _new_column_change(command: Mapping[str, Any], column: Column, name: str) -> Verdict:
    match command["subtype"]:
        case "AT_ColumnDefault":
            column.filled = "def" in command
        case "AT_SetNotNull":
            column.required = True
        case "AT_DropNotNull":
            column.required = False
    return _insertable(column, name)


def _insertable(column: Column, name: str) -> Verdict:
    if column.required and not column.filled:
        return _breaking(
            f"requires the new column {name}, which older code's INSERTs leave out: keep a default "
            "in the database (Django: db_default)"
        )
    return EXPAND


def _drop(body: Mapping[str, Any], new: New) -> Iterator[Verdict]:
    kind = body["removeType"]
    if kind == "OBJECT_INDEX":
        return
    for each in body["objects"]:
        name = _dropped(each)
        if name not in new.relations:
            what = kind.removeprefix("OBJECT_").lower().replace("_", " ")
            yield _contract(f"drops {what} {name}, which older code may still use")


def _dropped(item: Mapping[str, Any]) -> str:
    ((kind, body),) = item.items()
    match kind:
        case "List":
            parts = body["items"]
        case "ObjectWithArgs":
            parts = body["objname"]
        case "TypeName":
            parts = body["names"]
        case _:
            parts = [item]
    return ".".join(part["String"]["sval"] for part in parts if "String" in part)


def _commands(statement: Statement) -> list[Mapping[str, Any]]:
    return [each["AlterTableCmd"] for each in statement.body["cmds"]]


def _name(relation: Mapping[str, Any]) -> str:
    schema = relation.get("schemaname", "")
    return f"{schema}.{relation.get('relname', '')}" if schema else relation.get("relname", "")
