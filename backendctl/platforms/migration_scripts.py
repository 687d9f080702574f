"""What migrations would run, from their files and from what their tool says: the same on every
platform. Pure, but for asking the tool, which a platform does."""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from backendctl.migrations import plain_sql
from backendctl.migrations.revisions import Revision, Tool
from backendctl.platforms.base import MigrationScript

Answers = Mapping[str, Mapping[str, str]]
"""By revision, either `sql` or `error`: what `migrations/render.py` writes."""

RENDERED = (Tool.ALEMBIC, Tool.DJANGO)
"""Tools whose migrations are programs that print their SQL when they are asked to."""


def scripts(
    tool: Tool,
    revisions: Sequence[Revision],
    sources: Mapping[str, str],
    render: Callable[[Sequence[Revision]], Answers],
) -> Mapping[str, MigrationScript]:
    """By name, what these would run. `sources`: their files' texts, by name; `render` asks the tool
    and is called for what has to be asked only."""
    if tool in RENDERED:
        empty = {
            each.name: {"sql": ""}
            for each in revisions
            if tool is Tool.ALEMBIC and does_nothing(sources[each.name])
        }
        asked = [each for each in revisions if each.name not in empty]
        answers = {**empty, **(render(asked) if asked else {})}
        return {
            name: MigrationScript(source, **_kept(answers.get(name)))
            for name, source in sources.items()
        }
    return {
        each.name: MigrationScript(sources[each.name], plain_sql.up(sources[each.name]))
        if each.file.endswith(".sql")
        else MigrationScript(sources[each.name], problem="it is a program, and is not run to see")
        for each in revisions
    }


def order(tool: Tool, migrate: Sequence[str], revisions: Sequence[Revision]) -> dict[str, Any]:
    """What `migrations/render.py` is to be told, but for where the answer goes."""
    return {
        "tool": tool.value,
        "arguments": global_arguments(migrate),
        "revisions": [{"name": each.name, "after": each.after} for each in revisions],
    }


def unanswered(revisions: Sequence[Revision], why: str) -> Answers:
    """The same problem for all."""
    return {each.name: {"error": without_password(why)} for each in revisions}


def global_arguments(migrate: Sequence[str]) -> list[str]:
    """Alembic's options that stand before its command, such as `-c` and `-x`."""
    programs = [place for place, word in enumerate(migrate) if PurePath(word).name == "alembic"]
    if not programs or "upgrade" not in migrate:
        return []
    return list(migrate[programs[0] + 1 : migrate.index("upgrade")])


def does_nothing(source: str) -> bool:
    """Whether an Alembic migration's `upgrade` is empty, as that of a merge of branches is."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == "upgrade":
            return all(
                isinstance(each, ast.Pass)
                or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
                for each in node.body
            )
    return False


def _kept(answer: Mapping[str, str] | None) -> dict[str, Any]:
    if answer is None:
        return {"problem": "the tool said nothing about it"}
    if "error" in answer:
        return {"problem": without_password(answer["error"]).splitlines()[0]}
    return {"sql": answer["sql"]}


def without_password(text: str) -> str:
    """Without what stands before an @ in a URL."""
    return re.sub(r"://[^@\s/]*@", "://", text)
