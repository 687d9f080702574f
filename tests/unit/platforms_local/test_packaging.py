"""Snapshots of a working tree: what is in them, what is not, and that nothing disturbs them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.local import packaging
from backendctl.platforms.local.packaging import copied, listed, remove


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "app.py").write_text("print('one')\n")
    (folder / "pkg").mkdir()
    (folder / "pkg" / "data.txt").write_text("data")
    return folder


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "releases"


def git(tree: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
    command = ["git", *identity, *arguments]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)


def digest_of(tree: Path, kept: Path) -> str:
    with copied(tree, kept) as copy:
        return copy.digest


def keep(tree: Path, kept: Path) -> Path:
    with copied(tree, kept) as copy:
        return copy.keep(kept / copy.digest)


def files_in(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}


def test_a_copy_holds_the_same_and_shares_no_file_with_the_tree(tree: Path, kept: Path) -> None:
    place = keep(tree, kept)
    assert files_in(place) == {"app.py", "pkg/data.txt"}
    assert (place / "app.py").stat().st_ino != (tree / "app.py").stat().st_ino
    (tree / "app.py").write_text("print('two')\n")
    assert (place / "app.py").read_text() == "print('one')\n"


def test_kept_files_are_read_only_and_executable_as_before(tree: Path, kept: Path) -> None:
    (tree / "run.sh").write_text("#!/bin/sh\n")
    (tree / "run.sh").chmod(0o775)
    place = keep(tree, kept)
    assert (place / "app.py").stat().st_mode & 0o777 == 0o444
    assert (place / "run.sh").stat().st_mode & 0o777 == 0o555


def test_the_same_tree_has_the_same_place(tree: Path, kept: Path) -> None:
    first = keep(tree, kept)
    inode = first.stat().st_ino
    assert keep(tree, kept) == first
    assert first.stat().st_ino == inode
    assert [path.name for path in kept.iterdir()] == [first.name]


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "app.py").write_text("print('2')\n"),
        lambda tree: (tree / "app.py").rename(tree / "main.py"),
        lambda tree: (tree / "app.py").chmod(0o755),
        lambda tree: (tree / "new.txt").touch(),
        lambda tree: (tree / "pkg" / "data.txt").unlink(),
        lambda tree: (tree / "link").symlink_to("app.py"),
    ],
    ids=["content", "name", "executable", "added", "deleted", "link"],
)
def test_any_change_has_another_digest(tree: Path, kept: Path, change) -> None:  # type: ignore[no-untyped-def]
    before = digest_of(tree, kept)
    change(tree)
    assert digest_of(tree, kept) != before


def test_moving_and_touching_the_tree_keeps_its_digest(tree: Path, kept: Path) -> None:
    before = digest_of(tree, kept)
    moved = tree.rename(tree.with_name("moved"))
    os.utime(moved / "app.py", (1, 1))
    assert digest_of(moved, kept) == before


def test_nothing_is_left_of_a_copy_that_was_not_kept(tree: Path, kept: Path) -> None:
    digest_of(tree, kept)
    with pytest.raises(RuntimeError), copied(tree, kept):
        raise RuntimeError
    assert list(kept.iterdir()) == []


def test_uncommitted_work_is_in_and_what_git_ignores_is_out(tree: Path, kept: Path) -> None:
    git(tree, "init", "-q")
    (tree / ".gitignore").write_text("*.log\nbuild/\n")
    (tree / "gone.py").write_text("")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "x")
    (tree / "gone.py").unlink()
    (tree / "app.py").write_text("changed")
    (tree / "new file.py").write_text("untracked")
    (tree / "x.log").write_text("")
    (tree / "build").mkdir()
    (tree / "build" / "out").write_text("")
    place = keep(tree, kept)
    assert files_in(place) == {".gitignore", "app.py", "new file.py", "pkg/data.txt"}
    assert (place / "app.py").read_text() == "changed"


def test_untracked_secrets_stay_out_and_are_named_and_tracked_ones_are_code(tree: Path) -> None:
    git(tree, "init", "-q")
    (tree / ".gitignore").write_text(".env.local\n")
    (tree / ".env").write_text("DEBUG=0")
    git(tree, "add", ".env", "app.py")
    (tree / ".env.production").write_text("KEY=s3cret")
    (tree / ".env.local").write_text("KEY=s3cret")
    (tree / ".env.example").write_text("KEY=")
    names, secret = listed(tree)
    assert names == [".env", ".env.example", ".gitignore", "app.py", "pkg/data.txt"]
    assert secret == [".env.local", ".env.production"]


def test_without_git_what_tools_leave_behind_stays_out(tree: Path) -> None:
    for name in (
        ".env",
        ".venv/bin/python",
        "env39/pyvenv.cfg",
        "env39/bin/python",
        "node_modules/x/index.js",
        "pkg/__pycache__/a.pyc",
        ".backendctl/local/state",
        ".env.sample",
    ):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    names, secret = listed(tree)
    assert names == [".env.sample", "app.py", "pkg/data.txt"]
    assert secret == [".env"]


def test_our_own_state_is_never_packaged_even_when_tracked(tree: Path) -> None:
    git(tree, "init", "-q")
    (tree / ".backendctl").mkdir()
    (tree / ".backendctl" / "x").touch()
    git(tree, "add", "-f", ".")
    assert listed(tree)[0] == ["app.py", "pkg/data.txt"]


def test_a_project_in_a_folder_of_a_repository_is_only_that_folder(tree: Path) -> None:
    git(tree, "init", "-q")
    git(tree, "add", ".")
    assert listed(tree / "pkg")[0] == ["data.txt"]


def test_a_project_that_an_outer_repository_ignores_is_packaged_whole(tree: Path) -> None:
    outer = tree.parent
    git(outer, "init", "-q")
    (outer / ".gitignore").write_text("project/\n")
    assert listed(tree)[0] == ["app.py", "pkg/data.txt"]


def test_a_repository_inside_is_packaged_with_it(tree: Path) -> None:
    git(tree, "init", "-q")
    (tree / "lib").mkdir()
    (tree / "lib" / "code.py").touch()
    git(tree / "lib", "init", "-q")
    git(tree / "lib", "add", ".")
    git(tree / "lib", "commit", "-qm", "x")
    assert listed(tree)[0] == ["app.py", "lib/code.py", "pkg/data.txt"]


def test_settings_of_a_git_hook_do_not_lead_elsewhere(
    tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    git(tree, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other.index"))
    assert listed(tree)[0] == ["app.py", "pkg/data.txt"]


def test_git_missing_is_said_when_git_is_needed(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tree, "init", "-q")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BackendctlError) as caught:
        listed(tree)
    assert caught.value.code == "missing.tool"


def test_links_inside_are_kept_and_lead_into_the_copy(tree: Path, kept: Path) -> None:
    (tree / "relative").symlink_to("pkg/data.txt")
    (tree / "absolute").symlink_to(tree / "pkg")
    place = keep(tree, kept)
    assert (place / "relative").resolve() == (place / "pkg" / "data.txt").resolve()
    assert (place / "absolute").resolve() == (place / "pkg").resolve()


@pytest.mark.parametrize("target", ["/etc/hosts", "../elsewhere"])
def test_a_link_out_of_the_project_is_refused(tree: Path, kept: Path, target: str) -> None:
    (tree / "pkg" / "out").symlink_to(target if target[0] == "/" else f"../{target}")
    with pytest.raises(BackendctlError, match="pkg/out is a link to") as caught:
        keep(tree, kept)
    assert caught.value.code == "release.package"
    assert list(kept.iterdir()) == []


def test_a_file_that_never_stops_changing_is_named(
    tree: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = packaging._pour

    def while_written(reader: int, target: Path) -> str:
        digest = real(reader, target)
        with (tree / target.name).open("a") as file:
            file.write("more")
        return digest

    monkeypatch.setattr(packaging, "_pour", while_written)
    with pytest.raises(BackendctlError, match=r"app\.py changes while it is read"):
        keep(tree, kept)


def test_sockets_and_pipes_are_no_code(tree: Path, kept: Path) -> None:
    os.mkfifo(tree / "pipe")
    assert files_in(keep(tree, kept)) == {"app.py", "pkg/data.txt"}


def test_a_kept_copy_can_be_deleted_by_us_and_by_anybody(tree: Path, kept: Path) -> None:
    remove(keep(tree, kept))
    assert list(kept.iterdir()) == []
    shutil.rmtree(keep(tree, kept))


_LIST = """
import sys
from pathlib import Path
from backendctl.errors import BackendctlError
from backendctl.platforms.local.packaging import listed
try:
    print(listed(Path(sys.argv[1]))[0])
