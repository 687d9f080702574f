"""Logs, read and followed across their rotation."""

from collections.abc import Callable
from pathlib import Path

from backendctl.platforms.local.loglines import follow, last_lines
from backendctl.platforms.local.supervision import rotate


class Script:
    """A clock whose waits are occasions for things to happen."""

    def __init__(self, *happenings: Callable[[], object]) -> None:
        self._happenings = list(happenings)

    def going(self) -> bool:
        return bool(self._happenings)

    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    def wait(self, seconds: float) -> None:
        self._happenings.pop(0)()


def writer(log: Path, text: str) -> Callable[[], object]:
    def write() -> None:
        with log.open("a") as file:
            file.write(text)

    return write


def test_the_last_lines_come_from_the_rotated_log_too(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.with_name("x.log.1").write_text("1\n2\n3\n")
    log.write_text("4\n5\n")
    assert last_lines(log, 3) == ["3", "4", "5"]
    assert last_lines(log, 0) == []
    assert last_lines(tmp_path / "none.log", 3) == []


def test_lines_are_followed_once_they_are_whole(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("old\n")
    script = Script(writer(log, "a\nb"), writer(log, "c\n"), lambda: None)
    assert list(follow([log], script, script.going)) == ["a", "bc"]


def test_following_begins_before_the_log_exists(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    script = Script(writer(log, "first\n"))
    assert list(follow([log], script, script.going)) == ["first"]


def test_no_line_is_lost_when_the_log_is_rotated(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("old\n")

    def write_and_rotate() -> None:
        writer(log, "before\n" * 3)()
        assert rotate(log, limit=1)
        writer(log, "after\n")()

    script = Script(writer(log, "seen\n"), write_and_rotate, writer(log, "end\n"))
    found = list(follow([log], script, script.going))
    assert found == ["seen", "before", "before", "before", "after", "end"]


def test_several_logs_are_told_apart(tmp_path: Path) -> None:
    logs = [tmp_path / "0.log", tmp_path / "1.log"]
    script = Script(writer(logs[1], "b\n"), writer(logs[0], "a\n"))
    assert list(follow(logs, script, script.going)) == ["[1] b", "[0] a"]
