"""Running a tool: its lines as they come, its end, and never a secret in what is kept of it."""

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from backendctl.platforms.base import OnLine
from backendctl.platforms.images.tools import Command

KEPT = 400
"""Last lines of output that are kept."""
POLITE = 10.0
"""Seconds a tool has to end once it was told to."""
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    status: int
    lines: tuple[str, ...]
    """The last of its output, oldest first."""

    def tail(self, count: int) -> str:
        return "\n".join([line for line in self.lines if line][-count:])

    def says(self, pattern: str) -> bool:
        """Whether the output matches, in any case of letters."""
        return re.search(pattern, "\n".join(self.lines), re.IGNORECASE) is not None


def run(command: Command, on_line: OnLine, hide: Sequence[str] = ()) -> Ended:
    """Run it to its end, or end it when this process is told to stop.

    `hide`: values that are masked wherever they come up in its output. Raises FileNotFoundError
    if there is no such program.
    """
    process = subprocess.Popen(
        command.argv,
        env={**os.environ, **command.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is ours to handle: it has children of its own
    )
    kept: list[str] = []
    secret = sorted(filter(None, hide), key=len, reverse=True)
    try:
        if process.stdout is None:
            raise AssertionError("its output is a pipe")
        with process.stdout as output:
            for raw in output:
                line = _clean(raw.decode(errors="replace"))
                for value in secret:
                    line = line.replace(value, HIDDEN)
                on_line(line)
                kept = [*kept[1 - KEPT :], line]
        return Ended(process.wait(), tuple(kept))
    except BaseException:
        _end(process)
        raise


def _clean(raw: str) -> str:
    """What a terminal would show of it in the end."""
    return _CONTROL.sub("", raw.rstrip("\r\n")).rpartition("\r")[2].rstrip()


def _end(process: "subprocess.Popen[bytes]") -> None:
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        try:
            process.wait(POLITE)
        except subprocess.TimeoutExpired:
            continue
        return
