"""One-off commands: run to the end, to a deadline, or until interrupted; nothing stays behind."""

import os
import selectors
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from backendctl.platforms.base import JobResult, OnLine
from backendctl.platforms.local.lifeline import guarded

TIMED_OUT = 124
"""Exit status of a command that was ended at its deadline, as `timeout` says it."""

TAIL = 40
"""Last lines of output that are kept."""

LONGEST_LINE = 8192
"""Bytes; a longer one is passed on in pieces."""


def run(
    argv: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    deadline: float,
    on_line: OnLine,
) -> JobResult:
    """Run `argv` with exactly that environment, passing on each line it prints.

    After `deadline` seconds, or when an exception (an interrupt) passes through here, the whole
    process group gets SIGTERM and, a grace later, SIGKILL. A command that is not there exits 127.
    """
    began = time.monotonic()
    tail: deque[str] = deque(maxlen=TAIL)
    # lifeline.py, not a plain child: it ends the command when this process is killed outright.
    with subprocess.Popen(
        guarded(argv),
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None  # noqa: S101 - as asked for above
        assert process.stdout is not None  # noqa: S101
        timed_out = False
        try:
            for line in _lines(process.stdout.fileno(), began + deadline):
                if line is None:
                    timed_out = True
                    break
                tail.append(line)
                on_line(line)
        except BaseException:
            process.stdin.close()
            process.wait()  # `with` alone would not, on Ctrl-C: nothing may still be at work
            raise
        process.stdin.close()
        if timed_out:
            for line in _lines(process.stdout.fileno(), None):
                if line is not None:
                    tail.append(line)
        status = process.wait()
    return JobResult(TIMED_OUT if timed_out else status, time.monotonic() - began, tuple(tail))


def _lines(handle: int, until: float | None) -> Iterator[str | None]:
    """Each line as it comes, up to the end of the output; None once `until` has passed."""
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(handle, selectors.EVENT_READ)
        while True:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                yield None
                return
            if not selector.select(left):
                continue
            chunk = os.read(handle, 65536)
            *whole, pending = (pending + chunk).split(b"\n")
            while len(pending) >= LONGEST_LINE:
                whole.append(pending[:LONGEST_LINE])
                pending = pending[LONGEST_LINE:]
            for line in whole:
                yield line.decode(errors="replace").rstrip("\r")
            if not chunk:
                if pending:
                    yield pending.decode(errors="replace")
                return
