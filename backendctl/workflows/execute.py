"""`backendctl exec`: a command where the serving release runs."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Invocation
from backendctl.rollout.history import serving
from backendctl.workflows.environment import Opened
from backendctl.workflows.up import find_release


def execute(opened: Opened, argv: Sequence[str], output: int | None = None) -> tuple[int, int]:
    """Run `argv` in the serving release's surroundings, on this terminal.

    `output` is the file descriptor that takes its standard output, if not ours.

    Returns the release and the command's exit status (128 + signal when killed by one, as a shell
    says it). Raises `missing.environment` when no release serves.
    """
    stable = serving(opened.platform.store).stable
    if stable is None:
        raise BackendctlError(
            "missing.environment",
            f"no release serves in environment {opened.environment.name!r}",
            state="nothing was run",
            next=(f"backendctl up --env {opened.environment.name}",),
        )
    release = find_release(opened, stable)
    return stable, run(opened.platform.runtime.in_release(release, argv), output)


def run(invocation: Invocation, output: int | None = None) -> int:
    """Run a command as a shell does: signals are its own affair. Returns its exit status."""
    with (
        _passing_on_signals() as to,
        subprocess.Popen(
            invocation.argv,
            cwd=invocation.directory,
            env=dict(invocation.environment),
            stdout=output,
        ) as process,
    ):
        to(process)
        status = process.wait()
    return status if status >= 0 else 128 - status


@contextmanager
def _passing_on_signals() -> "Iterator[Callable[[subprocess.Popen[bytes]], None]]":
    """Ctrl-C in `psql` cancels a query and not `psql`; SIGTERM to us is for the command.

    From before the command starts, so that no signal ends us and leaves it running; what comes
    that early is passed on as soon as the command is named.
    """
    running: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def pass_on(signum: int, _frame: FrameType | None) -> None:
        if signum == signal.SIGINT and sys.stdin.isatty():
            return  # the terminal has sent it to the command already
        if not running:
            early.append(signum)
        for process in running:
            process.send_signal(signum)

    def to(process: "subprocess.Popen[bytes]") -> None:
        running.append(process)
        for signum in early:
            process.send_signal(signum)

    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former = {each: signal.signal(each, pass_on) for each in handled}
    try:
        yield to
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)
