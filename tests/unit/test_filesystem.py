import errno
import os
import stat
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.filesystem import atomic_write, refuse_foreign, writing
from backendctl.report.page import MARK, Page, render


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    target = tmp_path / "state.json"
    target.write_text("old")
    atomic_write(target, b"new")
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "platform.disk-full"),
        (errno.EDQUOT, "platform.disk-full"),
        (errno.EACCES, "platform.permission"),
        (errno.EROFS, "platform.permission"),
    ],
)
def test_a_refused_write_keeps_the_old_file_and_leaves_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    target = tmp_path / "state.json"
    target.write_text("old")

    def refuse(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(BackendctlError) as raised:
        atomic_write(target, b"new")
    assert raised.value.code == code
    assert str(target) in raised.value.message
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_other_errors_of_the_operating_system_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), writing(tmp_path):
        tmp_path.open("w")


def test_a_full_device_is_told_by_its_path() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(BackendctlError) as raised, writing(full), full.open("wb", 0) as file:
        file.write(b"x")
    assert raised.value.code == "platform.disk-full"


def test_a_report_takes_a_free_place_or_that_of_an_earlier_report(tmp_path: Path) -> None:
    refuse_foreign(tmp_path / "new.html", MARK)
    earlier = tmp_path / "earlier.html"
    earlier.write_text(render(Page("title", "verdict", "good", ())))
    refuse_foreign(earlier, MARK)


def test_a_report_replaces_nothing_that_somebody_else_wrote(tmp_path: Path) -> None:
    mine = tmp_path / "backend.toml"
    mine.write_text("[service]")
    link = tmp_path / "link"
    link.symlink_to("nowhere")
    for path in (mine, link, tmp_path, tmp_path / "absent" / "report.html"):
        with pytest.raises(BackendctlError) as raised:
            refuse_foreign(path, MARK)
        assert raised.value.code == "usage"
    assert mine.read_text() == "[service]"
