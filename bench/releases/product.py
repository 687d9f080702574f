"""backendctl, as a pipeline calls it: by its command, reading its exit status and its JSON."""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 400.0
"""Seconds for one command; more than any deploy here may take by its backend.toml."""


class SilentError(Exception):
    """A command did not answer as it promises to."""


@dataclass(frozen=True)
class Answer:
    """What one command said."""

    words: tuple[str, ...]
    exit: int
    data: dict[str, Any]
    error: dict[str, Any] | None
    progress: str
    """Its standard error."""
    seconds: float


@dataclass(frozen=True)
class Backendctl:
    """The command, in one project."""

    program: Path
    project: Path
    logs: Path
    """Where everything it said is kept."""

    def __call__(self, *words: str) -> Answer:
        """Raises SilentError when there is no envelope on its standard output."""
        began = time.monotonic()
        done = subprocess.run(
            [str(self.program), *words, "--output", "json"],
            cwd=self.project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        seconds = time.monotonic() - began
        with self.logs.open("a") as log:
            log.write(f"$ backendctl {' '.join(words)} --output json\n{done.stderr}{done.stdout}")
            log.write(f"exit {done.returncode}, {seconds:.1f} s\n\n")
        try:
            said = json.loads(done.stdout)
        except ValueError as error:
            raise SilentError(f"{words}: exit {done.returncode}, {done.stderr[-500:]}") from error
        if said["exit"] != done.returncode:
            raise SilentError(f"{words}: exit {done.returncode}, but says {said['exit']}")
        data = said["data"] or {}
        return Answer(words, done.returncode, data, said["error"], done.stderr, seconds)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """A command that goes on beside others."""
        return subprocess.Popen(
            [str(self.program), *words],
            cwd=self.project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
