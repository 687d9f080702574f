"""Installed dependencies, shared between releases whose lock files say the same.

An environment is built where it will stay, because virtual environments and build tools write
their own path into what they make. It counts only once its description (`environment.json`) is
there, which is written last; without it the folder is rubbish and the next builder removes it.
"""

import errno
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.filesystem import atomic_write, make_folder, writing
from backendctl.platforms.base import OnLine
from backendctl.platforms.local import installers, jobs
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.packaging import Copy
from backendctl.platforms.local.recipes import Language, Recipe

INSTALL_DEADLINE = 900.0
"""Seconds an installer may take."""

_SHOWN = 15
"""Last lines of an installer's output that go into an error."""

TREE_USE = 86_400.0
"""Seconds for which an environment is kept after `backendctl dev` began to use it."""

_IN_TREE = "used-in-tree"

_FORMAT = "1"
"""Raised when environments that were built before no longer fit."""


@dataclass(frozen=True, slots=True)
class Environment:
    """One finished environment."""

    digest: str
    folder: Path

    @property
    def source(self) -> Path | None:
        """The copy of the tree it was built in and that the release runs from, if it has one."""
        folder = self.folder / "source"
        return folder if folder.is_dir() else None

    @property
    def modules(self) -> Path | None:
        """node_modules to link to, if it holds them for several releases."""
        folder = self.folder / "node_modules"
        return folder if folder.is_dir() else None

    @property
    def python(self) -> Path | None:
        interpreter = self.folder / "bin" / "python"
        return interpreter if interpreter.exists() else None

    def variables(self, code: Path, inherited_path: str) -> dict[str, str]:
        """What makes a process in `code` use this environment."""
        first = [code / "node_modules" / ".bin"]
        found: dict[str, str] = {}
        if self.python:
            first.insert(0, self.folder / "bin")
            sources = [code, *(each for each in (code / "src",) if each.is_dir())]
            found["VIRTUAL_ENV"] = str(self.folder)
            # Dependencies are installed, the service itself is not: it runs from its folder.
            found["PYTHONPATH"] = os.pathsep.join(map(str, sources))
        path = [str(each) for each in first if each.is_dir()]
        found["PATH"] = os.pathsep.join([*path, inherited_path])
        return found


class Environments:
    """All environments of one `local` environment. Making one touches nothing."""

    def __init__(self, layout: Layout) -> None:
        self._folder = layout.environments

    def ensure(self, recipe: Recipe, copy: Copy, on_line: OnLine) -> Environment:
        """The environment for this copy of a tree, built if there is none yet. A recipe that
        needs the whole tree takes the copy over.

        Raises BackendctlError `release.package` with the installer's last lines.
        """
        interpreter = None
        version = ""
        if recipe.language is Language.PYTHON:
            interpreter = installers.find_python(recipe.python)
            version = f"{interpreter.executable} {interpreter.version}"
        elif recipe.language is Language.NODE:
            version = installers.node_version()
        # Virtual environments know where they lie: a project that was moved needs new ones.
        digest = digest_of(recipe, copy, version, self._folder)
        environment = self.at(digest)
        if self.finished(digest):
            return environment
        with self._alone(on_line):
            if not self.finished(digest):
                on_line(f"installing the dependencies of {recipe.source}")
                self._build(recipe, copy, environment, interpreter, on_line)
        return environment

    def finished(self, digest: str) -> bool:
        """Whether that environment is there, whole."""
        return (self._folder / digest / "environment.json").is_file()

    def at(self, digest: str) -> Environment:
        """The environment of that digest, finished or not."""
        return Environment(digest, self._folder / digest)

    def use_in_tree(self, environment: Environment) -> None:
        """Note that the working tree, which no release number stands for, runs on it now."""
        with writing(environment.folder):
            (environment.folder / _IN_TREE).touch(mode=0o600)

    def prune(self, keep: Collection[str]) -> None:
        """Delete all environments but those, and those that the working tree uses."""
        with self._alone(lambda _line: None):
            for folder in self._folder.iterdir():
                if folder.is_dir() and folder.name not in keep and not _in_tree(folder):
                    _discard(folder)

    def _build(
        self,
        recipe: Recipe,
        copy: Copy,
        environment: Environment,
        interpreter: installers.Python | None,
        on_line: OnLine,
    ) -> None:
        folder = environment.folder
        with writing(folder):
            _discard(folder)
            make_folder(folder)
            workplace = self._prepare(recipe, copy, folder)
            for name, text in recipe.generated.items():
                (folder / name).write_text(text)
        variables = installers.settings(os.environ)
        steps = list(recipe.steps)
        try:
            if interpreter:
                variables |= {
                    "VIRTUAL_ENV": str(folder),
                    "UV_PROJECT_ENVIRONMENT": str(folder),
                    "PATH": f"{folder / 'bin'}{os.pathsep}{variables.get('PATH', os.defpath)}",
                }
                steps.insert(0, _venv(interpreter, folder, recipe))
            for step in steps:
                _run(_expand(step, folder), workplace, variables, recipe, on_line)
        except BaseException:
            _discard(folder)
            raise
        about = {"source": recipe.source, "language": recipe.language, "whole": recipe.whole}
        atomic_write(folder / "environment.json", json.dumps(about).encode())

    @staticmethod
    def _prepare(recipe: Recipe, copy: Copy, folder: Path) -> Path:
        """The folder in which the installer runs; never the working tree."""
        if recipe.whole:
            return copy.folder.rename(folder / "source")
        if recipe.language is Language.NODE:
            for name in recipe.inputs:
                shutil.copy2(copy.folder / name, folder / name)
            return folder
        return copy.folder

    @contextmanager
    def _alone(self, on_line: OnLine) -> Iterator[None]:
        """One builder at a time: two at once would fight over one folder, and for the disk."""
        from filelock import FileLock, Timeout

        make_folder(self._folder)
        path = self._folder / "lock"
        lock = FileLock(path, mode=0o600)
        with writing(path):
            try:
                lock.acquire(timeout=0)
            except Timeout:
                on_line("another run is installing dependencies; waiting for it")
                lock.acquire()
        try:
            yield
        finally:
            lock.release()


