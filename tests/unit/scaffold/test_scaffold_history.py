"""The first commit of a scaffolded repository, by the real git."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from backendctl.scaffold.history import begin_history

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that finds no configuration, and is not to make up a name from the host's."""
    for name in [name for name in os.environ if name.startswith("GIT_")] + ["EMAIL"]:
        monkeypatch.delenv(name, raising=False)
    own = tmp_path / "gitconfig"
    own.write_text("[user]\n\tuseConfigOnly = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(own))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def commits(folder: Path) -> list[str]:
    done = subprocess.run(
        ["git", "-C", str(folder), "log", "--format=%an: %s"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()


@pytest.mark.usefixtures("nobody")
def test_without_a_name_to_commit_under_the_commands_that_mend_it_are_said_and_work(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "a.txt").write_text("kept\n")
    history = begin_history(folder, "Scaffold shop")
    assert (history.repository, history.commit) == (True, False)
    assert commits(folder) == []
    assert (folder / "a.txt").read_text() == "kept\n"
    for line in history.next:
        subprocess.run(shlex.split(line), cwd=folder, check=True, capture_output=True)
    assert commits(folder) == ["YOUR NAME: Scaffold shop"]


@pytest.mark.usefixtures("nobody")
def test_with_a_name_there_is_a_first_commit_and_nothing_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ada@example.com")
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "a.txt").write_text("x\n")
    history = begin_history(folder, "Scaffold shop")
    assert history.commit
    assert history.next == ()
    assert commits(folder) == ["Ada: Scaffold shop"]
