"""Installed environments: built once, whole or not at all, and never in the working tree."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.local.environments import TREE_USE, Environment, Environments
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.packaging import Copy, copied
from backendctl.platforms.local.recipes import Language, Recipe

LINES: list[str] = []


def step(*words: str) -> tuple[tuple[str, ...], ...]:
    return (("sh", "-c", *words),)


def shared(script: str, **more: object) -> Recipe:
    """A recipe that runs a shell script in the environment's own folder."""
    return Recipe(Language.NODE, "lock", step(script), ("lock",), **more)  # type: ignore[arg-type]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "lock").write_text("a==1\n")
    (folder / "code.txt").write_text("1")
    return folder


@pytest.fixture
def copy(tree: Path, tmp_path: Path) -> Iterator[Copy]:
    with copied(tree, tmp_path / "copies") as found:
        yield found


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environments:
    monkeypatch.setattr("backendctl.platforms.local.installers.node_version", lambda: "22.0.0 127")
    return Environments(Layout(tmp_path / "state", "local"))


def ensure(environments: Environments, recipe: Recipe, copy: Copy) -> Environment:
    return environments.ensure(recipe, copy, LINES.append)


def test_an_environment_is_built_once(environments: Environments, copy: Copy) -> None:
    recipe = shared("echo built >> log; mkdir node_modules")
    first = ensure(environments, recipe, copy)
    second = ensure(environments, recipe, copy)
    assert first == second
    assert (first.folder / "log").read_text() == "built\n"
    assert first.modules == first.folder / "node_modules"


def test_code_may_change_without_a_new_environment_and_lock_files_may_not(
    environments: Environments, tree: Path, tmp_path: Path
) -> None:
    recipe, digests = shared("true"), []
    for name in ("code.txt", "lock"):
        with copied(tree, tmp_path / "copies") as before:
            digests.append(ensure(environments, recipe, before).digest)
        (tree / name).write_text("changed")
    with copied(tree, tmp_path / "copies") as after:
        digests.append(ensure(environments, recipe, after).digest)
    assert digests[0] == digests[1] != digests[2]


def test_another_command_or_interpreter_is_another_environment(
    environments: Environments, copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ensure(environments, shared("true"), copy)
    assert ensure(environments, shared("true;"), copy) != first
    monkeypatch.setattr("backendctl.platforms.local.installers.node_version", lambda: "24")
    assert ensure(environments, shared("true"), copy) != first


def test_what_depends_on_the_code_is_built_in_a_copy_of_its_own(
    environments: Environments, tree: Path, tmp_path: Path
) -> None:
    recipe = shared("cat code.txt > built.txt", whole=True)
    found = []
    for text in ("1", "2"):
        (tree / "code.txt").write_text(text)
        with copied(tree, tmp_path / "copies") as copy:
            found.append(ensure(environments, recipe, copy))
    assert found[0].source is not None
    assert found[1].source is not None
    assert (found[0].source / "built.txt").read_text() == "1"
    assert (found[1].source / "built.txt").read_text() == "2"
    assert not (tree / "built.txt").exists()


def test_a_failed_installation_shows_the_installers_words_and_leaves_nothing(
    environments: Environments, copy: Copy, tmp_path: Path
) -> None:
    recipe = shared("echo fetching; echo 'no such package: nope' >&2; exit 3")
    with pytest.raises(BackendctlError) as caught:
        ensure(environments, recipe, copy)
    error = caught.value
    assert error.code == "release.package"
    assert "exit status 3" in error.message
    assert error.cause == "fetching\nno such package: nope"
    left = [path.name for path in (tmp_path / "state" / ".backendctl/local/environments").iterdir()]
    assert left == ["lock"]


def test_what_a_crash_left_unfinished_is_built_anew(environments: Environments, copy: Copy) -> None:
    recipe = shared("echo built >> log")
    found = ensure(environments, recipe, copy)
    (found.folder / "environment.json").unlink()
    (found.folder / "half").touch()
    assert not environments.finished(found.digest)
    ensure(environments, recipe, copy)
    assert (found.folder / "log").read_text() == "built\n"
    assert not (found.folder / "half").exists()


def test_two_builders_at_once_build_one(environments: Environments, copy: Copy) -> None:
    recipe = shared("echo built >> ../log")
    threads = [threading.Thread(target=ensure, args=(environments, recipe, copy)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (environments.at("x").folder.parent / "log").read_text() == "built\n"


def test_only_kept_environments_stay(environments: Environments, copy: Copy) -> None:
    one = ensure(environments, shared("echo 1"), copy)
    two = ensure(environments, shared("echo 2"), copy)
    environments.prune({two.digest})
    assert not one.folder.exists()
    assert environments.finished(two.digest)


def test_an_environment_that_the_working_tree_runs_on_stays_for_a_day(
    environments: Environments, copy: Copy
) -> None:
    found = ensure(environments, shared("true"), copy)
    environments.use_in_tree(found)
    environments.prune(set())
    assert environments.finished(found.digest)
    yesterday = time.time() - TREE_USE - 1
    os.utime(found.folder / "used-in-tree", (yesterday, yesterday))
    environments.prune(set())
    assert not found.folder.exists()


def test_a_python_environment_comes_first_on_the_path(
    environments: Environments, copy: Copy, tmp_path: Path
) -> None:
    recipe = Recipe(Language.PYTHON, "lock", (("$PYTHON", "-c", "pass"),), ("lock",))
    found = ensure(environments, recipe, copy)
    code = tmp_path / "code"
    (code / "src").mkdir(parents=True)
    variables = found.variables(code, "/usr/bin")
    assert variables["PATH"] == f"{found.folder}/bin:/usr/bin"
    assert variables["PYTHONPATH"] == f"{code}:{code}/src"
    assert variables["VIRTUAL_ENV"] == str(found.folder)


def test_the_tools_of_node_modules_come_first_on_the_path(
    environments: Environments, copy: Copy
) -> None:
    recipe = shared("mkdir -p node_modules/.bin", whole=True)
    found = ensure(environments, recipe, copy)
    assert found.source is not None
    path = found.variables(found.source, "/usr/bin")["PATH"]
    assert path == f"{found.source}/node_modules/.bin{os.pathsep}/usr/bin"


def test_a_python_that_is_not_there_is_named(environments: Environments, copy: Copy) -> None:
    recipe = Recipe(Language.PYTHON, "lock", (), ("lock",), python="==2.1.*")
    with pytest.raises(BackendctlError, match=r"Python ==2\.1\.\*") as caught:
        ensure(environments, recipe, copy)
    assert caught.value.code == "release.package"
