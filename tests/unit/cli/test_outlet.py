"""A reader who goes away changes neither what a command does nor how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backendctl.errors import Exit

RELEASE = """
import typer
from pathlib import Path
from backendctl.cli import main
from backendctl.cli.contract import Answer, command, register
from backendctl.errors import BackendctlError

@command()
def release(session, ok: bool = True) -> Answer:
    '''Tells of its work, does it, and ends as told.'''
    with session.step("work"):
        for number in range(50):
            session.line(f"line {number}" + 2000 * "x")
            session.emit("progress", {"number": number})
    Path("done").touch()
    if ok:
        return Answer(text="good")
    raise BackendctlError("rollout.rolled-back", "no")

app = typer.Typer()
app.callback()(lambda: None)
register(app, release)
main.application = lambda: app
main.main()
"""


def ending(folder: Path, *words: str, **streams: int) -> int:
    """The command's exit status with its output on the given descriptors."""
    to = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **streams}
    done = subprocess.run(
        [sys.executable, "-c", RELEASE, "release", *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=to["stdout"],
        stderr=to["stderr"],
        timeout=30,
    )
    return done.returncode


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("form", ["text", "json", "jsonl"])
@pytest.mark.parametrize(("wish", "status"), [("--ok", Exit.OK), ("--no-ok", Exit.NO)])
def test_the_work_is_done_and_the_exit_status_is_true_without_a_reader(
    tmp_path: Path, stream: str, form: str, wish: str, status: Exit
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert ending(tmp_path, wish, "--output", form, **{stream: writer}) == status
    finally:
        os.close(writer)
    assert (tmp_path / "done").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_an_answer_that_does_not_fit_on_the_disk_is_no_success(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        status = ending(tmp_path, "--output", "json", stdout=full.fileno())
    assert status == Exit.MISSING
    assert (tmp_path / "done").exists()


TROUBLED = """
import os, signal
import typer
from backendctl.cli import main
from backendctl.cli.contract import command, register

@command()
def hang(session):
    '''Its terminal is closed.'''
    os.kill(os.getpid(), signal.SIGHUP)
    signal.pause()

@command()
def ask(session):
    '''A server hangs up on it.'''
    raise BrokenPipeError(32, "Broken pipe")

app = typer.Typer()
register(app, hang, ask)
main.application = lambda: app
main.main()
"""


@pytest.mark.parametrize(("word", "status"), [("hang", Exit.INTERRUPTED), ("ask", Exit.BUG)])
def test_a_lost_terminal_or_connection_is_answered_for(
    tmp_path: Path, word: str, status: Exit
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TROUBLED, word, "--output", "json"],
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
    )
    assert done.returncode == json.loads(done.stdout)["exit"] == status
