"""Prints the SQL that migrations would run. A script: it runs with a release's own Python.

Usage: python render.py ORDER. ORDER is a JSON file: {"tool", "arguments", "revisions": [{"name",
"after"}], "answer"}. The answer, written to the file of that name, is JSON too: by revision, either
{"sql"} or {"error"}. It imports nothing of ours, and no package but the service's own.
"""

from __future__ import annotations

import io
import json
import os
import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def main() -> None:
    with open(sys.argv[1]) as file:  # noqa: PTH123 - any Python that a service may use
        order = json.load(file)
    # This folder is no place for the service's imports; the folder it runs in is.
    sys.path[0] = os.getcwd()  # noqa: PTH109
    one = alembic(order["arguments"]) if order["tool"] == "alembic" else django
    answer = {}
    for revision in order["revisions"]:
        try:
            answer[revision["name"]] = {"sql": one(revision)}
        except Exception as error:
            answer[revision["name"]] = {"error": f"{type(error).__name__}: {error}"}
    with open(order["answer"], "w") as file:  # noqa: PTH123
        json.dump(answer, file)


def alembic(arguments: list[str]) -> Callable[[dict[str, Any]], str]:
    from alembic.config import CommandLine
    from alembic.operations.base import AbstractOperations

    told = AbstractOperations.invoke

    def invoke(self: Any, operation: Any) -> Any:
        line = _line_of_migration()
        if line:
            self.migration_context.impl.static_output(f"-- line {line}")
        return told(self, operation)

    AbstractOperations.invoke = invoke

    def one(revision: dict[str, Any]) -> str:
        if len(revision["after"]) > 1:
            raise ValueError("a merge of branches cannot be rendered by itself")
        start = revision["after"][0] if revision["after"] else "base"
        command = ["upgrade", f"{start}:{revision['name']}", "--sql"]
        return captured(lambda: CommandLine().main([*arguments, *command]))

    return one


def _line_of_migration() -> int:
    """Where the migration that is being rendered calls for the present operation."""
    frame: FrameType | None = sys._getframe(1)
    while frame:
        if frame.f_code.co_name == "upgrade" and "revision" in frame.f_globals:
            return frame.f_lineno
        frame = frame.f_back
    return 0


def django(revision: dict[str, Any]) -> str:
    app, _, name = revision["name"].partition(".")
    sys.argv = ["manage.py", "sqlmigrate", app, name, "--no-color"]
    return captured(lambda: runpy.run_path("manage.py", run_name="__main__"))


def captured(work: Callable[[], Any]) -> str:
    """What it printed. An exit of the program becomes an error with its last words."""
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            work()
        except SystemExit as error:
            if error.code:
                said = (errors.getvalue() + output.getvalue()).strip().splitlines()
                raise RuntimeError(said[-1] if said else f"exit {error.code}") from error
    return output.getvalue()


if __name__ == "__main__":
    main()
