"""Reading the logs of processes, across their rotation (see supervision.rotate)."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from backendctl.clock import Clock

_PAUSE = 0.2
"""Seconds between looks at a log that is followed."""


def last_lines(log: Path, count: int) -> list[str]:
    """The last `count` lines, oldest first, from the log and, if it is short, the one before."""
    found: deque[str] = deque(maxlen=max(0, count))
    for path in (log.with_name(f"{log.name}.1"), log):
        if path.exists():
            with path.open(errors="replace") as file:
                found.extend(line.rstrip("\r\n") for line in file)
    return list(found)


def follow(logs: Sequence[Path], clock: Clock, going: Callable[[], bool]) -> Iterator[str]:
    """Lines written from now on, while `going()` says that there may be more.

    Several logs are told apart by their number in front of each line.
    """
    tails = [_Tail(log) for log in logs]
    last = False
    while True:
        quiet = True
        for index, tail in enumerate(tails):
            for line in tail.new_lines():
                quiet = False
                yield numbered(index, line, len(logs))
        if last:
            return
        if quiet:
            last = not going()
            if not last:
                clock.wait(_PAUSE)


def numbered(index: int, line: str, of: int) -> str:
    """The line, with the number of its process in front when there are several."""
    return f"[{index}] {line}" if of > 1 else line


class _Tail:
    """One log, read from its present end."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._position = log.stat().st_size if log.exists() else 0
        self._pending = b""

    def new_lines(self) -> list[str]:
        *whole, self._pending = (self._pending + self._new_bytes()).split(b"\n")
        return [line.decode(errors="replace").rstrip("\r") for line in whole]

    def _new_bytes(self) -> bytes:
        try:
            handle = os.open(self._log, os.O_RDONLY)
        except FileNotFoundError:
            return b""
        try:
            found = b""
            if os.fstat(handle).st_size < self._position:
                # Copied to .1 and cut: what was not read yet is at the end of the copy.
                found = self._rest_of_copy()
                self._position = 0
            os.lseek(handle, self._position, os.SEEK_SET)
            while chunk := os.read(handle, 1 << 16):
                found += chunk
                self._position += len(chunk)
            return found
        finally:
            os.close(handle)

    def _rest_of_copy(self) -> bytes:
        copy = self._log.with_name(f"{self._log.name}.1")
        if not copy.exists():
            return b""
        with copy.open("rb") as file:
            file.seek(self._position)
            return file.read()