def digest_of(recipe: Recipe, copy: Copy, version: str, place: Path) -> str:
    """What makes two environments the same: 16 hex digits."""
    digest = hashlib.sha256()
    parts = [
        _FORMAT,
        recipe.language,
        version,
        str(place),
        platform.machine(),
        json.dumps(recipe.steps),
        json.dumps(dict(recipe.generated), sort_keys=True),
        copy.digest if recipe.whole else "",
    ]
    for part in parts:
        digest.update(f"{part}\0".encode())
    for name in recipe.inputs:
        content = hashlib.sha256((copy.folder / name).read_bytes()).hexdigest()
        digest.update(f"{name}\0{content}\0".encode())
    return digest.hexdigest()[:16]


def _venv(interpreter: installers.Python, folder: Path, recipe: Recipe) -> tuple[str, ...]:
    # `service.install` may be a pip command; uv itself needs no pip in the environment.
    seed = ("--seed",) if recipe.source == "service.install" else ()
    options = ("--quiet", "--no-project", "--allow-existing", "--python", interpreter.executable)
    return ("$UV", "venv", *options, *seed, str(folder))


def _expand(step: tuple[str, ...], folder: Path) -> list[str]:
    stands_for = {"$PYTHON": str(folder / "bin" / "python")}
    if "$UV" in step:
        stands_for["$UV"] = installers.uv()
    return [stands_for.get(word, word.replace("$ENV/", f"{folder}/", 1)) for word in step]


def _run(
    argv: list[str],
    workplace: Path,
    variables: Mapping[str, str],
    recipe: Recipe,
    on_line: OnLine,
) -> None:
    done = jobs.run(argv, workplace, variables, INSTALL_DEADLINE, on_line)
    if done.exit_status == 0:
        return
    lines = "\n".join(done.tail[-_SHOWN:])
    if os.strerror(errno.ENOSPC) in lines:
        raise BackendctlError(
            "platform.disk-full",
            f"no space left to install the dependencies of {recipe.source}",
            cause=lines,
            state="no release was made; what runs goes on running",
            next=(f"df -h {workplace}",),
        )
    ended = f"exit status {done.exit_status}"
    if done.exit_status == jobs.TIMED_OUT:
        ended = f"not done after {INSTALL_DEADLINE:.0f} s"
    raise BackendctlError(
        "release.package",
        f"the dependencies of {recipe.source} could not be installed ({ended})",
        cause=lines,
        state="no release was made; what runs goes on running",
        next=(f"mend {recipe.source} and run the command again",),
        data={"lines": list(done.tail[-_SHOWN:]), "exit_status": done.exit_status},
    )


def _in_tree(folder: Path) -> bool:
    used = folder / _IN_TREE
    return used.exists() and time.time() - used.stat().st_mtime < TREE_USE


def _discard(folder: Path) -> None:
    """Delete a folder, its description first: what is left after a crash does not look whole."""
    (folder / "environment.json").unlink(missing_ok=True)
    if folder.exists():
        shutil.rmtree(folder)
