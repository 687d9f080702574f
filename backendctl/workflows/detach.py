"""A command that goes on when the terminal is gone: the same command again, in a session of its
own, which writes what it says to a file."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendctl.errors import ERRORS, BackendctlError

POLL = 0.1
"""Seconds between two looks at what it has written."""
KEPT = 30 * 86400.0
"""Seconds for which what it wrote is kept."""


@dataclass(frozen=True, slots=True)
class Detached:
    """A command that goes on by itself."""

    rollout: str
    pid: int
    log: Path
    """What it says, one JSON document a line."""


def detach(
    arguments: Sequence[str], label: str, on_event: Callable[[Mapping[str, Any]], None]
) -> Detached:
    """Run `backendctl *arguments` apart from this terminal; returns once its rollout has begun.

    `arguments` ask for `--output jsonl`, and nothing will be asked. Raises the error with which
    the command ended before that, and ends it when this process is told to stop before that.
    """
    log = _new_log(label)
    with log.open("wb") as out:
        child = subprocess.Popen(
            # -P: modules in the present folder are the service's, not ours.
            [sys.executable, "-P", "-m", "backendctl", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        for document in _documents(log, lambda: child.poll() is not None):
            if document.get("event") == "rollout.began":
                return Detached(str(document["data"]["rollout"]), child.pid, log)
            if "ok" in document:
                raise _ended(document, log)
            on_event(document)
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise
    raise BackendctlError(
        "bug",
        f"the detached command ended with status {child.wait()} and no answer",
        cause=f"what it wrote is in {log}",
        state="`backendctl rollout status` tells whether a rollout began",
        next=("backendctl rollout status",),
    )


def _new_log(label: str) -> Path:
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


def _documents(log: Path, ended: Callable[[], bool]) -> Iterator[dict[str, Any]]:
    """Each whole line as it comes, until the writer has ended; what is not JSON is passed over."""
    with log.open("rb") as file:
        rest = b""
        while True:
            over = ended()  # asked first: its last lines are then there
            *lines, rest = (rest + file.read()).split(b"\n")
            for line in lines:
                try:
                    document = json.loads(line)
                except ValueError:
                    continue
                if isinstance(document, dict):
                    yield document
            if over:
                return
            time.sleep(POLL)


def _ended(envelope: Mapping[str, Any], log: Path) -> BackendctlError:
    """The answer of a command that ended before its rollout had begun, as the error it is."""
    error = envelope.get("error") or {}
    code = str(error.get("code", "bug"))
    return BackendctlError(
        code if code in ERRORS else "bug",
        str(error.get("message", f"it ended without a rollout; what it wrote is in {log}")),
        cause=str(error.get("cause", "")),
        state=str(error.get("state", "")),
        next=tuple(error.get("next", ())),
        data=envelope.get("data"),
    )
