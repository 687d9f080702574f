"""Answers a question inside a release's image. A script: it runs with the image's own Python.

Usage: python -c "$(cat in_image.py)" QUESTION, which is JSON. The answer is JSON too, in lines of
its own among whatever else is printed: each begins with MARK, the rest of them together is base64.
It imports nothing of ours, and no package but the service's own.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
from typing import Any

MARK = "@backendctl "
_WIDTH = 4000
"""Characters in a line: runtimes cut longer ones than 16 KiB in pieces."""
_PATIENCE = 5


def main() -> None:
    question = json.loads(sys.argv[1])
    answer = {"scripts": scripts, "applied": applied}[question["ask"]](question)
    body = base64.b64encode(json.dumps(answer).encode()).decode()
    for start in range(0, len(body), _WIDTH):
        print(MARK + body[start : start + _WIDTH])


def scripts(question: dict[str, Any]) -> dict[str, Any]:
    """The texts of `files` (by name), and what `render` (a program's text) answers to `order`."""
    sources = {}
    for name, file in question["files"].items():
        with open(file, errors="replace") as opened:  # noqa: PTH123 - any Python
            sources[name] = opened.read()
    with tempfile.TemporaryDirectory() as folder:
        program, order, answer = (
            os.path.join(folder, name)  # noqa: PTH118
            for name in ("render.py", "order.json", "answer.json")
        )
        with open(program, "w") as opened:  # noqa: PTH123
            opened.write(question["render"])
        with open(order, "w") as opened:  # noqa: PTH123
            json.dump({**question["order"], "answer": answer}, opened)
        done = subprocess.run(
            [sys.executable, program, order],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if os.path.exists(answer):  # noqa: PTH110
            with open(answer) as opened:  # noqa: PTH123
                return {"sources": sources, "rendered": json.load(opened)}
    said = done.stdout.strip().splitlines()
    why = said[-1] if said else f"it ended with status {done.returncode}"
    return {"sources": sources, "problem": why}


def applied(question: dict[str, Any]) -> dict[str, Any]:
    """The names in the record `table` by `query`, or an `error`."""
    url = re.sub(r"^postgres(?:ql)?(?:\+\w+)?://", "postgresql://", os.environ["DATABASE_URL"])
    for ask in (_psycopg, _psycopg2, _asyncpg):
        try:
            rows = ask(url, question["table"], question["query"])
        except ImportError:
            continue
        except Exception as error:
            return {"error": (str(error).strip() or type(error).__name__).splitlines()[0]}
        return {"names": [str(row[0]) for row in rows]}
    return {"error": "the image has none of the drivers psycopg, psycopg2 and asyncpg"}


def _psycopg(url: str, table: str, query: str) -> list[Any]:
    import psycopg

    with psycopg.connect(url, connect_timeout=_PATIENCE) as connection:
        there = connection.execute("SELECT to_regclass(%s)", (table,)).fetchone()
        return list(connection.execute(query)) if there and there[0] else []


def _psycopg2(url: str, table: str, query: str) -> list[Any]:
    import psycopg2

    with psycopg2.connect(url, connect_timeout=_PATIENCE) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT to_regclass(%s)", (table,))
        if not cursor.fetchone()[0]:
            return []
        cursor.execute(query)
        return list(cursor)


def _asyncpg(url: str, table: str, query: str) -> list[Any]:
    import asyncio

    import asyncpg

    async def ask() -> list[Any]:
        connection = await asyncpg.connect(url, timeout=_PATIENCE)
        try:
            there = await connection.fetchval("SELECT to_regclass($1)::text", table)
            return list(await connection.fetch(query)) if there else []
        finally:
            await connection.close()

    return asyncio.run(ask())


if __name__ == "__main__":
    main()