except BackendctlError as error:
    print(error.code, error.message, error.state)
"""


def listed_without_privileges(tree: Path) -> str:
    """What `listed` says to a user whom modes of files keep out; root's own do not, otherwise."""
    mere = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    prefix = mere if os.geteuid() == 0 else ()
    if prefix and shutil.which(prefix[0]) is None:
        pytest.skip("root cannot give up its privileges here")
    command = [*prefix, sys.executable, "-c", _LIST, str(tree)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("in_git", [False, True])
def test_a_folder_that_may_not_be_read_is_named_unless_it_is_ignored(
    tree: Path, in_git: bool
) -> None:
    if in_git:
        git(tree, "init", "-q")
        (tree / ".gitignore").write_text("/data\n")
        git(tree, "add", ".gitignore")
    closed = [tree / name for name in ("node_modules", "pkg/größe", *(["data"] if in_git else []))]
    for folder in closed:
        folder.mkdir()
        (folder / "file").touch()
        folder.chmod(0)
    try:
        refused = listed_without_privileges(tree)
        (tree / "pkg" / "größe").chmod(0o700)
        shutil.rmtree(tree / "pkg" / "größe")
        found = listed_without_privileges(tree)
    finally:
        for folder in closed:
            if folder.exists():
                folder.chmod(0o700)
    assert refused.startswith("platform.permission")
    assert str(tree / "pkg" / "größe") in refused
    assert "no release was made" in refused
    assert "app.py" in found
    assert "node_modules" not in found
