"""The real command line in a project's folder, as a shell and a script see it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

BACKENDCTL = (sys.executable, "-c", "from backendctl.cli.main import main; main()")
"""The installed command, found through the interpreter that runs the tests."""
LIMIT = 240.0


@dataclass(frozen=True, slots=True)
class Said:
    """What one command answered."""

    exit: int
    answer: Mapping[str, Any]
    stderr: str

    @property
    def data(self) -> Mapping[str, Any]:
        return self.answer["data"]

    @property
    def code(self) -> str:
        error = self.answer["error"]
        return error["code"] if error else ""

    @property
    def text(self) -> str:
        """Everything it said of an error."""
        return json.dumps(self.answer["error"]) + self.stderr


class Project:
    """A folder with a backend.toml, and commands typed in it."""

    def __init__(self, folder: Path, command: tuple[str, ...] = BACKENDCTL) -> None:
        self.folder = folder
        self._command = command

    def run(self, *words: str, stdin: str = "", **variables: str) -> Said:
        """Type a command; its answer is JSON and its exit status the envelope's."""
        process = self.start(*words, **variables)
        try:
            out, err = process.communicate(stdin, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return self.said(process.returncode, out, err)

    def said(self, returncode: int, out: str, err: str) -> Said:
        assert out.strip(), f"exit {returncode}, nothing on stdout; stderr: {err}"
        answer = json.loads(out.strip().splitlines()[-1])
        assert answer["exit"] == returncode
        return Said(returncode, answer, err)

    def start(self, *words: str, **variables: str) -> "subprocess.Popen[str]":
        """Type a command and do not wait for it."""
        position = words.index("--") if "--" in words else len(words)
        argv = (*words[:position], "--output", "json", *words[position:])
        return subprocess.Popen(
            [*self._command, *argv],
            cwd=self.folder,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def processes(self) -> list[str]:
        """Every process that works in, or was started for, this folder."""
        mark, found = str(self.folder), []
        for process in psutil.process_iter(["cmdline", "cwd"]):
            words = " ".join(process.info["cmdline"] or ())
            if mark in words or (process.info["cwd"] or "").startswith(mark):
                found.append(words)
        return found
