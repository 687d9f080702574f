"""Processes under supervision: crashing, stubborn, orphaned, changed."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendctl.platforms.local import launch
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.supervisor import Program, ProgramState, Supervisor
from tests.waiting import eventually

pytestmark = pytest.mark.faults

_PATH = {"PATH": os.environ["PATH"]}


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    found = Supervisor(Layout(tmp_path, "local").create().home)
    try:
        yield found
    finally:
        found.shutdown()


def shell(name: str, script: str, folder: Path, grace: float = 5.0, **variables: str) -> Program:
    return Program(
        name, ("/bin/sh", "-c", script), folder, {**_PATH, **variables}, stop_grace=grace
    )


def pid_of(supervisor: Supervisor, name: str) -> int | None:
    status = supervisor.status(name)
    return status.pid if status else None


def log_of(supervisor: Supervisor, name: str) -> str:
    path = supervisor.home / "logs" / f"{name}.log"
    return path.read_text() if path.exists() else ""


def test_a_program_has_the_environment_it_was_given_and_no_other(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_CALLER", "must not leak")
    dump = "print(json.dumps(dict(os.environ)), flush=True)"
    program = Program(
        "env",
        (sys.executable, "-c", f"import json,os,time; {dump}; time.sleep(60)"),
        tmp_path,
        {"TOKEN": "se cret%;#\n'\"", **_PATH},
    )
    supervisor.start(program)
    assert eventually(lambda: log_of(supervisor, "env").endswith("}\n"))
    seen = json.loads(log_of(supervisor, "env"))
    seen.pop("LC_CTYPE", None)  # Python's own
    assert seen == {"TOKEN": "se cret%;#\n'\"", **_PATH}


def test_a_program_that_crashes_for_ever_shows_it_and_does_not_burn_the_machine(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(shell("bad", "echo start; exit 3", tmp_path))
    assert eventually(lambda: supervisor.status("bad").restarts >= 1)  # type: ignore[union-attr]
    status = supervisor.status("bad")
    assert status is not None
    assert status.state in (ProgramState.BACKOFF, ProgramState.STARTING)
    assert eventually(lambda: supervisor.status("bad").exit_status == 3)  # type: ignore[union-attr]
    assert log_of(supervisor, "bad").count("start") <= 3


def test_starting_an_unchanged_program_again_leaves_it_alone(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    program = shell("web", "exec sleep 60", tmp_path)
    supervisor.start(program)
    assert eventually(lambda: pid_of(supervisor, "web") is not None)
    before = pid_of(supervisor, "web")
    supervisor.start(program)
    supervisor.ensure()
    assert pid_of(supervisor, "web") == before


def test_a_changed_program_is_replaced_and_the_others_are_left_alone(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(shell("one", "exec sleep 60", tmp_path))
    supervisor.start(shell("two", "exec sleep 60", tmp_path))
    assert eventually(lambda: None not in (pid_of(supervisor, "one"), pid_of(supervisor, "two")))
    one, two = pid_of(supervisor, "one"), pid_of(supervisor, "two")
    supervisor.start(shell("two", "exec sleep 61", tmp_path))
    assert eventually(lambda: pid_of(supervisor, "two") not in (None, two))
    supervisor.stop("two")
    assert pid_of(supervisor, "one") == one
    assert supervisor.programs().keys() == {"one"}


def test_a_stubborn_program_is_killed_with_its_children_after_its_grace(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    script = "trap '' TERM; sleep 60 & echo $!; wait; sleep 60"
    supervisor.start(shell("stubborn", script, tmp_path, grace=1))
    assert eventually(lambda: log_of(supervisor, "stubborn").strip().isdigit())
    child = int(log_of(supervisor, "stubborn"))
    began = time.monotonic()
    supervisor.stop("stubborn")
    assert 0.9 < time.monotonic() - began < 5
    assert eventually(lambda: launch.identity(child) is None)


def test_the_polite_signal_goes_to_the_first_process_only(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """A server's parent ends its workers in its own order."""
    child = "trap 'echo child was told' TERM; sleep 60 & wait"
    script = f"""/bin/sh -c "{child}" & trap 'echo parent was told; exit 0' TERM; echo up; wait"""
    supervisor.start(shell("server", script, tmp_path))
    assert eventually(lambda: "up" in log_of(supervisor, "server"))
    supervisor.stop("server")
    assert "parent was told" in log_of(supervisor, "server")
    assert "child was told" not in log_of(supervisor, "server")


def test_orphans_of_a_dead_supervisor_are_adopted_write_on_and_can_be_stopped(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    ticking = "trap 'echo bye; exit 0' TERM; while :; do echo tick; sleep 0.05; done"
    supervisor.start(shell("ticker", ticking, tmp_path))
    assert eventually(lambda: "tick" in log_of(supervisor, "ticker"))
    before = pid_of(supervisor, "ticker")
    os.kill(int((supervisor.home / "run" / "supervisord.pid").read_text()), signal.SIGKILL)
    assert eventually(lambda: not supervisor.running())
    assert pid_of(supervisor, "ticker") == before
    ticks = log_of(supervisor, "ticker").count("tick")
    assert eventually(lambda: log_of(supervisor, "ticker").count("tick") > ticks)
    supervisor.ensure()
    assert pid_of(supervisor, "ticker") == before
    supervisor.stop("ticker")
    assert log_of(supervisor, "ticker").endswith("bye\n")
    assert before is not None
    assert launch.identity(before) is None


def test_shutdown_ends_orphans_of_a_dead_supervisor_too(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(shell("web", "exec sleep 60", tmp_path))
    assert eventually(lambda: pid_of(supervisor, "web") is not None)
    web = pid_of(supervisor, "web")
    assert web is not None
    os.kill(int((supervisor.home / "run" / "supervisord.pid").read_text()), signal.SIGKILL)
    assert eventually(lambda: not supervisor.running())
    supervisor.shutdown()
    assert launch.identity(web) is None
    assert supervisor.programs() == {}


def test_a_supervisor_that_hangs_is_replaced_without_disturbing_its_programs(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backendctl.platforms.local.supervisor_rpc._TIMEOUT", 0.5)
    supervisor.start(shell("web", "exec sleep 60", tmp_path))
    assert eventually(lambda: pid_of(supervisor, "web") is not None)
    web = pid_of(supervisor, "web")
    hung = int((supervisor.home / "run" / "supervisord.pid").read_text())
    os.kill(hung, signal.SIGSTOP)
    supervisor.ensure()
    assert launch.identity(hung) is None
    assert pid_of(supervisor, "web") == web
    assert supervisor.running()


def test_a_program_that_does_not_exist_says_so_in_its_log(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(Program("ghost", ("/no/such/program",), tmp_path, _PATH))
    assert eventually(lambda: "No such file" in log_of(supervisor, "ghost"))
    assert eventually(lambda: pid_of(supervisor, "ghost") is None)


def test_a_log_that_grows_is_rotated_while_its_program_writes(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    program = Program(
        "chatty",
        (
            sys.executable,
            "-c",
            "import time\nline = 'x' * 1023\n"
            "for _ in range(12 * 1024): print(line)\n"
            "while True: print('after', flush=True); time.sleep(0.1)",
        ),
        tmp_path,
        _PATH,
    )
    supervisor.start(program)
    rotated = supervisor.home / "logs" / "chatty.log.1"
    assert eventually(rotated.exists)
    assert rotated.stat().st_size > 10 << 20
    assert eventually(lambda: "after" in log_of(supervisor, "chatty"))
