"""`backendctl new`, as a person, a pipeline and the generated repository see it."""

import json
import os
import pty
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from backendctl.spec.load import load_spec

pytestmark = pytest.mark.e2e

BIN = Path(sys.executable).parent


def new(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "backendctl", "new", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def answer_of(result: subprocess.CompletedProcess[str]) -> dict[str, object]:
    body: dict[str, object] = json.loads(result.stdout)
    assert body["exit"] == result.returncode
    return body


def test_the_generated_repository_passes_its_own_tests_and_checks(tmp_path: Path) -> None:
    result = new(tmp_path, "shop", "--yes", "--set", "resource=line_items")
    assert result.returncode == 0, result.stderr
    repository, environment = tmp_path / "shop", tmp_path / "venv"
    python = environment / "bin" / "python"
    uv = [BIN / "uv", "--quiet"]
    run([*uv, "venv", "--python", sys.executable, environment], repository)
    requirements = ["--requirement", "requirements-dev.txt"]
    run([*uv, "pip", "install", "--python", python, *requirements], repository)
    for check in (
        [python, "-m", "ruff", "check", "."],
        [python, "-m", "ruff", "format", "--check", "."],
        [python, "-m", "mypy"],
        [environment / "bin" / "lint-imports"],
    ):
        run(check, repository)
    said = run([python, "-m", "pytest", "-q"], repository)
    assert re.search(r"\d+ passed", said)
    assert "Required test coverage of 80% reached" in said


def run(argv: list[str | Path], folder: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    result = subprocess.run(
        [str(word) for word in argv],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, f"{argv}: {result.stdout[-4000:]}{result.stderr[-2000:]}"
    return result.stdout


def test_a_pipeline_gets_one_json_answer_and_a_spec_that_loads(tmp_path: Path) -> None:
    answers = tmp_path / "answers.toml"
    answers.write_text('resource = "orders"\npeak_users = 500\ncompliance = ["gdpr"]\n')
    arguments = ("shop", "--answers", str(answers), "--yes", "--no-git", "--output", "json")
    body = answer_of(new(tmp_path, *arguments))
    assert body["ok"] is True
    data = body["data"]
    assert isinstance(data, dict)
    assert data["answers"]["resource"] == "orders"
    assert "p95" in data["assumed"]
    assert "resource" not in data["assumed"]
    spec = load_spec(tmp_path / "shop")
    assert (spec.service.name, spec.load.peak_users) == ("shop", 500)
    assert not (tmp_path / "shop" / ".git").exists()


def test_the_record_holds_the_answers_and_a_pristine_copy(tmp_path: Path) -> None:
    new(tmp_path, "shop", "--yes", "--no-git")
    shop = tmp_path / "shop"
    record = shop / ".backendctl-template"
    pristine = record / "pristine"
    for copy in pristine.rglob("*"):
        if copy.is_file():
            assert copy.read_bytes() == (shop / copy.relative_to(pristine)).read_bytes()
    assert tomllib.loads((record / "answers.toml").read_text())["version"] >= 1
    again = new(tmp_path, "again", "--answers", str(record / "answers.toml"), "--no-git")
    assert again.returncode == 0, again.stderr
    kept = (tmp_path / "again" / ".backendctl-template" / "answers.toml").read_text()
    assert kept == (record / "answers.toml").read_text()


NOBODY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
          "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.useConfigOnly",
          "GIT_CONFIG_VALUE_0": "true"}  # fmt: skip
SOMEBODY = {f"GIT_{who}_{what}": "a@localhost" for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")}  # fmt: skip


def test_git_gets_a_first_commit_of_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**NOBODY, **SOMEBODY}.items():
        monkeypatch.setenv(name, value)
    assert git_of(new(tmp_path, "shop", "--yes", "--output", "json")) == (True, True, "")
    assert run(["git", "status", "--porcelain"], tmp_path / "shop") == ""
    inside = git_of(new(tmp_path / "shop", "inner", "--yes", "--output", "json"))
    assert inside == (False, False, "the folder is in a repository already")


def test_without_a_name_to_commit_under_the_service_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)
    for name in SOMEBODY:
        monkeypatch.delenv(name, raising=False)
    repository, commit, reason = git_of(new(tmp_path, "shop", "--yes", "--output", "json"))
    assert (repository, commit) == (True, False)
    assert reason == "git has no name to commit under"


def git_of(result: subprocess.CompletedProcess[str]) -> tuple[bool, bool, str]:
    assert result.returncode == 0, result.stderr
    data = answer_of(result)["data"]
    assert isinstance(data, dict)
    git = data["git"]
    return git["repository"], git["commit"], git["reason"]


def test_without_a_terminal_nothing_is_asked_and_nothing_is_written(tmp_path: Path) -> None:
    result = new(tmp_path, "shop", "--output", "json")
    body = answer_of(result)
    assert result.returncode == 2
    error = body["error"]
    assert isinstance(error, dict)
    assert error["code"] == "scaffold.answer"
    assert any("--yes" in line for line in error["next"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("shop", "--yes", "--set", "p9=1s"), "scaffold.answer"),
        (("shop", "--yes", "--set", "p95=2s", "--set", "p99=1s"), "scaffold.answer"),
        (
            ("shop", "--yes", "--set", "compliance=gdpr", "--set", "residency=us"),
            "scaffold.answer",
        ),
        (("shop", "--yes", "--answers", "missing.toml"), "scaffold.answer"),
        (("--yes",), "usage"),
    ],
)
def test_bad_input_says_so_with_exit_2_and_writes_nothing(
    arguments: tuple[str, ...], code: str, tmp_path: Path
) -> None:
    result = new(tmp_path, *arguments, "--output", "json")
    error = answer_of(result)["error"]
    assert result.returncode == 2
    assert isinstance(error, dict)
    assert error["code"] == code
    assert not list(tmp_path.iterdir())


