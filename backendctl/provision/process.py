"""The `pulumi` process: started by us, in a process group of its own, so that it can be stopped.

The Automation API's own runner waits for the process without telling anybody its id. A terminal's
Ctrl-C would reach the engine and us at the same time, a SIGTERM only us: the engine would go on
and keep the lock. Here the engine hears of a stop from us alone, and once.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

OnOutput = Callable[[str], object]


class EngineProcess(PulumiCommand):
    """Runs pulumi for one stack at a time; `stop` ends what runs."""

    def __init__(self, program: Path, version: VersionInfo) -> None:
        """Takes the version as known: the inherited constructor would ask the program again."""
        self.command = str(program)
        self.version = version
        self._running: subprocess.Popen[str] | None = None
        self._stopped = 0
        self.killed = False
        """Whether a command was ended by a signal that it could do nothing about."""
        self._lock = threading.Lock()

    @property
    def stopped(self) -> int:
        """How often somebody asked for an end."""
        return self._stopped

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        running = self._running
        return None if running is None else running.pid

    def stop(self) -> None:
        """Ask the engine to end: it finishes the operations in flight, writes the state and gives
        back its lock. Asked again it gives up what is in flight (left as pending operations);
        asked a third time it is killed, and its lock stays."""
        with self._lock:
            self._stopped += 1
            running = self._running
            if running is None or running.poll() is not None:
                return
            running.send_signal(signal.SIGINT if self._stopped < 3 else signal.SIGKILL)

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnOutput | None = None,
        on_error: OnOutput | None = None,
    ) -> CommandResult:
        """Run one command to its end. Raises CommandError as the Automation API does."""
        argv = [self.command, "--non-interactive", *args]
        environment = {**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"}
        with self._lock:
            if self._stopped:
                raise create_command_error(CommandResult("", "stopped before it began", 130))
            self._running = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env=environment,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
            process = self._running
        try:
            result = _gathered(process, on_output, on_error)
        finally:
            self._running = None
        self.killed = self.killed or result.code < 0
        if result.code != 0:
            raise create_command_error(result)
        return result


def _gathered(
    process: "subprocess.Popen[str]", on_output: OnOutput | None, on_error: OnOutput | None
) -> CommandResult:
    """Both streams to their end, each line as it comes."""
    chunks: tuple[list[str], list[str]] = ([], [])

    def read(stream: object, heard: OnOutput | None, into: list[str]) -> None:
        for line in stream:  # type: ignore[attr-defined]
            into.append(line.rstrip())
            if heard is not None:
                heard(line.rstrip())

    error_reader = threading.Thread(
        target=read, args=(process.stderr, on_error, chunks[1]), daemon=True
    )
    error_reader.start()
    read(process.stdout, on_output, chunks[0])
    error_reader.join()
    code = process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    return CommandResult("\n".join(chunks[0]), "\n".join(chunks[1]), code)
