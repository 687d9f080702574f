"""SQL text as parsed statements, each with its line. PostgreSQL's own grammar (libpg_query)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backendctl.errors import BackendctlError

_BLANK = re.compile(rb"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/|;)*", re.DOTALL)


class UnreadableError(Exception):
    """The text is no SQL that PostgreSQL would take; `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a migration."""

    kind: str
    """The node's name in PostgreSQL's grammar, such as `AlterTableStmt`."""
    body: Mapping[str, Any]
    line: int
    """Where it begins, from 1."""
    text: str


def parse(sql: str) -> list[Statement]:
    """The statements of `sql`, in order.

    Raises UnreadableError, and BackendctlError `missing.extra` without the parser.
    """
    try:
        import pgparse
    except ModuleNotFoundError as error:
        raise parts_missing("pgparse") from error
    source = sql.encode()
    try:
        found = pgparse.parse(sql)
    except pgparse.PGQueryError as error:
        line = sql[: max(0, error.position - 1)].count("\n") + 1
        raise UnreadableError(error.message, line) from None
    statements = []
    for each in found:
        start = each.get("stmt_location", 0)
        end = start + each["stmt_len"] if each.get("stmt_len") else len(source)
        blank = _BLANK.match(source, start)
        begins = min(blank.end() if blank else start, end)
        ((kind, body),) = each["stmt"].items()
        text = " ".join(source[begins:end].decode().split())
        statements.append(Statement(kind, body, source[:begins].count(b"\n") + 1, text))
    return statements


def parts_missing(package: str) -> BackendctlError:
    """A package that reads migrations is not installed."""
    return BackendctlError(
        "missing.extra",
        f"the package {package} is not installed, so migrations cannot be checked",
        cause="it comes with the extra `local`",
        state="nothing was changed",
        next=("pip install 'backendctl[local]'",),
    )
