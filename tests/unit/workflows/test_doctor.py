"""What stands in the way is named with what to do about it."""

from collections import namedtuple
from pathlib import Path

import pytest

from backendctl.workflows import doctor
from backendctl.workflows.doctor import DISK_NEEDED, DISK_WANTED
from backendctl.workflows.doctor_check import Level

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("free", "level"),
    [
        (DISK_WANTED, Level.OK),
        (DISK_WANTED - 1, Level.WARNING),
        (DISK_NEEDED - 1, Level.FAILED),
    ],
)
def test_a_disk_on_which_nothing_can_be_written_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: Level
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(DISK_WANTED, 0, free))
    checks = {check.name: check for check in doctor.examine(tmp_path, None)}
    assert checks["disk"].level is level


def test_what_is_well_asks_for_nothing(tmp_path: Path) -> None:
    checks = doctor.examine(tmp_path, None)
    assert {check.name for check in checks if check.level is Level.OK} >= {"python", "folder"}
    assert [check for check in checks if check.level is Level.OK and check.next] == []
