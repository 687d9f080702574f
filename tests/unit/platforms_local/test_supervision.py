"""What the supervisor decides and leaves on disk; that it works is shown with real processes."""

import configparser
import json
import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from backendctl.platforms.local import launch, supervision
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.supervisor import Program, Supervisor
from backendctl.platforms.local.supervisord import configuration, last_end
from tests.waiting import eventually


def test_a_log_under_the_limit_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_bytes(b"x" * 10)
    assert supervision.rotate(log, limit=10) is False
    assert list(tmp_path.iterdir()) == [log]


def test_a_log_over_the_limit_moves_on_and_its_writer_goes_on_in_the_same_file(
    tmp_path: Path,
) -> None:
    log = tmp_path / "web.log"
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "wb", 0) as writer:
        for generation in range(6):
            writer.write(f"{generation}".encode() * 20)
            assert supervision.rotate(log, limit=10, kept=3) is True
        writer.write(b"last")
    kept = {path.name: path.read_text()[0] for path in tmp_path.iterdir()}
    assert kept == {"web.log": "l", "web.log.1": "5", "web.log.2": "4", "web.log.3": "3"}
    assert stat.S_IMODE((tmp_path / "web.log.1").stat().st_mode) == 0o600


def test_a_log_that_cannot_be_copied_keeps_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "web.log"
    log.write_bytes(b"x" * 100)

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(supervision.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space"):
        supervision.rotate(log, limit=10)
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == {"web.log": 100}


def test_a_process_is_known_by_more_than_its_pid() -> None:
    own = launch.identity(os.getpid())
    assert own is not None
    assert launch.lives({"pid": os.getpid(), "identity": own})
    assert not launch.lives({"pid": os.getpid(), "identity": f"{launch.boot()} 1"})
    assert not launch.lives({})


def test_what_is_left_of_a_dead_programs_group_is_killed_and_nobody_else() -> None:
    leader = subprocess.Popen(
        ["/bin/sh", "-c", "sleep 60 & echo $!; exec sleep 60"],
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert leader.stdout is not None
    child = int(leader.stdout.readline())
    record = {"pid": leader.pid, "identity": launch.identity(leader.pid)}
    later = {**record, "identity": f"{launch.boot()} 1"}
    launch.kill_left_group(later)  # that pid is somebody else's now: hands off
    assert leader.poll() is None
    leader.kill()
    leader.wait()
    assert launch.identity(child) is not None
    launch.kill_left_group({**record, "identity": "another-boot 1"})
    assert launch.identity(child) is not None
    launch.kill_left_group(record)
    assert eventually(lambda: launch.identity(child) is None)


def test_the_configuration_holds_no_secret_and_no_path_of_the_project(tmp_path: Path) -> None:
    layout = Layout(Path("/srv/50% [odd] ;path"), "local")
    body = Supervisor(layout.home)._program_file(
        Program("web", ("serve",), tmp_path, {"TOKEN": "hunter2"}, stop_signal="INT")
    )
    text = configuration(layout, {"web": json.loads(body)})
    assert "hunter2" not in text
    assert "odd" not in text
    parsed = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parsed.read_string(text)
    assert parsed["program:web"]["stopsignal"] == "INT"
    assert parsed["program:web"]["autorestart"] == "true"
    assert parsed["unix_http_server"]["chmod"] == "0600"


def test_a_program_file_changes_with_anything_the_process_would_notice(tmp_path: Path) -> None:
    supervisor = Supervisor(Layout(tmp_path, "local").home)
    base = Program("web", ("serve", "1"), tmp_path, {"A": "1"})
    others = (
        Program("web", ("serve", "2"), tmp_path, {"A": "1"}),
        Program("web", ("serve", "1"), tmp_path / "x", {"A": "1"}),
        Program("web", ("serve", "1"), tmp_path, {"A": "2"}),
        Program("web", ("serve", "1"), tmp_path, {"A": "1"}, stop_signal="QUIT"),
    )
    digests = {json.loads(supervisor._program_file(p))["digest"] for p in (base, *others)}
    assert len(digests) == 5
    again = Program("web", ("serve", "1"), tmp_path, {"A": "1"})
    assert supervisor._program_file(again) == supervisor._program_file(base)


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("WARN exited: web (exit status 3; not expected)", 3, "exit status 3"),
        ("INFO exited: web (exit status 0; expected)", 0, "exit status 0"),
        ("WARN exited: web (terminated by SIGKILL; not expected)", -9, "killed by SIGKILL"),
        ("INFO stopped: web (terminated by SIGTERM)", -15, "killed by SIGTERM"),
        ("WARN exited: web-2 (exit status 3; not expected)", None, ""),
        ("", None, ""),
    ],
)
def test_how_a_program_ended_is_found_in_the_supervisors_log(
    line: str, status: int | None, words: str
) -> None:
    log = (
        f"INFO exited: web (exit status 9; not expected)\n{line}\n" if status is not None else line
    )
    assert last_end(log, "web") == (status, words)


def test_stop_signals_are_those_of_the_system(tmp_path: Path) -> None:
    body = Supervisor(Layout(tmp_path, "local").home)._program_file(
        Program("db", ("serve",), tmp_path, stop_signal="INT")
    )
    assert json.loads(body)["stop_signal"] == signal.SIGINT
