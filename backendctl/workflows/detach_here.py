"""The same command again, in a session of its own on this machine, writing to a file."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

POLL = 0.1
"""Seconds between two looks at what it has written."""
KEPT = 30 * 86400.0
"""Seconds for which what it wrote is kept."""


class Child:
    """detach.Apart: a process that outlives us."""

    def __init__(self, arguments: Sequence[str], label: str) -> None:
        """Start `backendctl *arguments`, which ask for `--output jsonl`; nothing will be asked."""
        self._log = new_log(label)
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(
                # -P: modules in the present folder are the service's, not ours.
                [sys.executable, "-P", "-m", "backendctl", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def where(self) -> str:
        return f"process {self._process.pid}"

    @property
    def log(self) -> str:
        return str(self._log)

    @property
    def data(self) -> Mapping[str, Any]:
        return {"pid": self._process.pid, "log": str(self._log)}

    def lines(self) -> Iterator[str]:
        return lines_of(self._log, lambda: self._process.poll() is not None)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


def new_log(label: str) -> Path:
    """A private file for what a command says; those older than `KEPT` are deleted."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(state) / "backendctl"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in folder.glob("*.jsonl"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > KEPT:
                old.unlink()
    path = folder / f"{label}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.jsonl"
    path.touch(mode=0o600)
    return path


def lines_of(log: Path, ended: Callable[[], bool]) -> Iterator[str]:
    """Each whole line as it comes, until the writer has ended."""
    with log.open("rb") as file:
        rest = b""
        while True:
            over = ended()  # asked first: its last lines are then there
            *lines, rest = (rest + file.read()).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace")
            if over:
                return
            time.sleep(POLL)
