"""Runs one command for as long as whoever asked for it lives; a program of its own.

Its standard input is a pipe that the asker holds open. When the pipe closes, because the asker
wants the command gone or was itself killed, the command's whole process group is ended: a
migration must not go on unseen after `kill -9` of the run that began it. It exits as the command
did. Only the standard library, and run with `-I -S`, so that it starts in about 10 ms.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

GRACE = 5.0
"""Seconds between the polite signal and the final one."""

NOT_FOUND = 127
NOT_EXECUTABLE = 126


def guarded(argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` under this program; its standard input is the lifeline."""
    return [sys.executable, "-I", "-S", __file__, *argv]


def main(argv: list[str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A handler, not SIG_IGN: the command would inherit that.
        signal.signal(number, lambda *_: None)
    try:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, process_group=0)
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", flush=True)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
    ended = threading.Event()
    threading.Thread(target=_watch, args=(child.pid, ended), daemon=True).start()
    status = child.wait()
    ended.set()
    _signal(child.pid, signal.SIGKILL)
    return _as(status)


def _watch(group: int, ended: threading.Event) -> None:
    while os.read(0, 1024):
        pass
    _signal(group, signal.SIGTERM)
    if not ended.wait(GRACE):
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _as(status: int) -> int:
    """End as the command did, by the same signal if it was one."""
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -status not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
