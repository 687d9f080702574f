"""All of the files or none, and nothing overwritten."""

import errno
import os
from pathlib import Path, PurePosixPath

import pytest

from backendctl.errors import BackendctlError
from backendctl.scaffold import place as module
from backendctl.scaffold.place import place

FILES = {
    PurePosixPath("README.md"): b"ours\n",
    PurePosixPath("app/main.py"): b"code\n",
    PurePosixPath("app/deep/down/x.py"): b"",
}


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"/"
        for path in folder.rglob("*")
    }


def test_a_new_folder_gets_every_file_and_nothing_else_is_left(tmp_path: Path) -> None:
    placed = place(tmp_path / "a" / "shop", FILES)
    assert (tmp_path / "a/shop/app/main.py").read_bytes() == b"code\n"
    assert set(placed.written) == {str(path) for path in FILES}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["shop"]
    assert (tmp_path / "a/shop").stat().st_mode & 0o777 == 0o755


def test_an_empty_folder_is_filled_and_stays_the_same_folder(tmp_path: Path) -> None:
    before = tmp_path.stat().st_ino
    place(tmp_path, FILES)
    assert tmp_path.stat().st_ino == before
    assert (tmp_path / "app/deep/down/x.py").exists()


def test_a_folder_with_anything_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".hidden").touch()
    with pytest.raises(BackendctlError) as raised:
        place(tmp_path, FILES)
    assert raised.value.code == "scaffold.not-empty"
    assert ".hidden" in raised.value.message
    assert list(tree(tmp_path)) == [".hidden"]


def test_merge_keeps_what_differs_and_puts_the_new_beside(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"theirs\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app/main.py").write_bytes(b"code\n")
    placed = place(tmp_path, FILES, merge=True)
    assert (tmp_path / "README.md").read_bytes() == b"theirs\n"
    assert (tmp_path / "README.md.new").read_bytes() == b"ours\n"
    assert placed.conflicts == (("README.md", "README.md.new"),)
    assert placed.unchanged == ("app/main.py",)
    assert placed.written == ("app/deep/down/x.py",)


def test_merging_again_changes_nothing_and_an_older_new_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"theirs\n")
    place(tmp_path, FILES, merge=True)
    before = tree(tmp_path)
    assert place(tmp_path, FILES, merge=True).conflicts == (("README.md", "README.md.new"),)
    assert tree(tmp_path) == before
    placed = place(tmp_path, {PurePosixPath("README.md"): b"newer\n"}, merge=True)
    assert placed.conflicts == (("README.md", "README.md.new2"),)
    assert (tmp_path / "README.md.new").read_bytes() == b"ours\n"


def test_a_file_or_a_link_where_a_folder_is_needed_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for make in (
        lambda path: path.write_text("a file"),
        lambda path: path.symlink_to(elsewhere),
    ):
        folder = Path(os.path.normpath(tmp_path / f"target{len(list(tmp_path.iterdir()))}"))
        folder.mkdir()
        make(folder / "app")
        before = tree(folder)
        with pytest.raises(BackendctlError) as raised:
            place(folder, FILES, merge=True)
        assert raised.value.code == "scaffold.not-empty"
        assert tree(folder) == before
    assert not list(elsewhere.iterdir())


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "README.md").symlink_to(tmp_path / "nowhere")
    placed = place(tmp_path, FILES, merge=True)
    assert placed.conflicts == (("README.md", "README.md.new"),)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "platform.disk-full"), (errno.EACCES, "platform.permission"),
     (errno.EROFS, "platform.permission"), (errno.EDQUOT, "platform.disk-full")],
)  # fmt: skip
def test_a_disk_that_refuses_the_second_file_leaves_everything_as_it_was(
    merge: bool, number: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "parent" / "shop"
    if merge:
        target.mkdir(parents=True)
        (target / "kept.txt").write_text("kept")
    before = tree(tmp_path)
    opened = []
    real = Path.open

    def failing(path: Path, *arguments: object, **options: object) -> object:
        opened.append(path)
        if len(opened) == 2:
            raise OSError(number, os.strerror(number), str(path))
        return real(path, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", failing)
    with pytest.raises(BackendctlError) as raised:
        place(target, FILES, merge=merge)
    assert raised.value.code == code
    monkeypatch.undo()
    assert len(opened) >= 2
    assert tree(tmp_path) == before


def test_an_interrupt_between_two_files_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept.txt").write_text("kept")
    before = tree(tmp_path)
    real = Path.mkdir

    def interrupted(path: Path, *arguments: object, **options: object) -> None:
        if path.name == "down":
            raise KeyboardInterrupt
        real(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module.Path, "mkdir", interrupted)
    with pytest.raises(KeyboardInterrupt):
        place(tmp_path, FILES, merge=True)
    monkeypatch.undo()
    assert tree(tmp_path) == before
