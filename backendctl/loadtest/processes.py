"""Starting, watching and ending the processes of the load generator."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from backendctl.errors import BackendctlError
from backendctl.loadtest.scenario import TOKEN_VARIABLE

LOG_FILE = "generator.log"
PRIORITY = -10
POLITE_SECONDS = 2.0
"""How long a process has to end by itself before it is killed."""
LINK_VARIABLE = "BACKENDCTL_LOADTEST_LINK"
"""Environment variable with the file descriptor of the master's socket to its starter."""
_NOT_INHERITED = ("BACKENDCTL_", "LOCUST_")


class Processes:
    """One master, those of its workers that run beside it, and the socket to the master."""

    def __init__(
        self,
        folder: Path,
        workers: int,
        token_file: Path | None,
        project: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """`workers`: to be started here; others find the master at `host` and `port` (0 for a free
        one). `folder`: with the plan in it."""
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._buffer = b""
        # A signal raises in the main thread: one that came while a process is being started there
        # would leave that process to nobody.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="starter")
        self._link, other = socket.socketpair()
        port = port or _free_port()
        descriptor = os.open(folder / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "wb") as log, other:
            try:
                env = _environment(token_file)
                start = self._starter.submit
                start(self._start, "master", (host, port), 0, log, env, project, other).result()
                for index in range(workers):
                    name = f"worker {index}"
                    start(self._start, name, (host, port), index, log, env, project, None).result()
            except BaseException:
                self.end()
                raise

    def _start(
        self,
        name: str,
        address: tuple[str, int],
        index: int,
        log: IO[bytes],
        env: dict[str, str],
        project: Path,
        link: socket.socket | None,
    ) -> None:
        argv = [sys.executable, "-m", "backendctl.loadtest.agent", name.split()[0]]
        argv += [str(self._folder.resolve()), "--index", str(index)]
        argv += ["--host", address[0], "--port", str(address[1])]
        handed: tuple[int, ...] = ()
        if link is not None:
            handed = (link.fileno(),)
            env = {**env, LINK_VARIABLE: str(link.fileno())}
        self._running[name] = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=env,
            cwd=project,
            pass_fds=handed,
            start_new_session=True,  # Ctrl-C is ours to handle: first the counts, then the end
        )

    # --- talking ---

    def tell(self, command: Mapping[str, Any]) -> None:
        """Send a command to the master."""
        with contextlib.suppress(BrokenPipeError):  # its end shows in `ended`
            self._link.sendall(json.dumps(command).encode() + b"\n")

    def hear(self, seconds: float) -> Iterator[Mapping[str, Any]]:
        """What the master says within that time; at least one look."""
        until = time.monotonic() + seconds
        while True:
            self._link.settimeout(max(0.001, until - time.monotonic()))
            try:
                data = self._link.recv(1 << 20)
            except TimeoutError:
                return
            except ConnectionResetError:
                data = b""
            if not data:
                time.sleep(max(0.0, min(0.05, until - time.monotonic())))
                return
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            for line in lines:
                yield json.loads(line)
            if time.monotonic() >= until:
                return

    # --- watching ---

    def ended(self) -> dict[str, int]:
        """Processes that are no more, with their exit status."""
        polled = {name: process.poll() for name, process in self._running.items()}
        return {name: status for name, status in polled.items() if status is not None}

    def last_words(self) -> str:
        """The end of the generator's log, for an error message."""
        lines = (self._folder / LOG_FILE).read_text(errors="replace").splitlines()
        telling = [line for line in lines if "ERROR" in line or "Error" in line] or lines
        return "\n".join(telling[-5:])

    # --- ending ---

    def end(self) -> None:
        """Ask every process to end, then make it; none is left on return."""
        self._starter.shutdown(wait=True)  # one that is being started is ours too
        self.tell({"do": "quit"})
        with contextlib.suppress(OSError):
            self._link.close()
        for process in self._running.values():
            process.terminate()
        deadline = time.monotonic() + POLITE_SECONDS
        for process in self._running.values():
            try:
                process.wait(max(0.01, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment(token_file: Path | None) -> dict[str, str]:
    """Our own environment without settings that would change what Locust or backendctl does."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_INHERITED)}
    env["PYTHONUNBUFFERED"] = "1"
    if token_file is not None:
        env[TOKEN_VARIABLE] = str(token_file)
    return env


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def come_first() -> None:
    """Let this process wake before others, where the system allows it.

    A measuring instrument must not wait for what it measures; on a machine that both share, this
    is the difference between a delay of the service and one of the generator.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)


def generator_failed(processes: Processes, what: str) -> BackendctlError:
    """The error for a generator that does not do its part."""
    return BackendctlError(
        "loadtest.invalid",
        f"the load generator {what}",
        cause=processes.last_words(),
        state="the service was not judged",
    )
