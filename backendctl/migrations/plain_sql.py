"""The part of an SQL file that applies it, with every line where it was. Pure."""

import re

from backendctl.migrations.revisions import Tool

_UP = re.compile(r"--\s*(?:migrate:up|\+goose\s+Up|Up Migration)\b(.*)", re.IGNORECASE)
_DOWN = re.compile(r"--\s*(?:migrate:down|\+goose\s+Down|Down Migration)\b", re.IGNORECASE)
_ALONE = re.compile(
    r"--\s*(?:migrate:up\b.*transaction:\s*false|\+goose\s+NO\s+TRANSACTION)", re.IGNORECASE
)
_NO_TRANSACTION = frozenset((Tool.GOLANG_MIGRATE, Tool.PRISMA))


def up(text: str) -> str:
    """The statements that apply it; those that undo it are made blank lines."""
    kept, inside = [], not _UP.search(text)
    for line in text.split("\n"):
        if _UP.match(line.strip()):
            inside = True
        elif _DOWN.match(line.strip()):
            inside = False
        kept.append(line if inside else "")
    return "\n".join(kept)


def in_transaction(tool: Tool, text: str) -> bool:
    """Whether the tool puts a transaction around the file."""
    return tool not in _NO_TRANSACTION and not _ALONE.search(text)
