"""One-off commands: their lines, their end, and that nothing of them stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from backendctl.platforms.base import JobResult
from backendctl.platforms.local.jobs import TIMED_OUT, run
from tests.waiting import eventually


def shell(
    script: str, tmp_path: Path, deadline: float = 20.0, lines: list[str] | None = None
) -> JobResult:
    seen = [] if lines is None else lines
    return run(["sh", "-c", script], tmp_path, dict(os.environ), deadline, seen.append)


def gone(pid_file: Path) -> bool:
    """Whether the process whose pid is in the file ends within five seconds."""

    def ended() -> bool:
        text = pid_file.read_text().strip() if pid_file.exists() else ""
        try:
            return bool(text) and psutil.Process(int(text)).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return eventually(ended, 5)


@pytest.mark.parametrize(
    ("script", "status"),
    [("true", 0), ("exit 3", 3), ("kill -9 $$", -9), ("kill -TERM $$", -15)],
)
def test_the_exit_status_is_the_commands_own(script: str, status: int, tmp_path: Path) -> None:
    assert shell(script, tmp_path).exit_status == status


def test_a_program_that_is_not_there_is_said_as_a_shell_would(tmp_path: Path) -> None:
    done = run(["nowhere-to-be-found"], tmp_path, {"PATH": "/usr/bin"}, 5, lambda _line: None)
    assert done.exit_status == 127
    assert "nowhere-to-be-found" in done.tail[0]


def test_lines_come_from_both_outputs_in_order_and_the_last_ones_are_kept(tmp_path: Path) -> None:
    seen: list[str] = []
    done = shell("echo one; echo two >&2; printf three", tmp_path, lines=seen)
    assert seen == ["one", "two", "three"] == list(done.tail)
    assert len(shell("seq 500", tmp_path).tail) == 40


def test_a_line_without_end_is_passed_on_in_pieces(tmp_path: Path) -> None:
    seen: list[str] = []
    shell("head -c 20000 /dev/zero | tr '\\0' x", tmp_path, lines=seen)
    assert "".join(seen) == "x" * 20000
    assert len(seen) > 1


def test_the_command_gets_exactly_the_environment_it_is_given(tmp_path: Path) -> None:
    seen: list[str] = []
    run(["/usr/bin/env"], tmp_path, {"ONLY": "this"}, 5, seen.append)
    # The C library and Python may add their own locale setting.
    assert [line for line in seen if not line.startswith("LC_CTYPE=")] == ["ONLY=this"]


def test_at_the_deadline_the_whole_group_is_ended(tmp_path: Path) -> None:
    script = f"(sleep 60 & echo $! > {tmp_path}/pid; wait) & sleep 61"
    done = shell(script, tmp_path, deadline=0.5)
    assert done.exit_status == TIMED_OUT
    assert gone(tmp_path / "pid")


def test_what_a_command_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    assert shell(f"sleep 60 & echo $! > {tmp_path}/pid", tmp_path).exit_status == 0
    assert gone(tmp_path / "pid")


def test_an_interrupt_ends_the_command_and_goes_on_up(tmp_path: Path) -> None:
    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    # It takes half a second to end, and is over all the same when the interrupt goes on.
    ending = "trap 'sleep .5; touch ended; exit 0' TERM"
    script = f"{ending}; echo $$ > pid; echo ready; while :; do sleep .05; done"
    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", script], tmp_path, dict(os.environ), 20, interrupt)
    assert (tmp_path / "ended").exists()
    assert gone(tmp_path / "pid")


@pytest.mark.faults
def test_a_command_does_not_outlive_the_kill_of_whoever_ran_it(tmp_path: Path) -> None:
    script = (
        "import os; from pathlib import Path\n"
        "from backendctl.platforms.local.jobs import run\n"
        f"run(['sh', '-c', 'echo $$ > pid; echo up; sleep 60'], Path({str(tmp_path)!r}),"
        " dict(os.environ), 60, lambda line: print(line, flush=True))\n"
    )
    runner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert runner.stdout is not None
    assert runner.stdout.readline() == b"up\n"
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    runner.stdout.close()
    assert gone(tmp_path / "pid")
