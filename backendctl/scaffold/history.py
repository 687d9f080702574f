"""The first commit of a scaffolded repository."""

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class History:
    """What was done about git, and if not all, why."""

    repository: bool
    commit: bool
    reason: str = ""
    next: tuple[str, ...] = ()
    """Commands that make the first commit, typed in the folder."""


IDENTITY = (
    "git config user.name 'YOUR NAME'",
    "git config user.email 'YOU@EXAMPLE.COM'",
)


def begin_history(folder: Path, message: str) -> History:
    """`git init` and a first commit, unless the folder is in a repository already.

    Not having git, or nobody's name to commit under, is no error: it is said.
    """
    if shutil.which("git") is None:
        return History(False, False, "git is not installed")
    if _git(folder, "rev-parse", "--is-inside-work-tree").returncode == 0:
        return History(False, False, "the folder is in a repository already")
    result = _git(folder, "init", "--quiet")
    if result.returncode != 0:
        return History(False, False, _last_line(result))
    by_hand = ("git add --all", f"git commit --message {shlex.quote(message)}")
    if not _has_identity(folder):
        return History(True, False, "git has no name to commit under", (*IDENTITY, *by_hand))
    for arguments in (("add", "--all"), ("commit", "--quiet", "--message", message)):
        result = _git(folder, *arguments)
        if result.returncode != 0:
            return History(True, False, f"git {arguments[0]}: {_last_line(result)}", by_hand)
    return History(True, True)


def _has_identity(folder: Path) -> bool:
    """Whether git knows, or trusts itself to make up, whose commit it would be."""
    return all(
        _git(folder, "var", f"GIT_{who}_IDENT").returncode == 0 for who in ("AUTHOR", "COMMITTER")
    )


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _last_line(result: subprocess.CompletedProcess[str]) -> str:
    lines = (result.stderr or result.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit status {result.returncode}"
