"""The program that answers questions inside a release's image, run as it is run there."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backendctl.migrations import render
from backendctl.platforms.kubernetes import in_image
from backendctl.platforms.kubernetes.in_image import MARK


def ask(question: dict[str, Any], folder: Path, **environment: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", Path(in_image.__file__).read_text(), json.dumps(question)],
        cwd=folder,
        env={"PATH": os.defpath, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    assert all(len(line) < 16 << 10 for line in lines)
    return json.loads(base64.b64decode("".join(line.removeprefix(MARK) for line in lines)))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "manage.py").write_text("import sys; print('SELECT', *sys.argv[2:4])")
    (tmp_path / "0001.py").write_text("x = 1  # Füße\n" + "# long\n" * 5000)
    return tmp_path


def test_a_migrations_text_and_its_sql_come_back_whole(project: Path) -> None:
    answer = ask(
        {
            "ask": "scripts",
            "files": {"shop.0001": "0001.py"},
            "render": Path(render.__file__).read_text(),
            "order": {
                "tool": "django",
                "arguments": [],
                "revisions": [{"name": "shop.0001", "after": []}],
            },
        },
        project,
    )
    assert answer["sources"] == {"shop.0001": (project / "0001.py").read_text()}
    assert answer["rendered"] == {"shop.0001": {"sql": "SELECT shop 0001\n"}}


def test_a_tool_that_fails_says_why(project: Path) -> None:
    question = {
        "ask": "scripts",
        "files": {},
        "render": "raise SystemExit('no such module')",
        "order": {},
    }
    assert ask(question, project) == {"sources": {}, "problem": "no such module"}


def test_a_database_that_does_not_answer_is_an_error_and_never_an_empty_record(
    project: Path,
) -> None:
    question = {"ask": "applied", "table": "alembic_version", "query": "SELECT 1"}
    answer = ask(question, project, DATABASE_URL="postgresql+asyncpg://u:p@127.0.0.1:9/x")
    assert "names" not in answer
    assert answer["error"]
