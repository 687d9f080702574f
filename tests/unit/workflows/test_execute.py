"""`exec` is to its command what a shell is."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backendctl.platforms.base import Invocation
from backendctl.workflows.execute import run


def invocation(script: str, folder: Path) -> Invocation:
    return Invocation(("sh", "-c", script), folder, {"PATH": "/usr/bin:/bin"})


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_the_exit_status_is_that_of_the_command(tmp_path: Path, script: str, status: int) -> None:
    assert run(invocation(script, tmp_path)) == status


def test_output_can_be_kept_off_ours(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        run(invocation("echo hello", tmp_path), out.fileno())
    assert (tmp_path / "out").read_text() == "hello\n"


CARRYING_ON = """
import sys
from pathlib import Path
from backendctl.platforms.base import Invocation
from backendctl.workflows.execute import run
script = "trap 'exit 7' INT TERM HUP; echo ready; while :; do sleep 0.05; done"
sys.exit(run(Invocation(("sh", "-c", script), Path("."), {"PATH": "/usr/bin:/bin"})))
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_the_affair_of_the_command(tmp_path: Path, signum: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CARRYING_ON],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signum)
        assert process.wait(30) == 7
