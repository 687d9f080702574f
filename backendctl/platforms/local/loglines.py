"""Reading the logs of processes, across their rotation (see supervision.rotate)."""

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
    tails = [Tail(log) for log in logs]
    last = False
    while True:
        quiet = True
        for index, tail in enumerate(tails):
            for line in tail.new_lines():
                quiet = False
                yield numbered(index, line.decode(errors="replace"), len(logs))
        if last:
            return
        if quiet:
            last = not going()
            if not last:
                clock.wait(_PAUSE)


def numbered(index: int, line: str, of: int) -> str:
    """The line, with the number of its process in front when there are several."""
    return f"[{index}] {line}" if of > 1 else line


class Tail:
    """One log, read from its present end on, across rotation; a line counts once it is whole."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._copy = log.with_name(f"{log.name}.1")
        self._position = log.stat().st_size if log.exists() else 0
        self._mark = _beginning(log, self._position)
        self._known_copy = _identity(self._copy)
        self._cut = False
        self._pending = b""

    def new_lines(self) -> list[bytes]:
        """Lines that ended since the last call, without their ends; none where there is no log."""
        *whole, self._pending = (self._pending + self._new_bytes()).split(b"\n")
        return [line.rstrip(b"\r") for line in whole]

    def _new_bytes(self) -> bytes:
        if not self._log.exists():
            return b""
        found, copy = b"", _identity(self._copy)
        fresh_copy = copy is not None and copy != self._known_copy
        self._known_copy = copy
        cut = _beginning(self._log, self._position) != self._mark
        if cut and not fresh_copy and not self._cut:
            self._cut = True  # it may have been cut this moment, and get its copy the next
            return b""
        self._cut = False
        if cut or fresh_copy:
            # Copied to .1 and cut: what was not read yet is at the end of the copy.
            if fresh_copy and _beginning(self._copy, self._position) == self._mark:
                found = _rest(self._copy, self._position)
            self._position = 0
        found += (fresh := _rest(self._log, self._position))
        self._position += len(fresh)
        self._mark = _beginning(self._log, self._position)
        return found


_MARK_BYTES = 256
"""A log is told from the one after it by so many of its first bytes: they hold a time."""


def _beginning(log: Path, size: int) -> bytes:
    """The first bytes of what had been read when the log was `size` bytes long."""
    try:
        with log.open("rb") as file:
            return file.read(min(size, _MARK_BYTES))
    except FileNotFoundError:
        return b""


def _identity(log: Path) -> int | None:
    """Another number for each file that bears the name."""
    try:
        return log.stat().st_ino
    except FileNotFoundError:
        return None


def _rest(log: Path, position: int) -> bytes:
    with log.open("rb") as file:
        file.seek(position)
        return file.read()
