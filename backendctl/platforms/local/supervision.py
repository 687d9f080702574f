"""What runs inside supervisord, as an extension by its `rpcinterface` plug-in point.

Four things supervisord does not do itself:
- It looks at its children once a second. Here the signal of a child's end wakes it at once, so a
  killed gateway is back after its own start-up time.
- Its waits between restarts grow for ever, or it gives up. Here they stop growing at
  `LONGEST_BACKOFF`, and a program that is wanted is tried until it is stopped.
- It rotates only logs that pass through its own pipes, which break when it dies. Ours are written
  by the programs; they are rotated by copy and truncate, which O_APPEND makes safe.
- It goes on polling the descriptor of a closed connection. Once that number is a child's standard
  input, whose other end our programs close, poll() returns at once for ever: a core is busy.
"""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from supervisor import events

LONGEST_BACKOFF = 30
"""Seconds; supervisord adds one per failed start."""
ROTATE_BYTES = 10 << 20
KEPT_LOGS = 4
REQUESTS_BYTES = 4 << 20
"""About 15,000 lines."""
REQUESTS_KEPT = 7 * 86400.0
_FIRST_TIME = re.compile(rb'"at": ?"?(\d+\.\d+)')
_LINE = 1024

_PIPE_READ = 4096


class _Wake:
    """A pipe in supervisord's loop: whatever is written to it ends the present wait."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        os.set_blocking(self.write_end, False)

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full: a wake-up is already on its way
            os.write(self.write_end, b"w")

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.read_end, _PIPE_READ)

    def handle_error(self) -> None:
        raise OSError("the wake-up pipe of supervisord broke")


class _NoMethods:
    """The RPC name space the plug-in point asks for; ours adds no method."""


def make(supervisord: Any, **config: str) -> _NoMethods:
    """Called by supervisord as it starts; `programs` is the folder of program files, `requests`
    the gateway's log of requests."""
    wake = _Wake()
    supervisord.options.get_socket_map()[wake.read_end] = wake
    signal.set_wakeup_fd(wake.write_end, warn_on_full_buffer=False)
    programs = Path(config["programs"])
    forget_broken(supervisord.options.poller)

    def after_end(event: Any) -> None:
        event.process.backoff = min(event.process.backoff, LONGEST_BACKOFF - 1)
        wake.wake()

    events.subscribe(events.ProcessStateBackoffEvent, after_end)
    events.subscribe(events.ProcessStateExitedEvent, after_end)
    events.subscribe(events.Tick5Event, lambda _event: rotate_all(programs))
    requests = Path(config["requests"])
    events.subscribe(events.Tick5Event, lambda _event: rotate_requests(requests))
    return _NoMethods()


def forget_broken(poller: Any) -> None:
    """Make supervisord's poller let go of a descriptor that has nothing but an error to report.

    Its loop registers every descriptor it wants again before each wait, so none is lost.
    """
    if not hasattr(poller, "_poll_fds"):
        return  # select and kqueue do not report such a descriptor
    poll_fds = poller._poll_fds

    def steady(timeout: float) -> list[tuple[int, int]]:
        sound = []
        for fd, found in poll_fds(timeout):
            if found & select.POLLERR and not found & (poller.READ | poller.WRITE):
                poller._ignore_invalid(fd, select.POLLNVAL)
            else:
                sound.append((fd, found))
        return sound

    poller._poll_fds = steady


def rotate_all(programs: Path) -> None:
    """Rotate the log of every program that has grown over the limit.

    A failure (disk full) leaves that log as it is: the next tick tries again.
    """
    for path in programs.glob("*.json"):
        with contextlib.suppress(OSError, ValueError):
            rotate(Path(json.loads(path.read_text())["log"]))


def rotate_requests(log: Path, now: Callable[[], float] = time.time) -> None:
    """Keep the gateway's log of requests small, and no line of it much longer than it is of use.

    Paths that users asked for may tell something about them.
    """
    with contextlib.suppress(OSError):
        old = now() - REQUESTS_KEPT
        former = log.with_name(f"{log.name}.1")
        if former.exists() and former.stat().st_mtime < old:
            former.unlink()
        with log.open("rb") as file:
            began = _FIRST_TIME.search(file.read(_LINE))
        aged = began is not None and float(began.group(1)) < old
        rotate(log, 0 if aged else REQUESTS_BYTES, kept=1)


def rotate(log: Path, limit: int = ROTATE_BYTES, kept: int = KEPT_LOGS) -> bool:
    """Move what is in `log` to `log.1`, and the older ones up, if it is over `limit` bytes.

    A line written between the last copied byte and the cut is lost; the copy goes on until it has
    met the end, so that gap is microseconds.
    """
    if log.stat().st_size <= limit:
        return False
    copy = log.with_name(f"{log.name}.new")
    try:
        with log.open("rb") as source, copy.open("wb") as target:
            os.fchmod(target.fileno(), 0o600)
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            while rest := source.read():
                target.write(rest)
            os.truncate(log, 0)
    except OSError:
        copy.unlink(missing_ok=True)
        raise
    for index in range(kept - 1, 0, -1):
        older = log.with_name(f"{log.name}.{index}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{index + 1}"))
    copy.replace(log.with_name(f"{log.name}.1"))
    return True
