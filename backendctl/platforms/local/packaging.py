"""The working tree made immutable: a private copy under the digest of what is in it.

What is deployed is the tree as it lies there, committed or not; `local` means that. Files that
git ignores stay out, and so do untracked `.env` files, wherever they lie: they are where people
keep secrets, which belong in `backendctl secrets`. A tracked `.env` is part of the code.
"""

import fnmatch
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.filesystem import make_folder, writing
from backendctl.platforms.local import launch

NEVER = (".git", ".hg", ".svn", ".backendctl")
"""Left out even when tracked."""

UNTRACKED_NEVER = (
    *NEVER,
    *("__pycache__", "*.pyc", ".venv", "venv", "node_modules", "*.egg-info"),
    *(".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".tox", ".nox", ".coverage"),
    *(".idea", ".vscode", ".DS_Store", "*.swp", ".env", ".env.*", ".envrc"),
)
"""Names left out unless they are tracked; in a tree without git, always."""

_EXAMPLES = (".env.example", ".env.sample", ".env.template", ".env.dist")
_TRIES = 3
_CLOSED = re.compile(r"^warning: could not open directory '(.*)': ", re.MULTILINE)
"""What git says of a folder that it leaves out because it may not be read."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A private copy, still writable, in a temporary folder beside where it will be kept."""

    digest: str
    """SHA-256 over names, kinds, executable bits and contents; 16 hex digits."""
    folder: Path
    files: int
    size: int
    """Bytes."""
    secret_files: tuple[str, ...]
    """`.env` files that were left out."""

    def keep(self, place: Path) -> Path:
        """Seal the copy at `place`; what already lies there under the same name is the same.

        Raises BackendctlError `platform.disk-full` or `platform.permission`.
        """
        if place.is_dir():
            return place
        _seal(self.folder)
        with writing(place):
            try:
                self.folder.rename(place)
            except OSError:
                if not place.is_dir():
                    raise
        return place


@contextmanager
def copied(tree: Path, beside: Path) -> Iterator[Copy]:
    """Copy the tree into a temporary folder in `beside`; gone at the end unless it was kept.

    Raises BackendctlError `release.package` for a link out of the tree, a tree that changes
    while it is read, or one git will not list; `platform.disk-full`; `platform.permission`, also
    for a folder that may not be read and is not ignored.
    """
    make_folder(beside)
    with writing(beside):
        _sweep(beside)
        folder = Path(tempfile.mkdtemp(prefix=f".copy-{os.getpid()}-", dir=beside))
    try:
        yield _copy(tree, folder)
    finally:
        if folder.exists():
            shutil.rmtree(folder)


def remove(folder: Path) -> None:
    """Delete a kept copy. Renamed first, so that a crash leaves nothing that looks whole."""
    shutil.rmtree(folder.rename(folder.with_name(f".gone-{folder.name}")))


def _sweep(folder: Path) -> None:
    """Delete what was left by processes that died while they copied or deleted."""
    for left in folder.glob(".gone-*"):
        shutil.rmtree(left, ignore_errors=True)  # somebody else may be at it
    for left in folder.glob(".copy-*"):
        if launch.identity(int(left.name.split("-")[1])) is None:
            shutil.rmtree(left, ignore_errors=True)


# --- which files ------------------------------------------------------------------------------


def listed(tree: Path) -> tuple[list[str], list[str]]:
    """Relative paths of what belongs to the tree, sorted; and of `.env` files left out."""
    tracked, untracked = _from_git(tree) if _in_git(tree) else ([], _walk(tree))
    secret = sorted(name for name in untracked if _is_secret(Path(name).name))
    names = {name for name in tracked if not _matches(name, NEVER)}
    names |= {name for name in untracked if not _matches(name, UNTRACKED_NEVER)}
    expanded: set[str] = set()
    for name in names:
        path = tree / name
        if path.is_symlink() or not path.is_dir():
            expanded.add(name)
        else:  # a submodule, or a repository inside: listed by git as a folder
            inner, _ = listed(path)
            expanded.update(f"{name.rstrip('/')}/{each}" for each in inner)
    return sorted(expanded), secret


def _is_secret(name: str) -> bool:
    return (name == ".env" or name.startswith((".env.", ".envrc"))) and name not in _EXAMPLES


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    *_, last = parts = name.rstrip("/").split("/")
    if last in _EXAMPLES:
        return False
    return any(fnmatch.fnmatchcase(part, each) for part in parts for each in patterns)


def _in_git(tree: Path) -> bool:
    return any((folder / ".git").exists() for folder in (tree, *tree.parents))


def _from_git(tree: Path) -> tuple[list[str], list[str]]:
    # A tree that lies in an ignored folder of some outer repository is no part of that.
    if _git(tree, "check-ignore", "--quiet", ".", allowed=(0, 1, 128)).returncode == 0:
        return [], _walk(tree)
    tracked = _git(tree, "ls-files", "-z", "--cached").stdout
    others = _git(tree, "ls-files", "-z", "--others", "--exclude-standard")
    for folder in _CLOSED.findall(others.stderr.decode(errors="surrogateescape")):
        _refuse_closed(tree, folder.rstrip("/"))
    untracked = others.stdout
    present = [name for name in _names(tracked) if os.path.lexists(tree / name)]
    ignored_env = _git(
        tree, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", ".env*"
    ).stdout
    return present, [*_names(untracked), *_names(ignored_env)]


def _refuse_closed(tree: Path, name: str) -> None:
    """Raise for a folder that may not be read, unless nothing of it would be packaged."""
    if name != "." and _matches(name, UNTRACKED_NEVER):
        return
    raise BackendctlError(
        "platform.permission",
        f"the folder {tree / name} may not be read",
        cause="what is in it may belong to the release",
        state="no release was made; what runs goes on running",
        next=(f"ls -ld {shlex.quote(str(tree / name))}", f"or add {name}/ to .gitignore"),
    )


def _names(output: bytes) -> list[str]:
    return [os.fsdecode(name) for name in output.split(b"\0") if name]


def _git(
    tree: Path, *arguments: str, allowed: tuple[int, ...] = (0,)
) -> subprocess.CompletedProcess[bytes]:
    # A hook sets GIT_DIR and the like: they would point at another tree.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment["LC_ALL"] = "C"  # its warnings are read
    command = ["git", "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, check=False)
    except FileNotFoundError:
        raise BackendctlError(
            "missing.tool",
            "git is not installed, and the project is a git repository",
            cause="what git ignores must not be deployed",
            state="no release was made; what runs goes on running",
            next=("install git",),
        ) from None
    if done.returncode not in allowed:
        raise BackendctlError(
            "release.package",
            f"git cannot list the files of {tree}",
            cause=done.stderr.decode(errors="replace").strip(),
            state="no release was made; what runs goes on running",
        )
    return done


def _walk(tree: Path) -> list[str]:
    found = []

    def refuse(error: OSError) -> None:
        _refuse_closed(tree, os.path.relpath(error.filename, tree))

    for path, folders, files in os.walk(tree, onerror=refuse):
        here = Path(path)
        folders[:] = [
            name
            for name in folders
            if not _matches(name, UNTRACKED_NEVER) and not _is_virtual(here / name)
        ]
        links = [name for name in folders if (here / name).is_symlink()]
        found += [str((here / name).relative_to(tree)) for name in (*files, *links)]
    return found


def _is_virtual(folder: Path) -> bool:
    """Whether it is a virtual environment, whatever its name."""
    try:
        return (folder / "pyvenv.cfg").exists()
    except PermissionError:
        return False  # nor can it be read: that is refused


# --- copying ----------------------------------------------------------------------------------


def _copy(tree: Path, folder: Path) -> Copy:
    names, secret = listed(tree)
    digest = hashlib.sha256()
    size = files = 0
    real = tree.resolve()
    for name in names:
        source, target = tree / name, folder / name
        if source.is_symlink():
            entry = f"link {_link(real, tree, name, target)}"
        elif source.is_file():
            entry, length = _file(source, target)
            size += length
            files += 1
        else:
            continue  # a socket or a pipe is no code
        digest.update(f"{name}\0{entry}\0".encode("utf-8", "surrogateescape"))
    return Copy(digest.hexdigest()[:16], folder, files, size, tuple(secret))


def _link(real: Path, tree: Path, name: str, target: Path) -> str:
    """Make the same link in the copy, relative; refused if it leads out of the tree."""
    here = (tree / name).parent.resolve()
    aim = Path(os.path.normpath(here / (tree / name).readlink()))
    if not aim.is_relative_to(real):
        raise BackendctlError(
            "release.package",
            f"{name} is a link to {aim}, outside the project",
            cause="a release holds all it needs, and what lies outside may change under it",
            state="no release was made; what runs goes on running",
            next=("copy what it points to into the project, or add the link to .gitignore",),
        )
    to = os.path.relpath(aim, here)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(to)
    return to


def _file(source: Path, target: Path) -> tuple[str, int]:
    """Copy one file; its part of the digest and its length."""
    for _ in range(_TRIES):
        try:
            with source.open("rb") as reader:
                before = os.fstat(reader.fileno())
                content = _pour(reader.fileno(), target)
                after = os.fstat(reader.fileno())
        except PermissionError as error:
            if error.filename != str(source):
                raise
            raise BackendctlError(
                "platform.permission",
                f"{source} may not be read",
                state="no release was made; what runs goes on running",
            ) from error
        if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size):
            executable = bool(before.st_mode & 0o100)
            with writing(target):
                target.chmod(0o755 if executable else 0o644)
            return f"file {'x' if executable else '-'} {content}", after.st_size
    raise BackendctlError(
        "release.package",
        f"{source} changes while it is read",
        cause="a program is writing it",
        state="no release was made; what runs goes on running",
        next=("stop that program, or add the file to .gitignore",),
    )


def _pour(reader: int, target: Path) -> str:
    """Copy what is left to read and return its SHA-256."""
    digest = hashlib.sha256()
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as writer:
            while chunk := os.read(reader, 1 << 20):
                digest.update(chunk)
                writer.write(chunk)
    return digest.hexdigest()


def _seal(folder: Path) -> None:
    """Take the right to write from every file.

    Folders stay writable: whoever deletes the project with `rm -r` need not think of ours.
    """
    with writing(folder):
        for path, _folders, files in os.walk(folder):
            for name in files:
                file = Path(path) / name
                if not file.is_symlink():
                    file.chmod(file.stat().st_mode & 0o555)