def test_files_are_kept_and_merge_lists_what_to_look_at(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    readme = tmp_path / "shop" / "README.md"
    readme.write_text("ours\n")
    refused = new(tmp_path, "shop", "--yes", "--output", "json")
    error = answer_of(refused)["error"]
    assert refused.returncode == 2
    assert isinstance(error, dict)
    assert error["code"] == "scaffold.not-empty"
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["README.md"]

    merged = new(tmp_path, "shop", "--yes", "--merge", "--output", "json")
    body = answer_of(merged)
    assert merged.returncode == 3
    data = body["data"]
    assert isinstance(data, dict)
    assert data["conflicts"] == [{"kept": "README.md", "new": "README.md.new"}]
    assert readme.read_text() == "ours\n"
    assert (tmp_path / "shop" / "app" / "main.py").exists()


def test_a_person_is_asked_at_the_terminal_and_asked_again(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [BIN / "backendctl", "new", "shop", "--no-git"],
        cwd=tmp_path,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    said = ""
    for prompt, reply in (
        ("plural noun", "class"),
        ("customer_class", "orders"),
        ("Users at once", ""),
        ("Requests per second", "300"),
        ("95 of 100", ""),
        ("99 of 100", "2s"),
        ("without an error", ""),
        ("People", "7"),
        ("Compliance", "gdpr"),
        ("must stay", "eu"),
    ):
        said = read_until(controller, prompt, said)
        os.write(controller, f"{reply}\n".encode())
    assert process.wait(20) == 0
    os.close(controller)
    spec = load_spec(tmp_path / "shop")
    assert (spec.load.peak_rps, spec.slo.p99, spec.team.size) == (300, 2.0, 7)
    assert spec.service.residency == "eu"
    assert (tmp_path / "shop" / "app" / "controller" / "orders.py").exists()


def read_until(terminal: int, prompt: str, said: str, deadline: float = 20.0) -> str:
    end = time.monotonic() + deadline
    while prompt not in said:
        assert time.monotonic() < end, said
        said += os.read(terminal, 4096).decode()
    return said.partition(prompt)[2]
