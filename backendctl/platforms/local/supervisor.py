"""Processes that outlive the CLI and come back after a crash, through supervisord.

What is wanted is on disk: one program file (0600) each, from which supervisord's configuration is
written. What runs is in the record each program leaves as it starts (`launch.py`). supervisord
itself may die at any time: the programs go on, and the next supervisord adopts them.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.filesystem import atomic_write, make_folder, writing
from backendctl.platforms.base import OnLine, unheard
from backendctl.platforms.local import launch
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.supervisor_rpc import (
    ALREADY_ADDED,
    ALREADY_STARTED,
    BAD_NAME,
    NOT_RUNNING,
    SupervisorGoneError,
    SupervisorRpc,
    fault_ignored,
)
from backendctl.platforms.local.supervisord import (
    configuration,
    last_end,
    last_text,
    supervisord_environment,
)

_SUPERVISORD_DEADLINE = 15.0
_KILL_DEADLINE = 5.0
_POLL = 0.02


@dataclass(frozen=True, slots=True)
class Program:
    """A process to keep running."""

    name: str
    argv: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """The whole environment, not additions to ours. May hold secrets: kept in 0600 files only."""
    log: Path | None = None
    """Where its output goes, rotated; default `logs/<name>.log`."""
    stop_signal: str = "TERM"
    stop_grace: float = 30.0
    restart: bool = True
    """Start it again whenever it ends, for ever, after waits of at most 30 s."""
    user: tuple[int, int] | None = None
    """Uid and gid to run as where that is not ours; only root can ask for it."""


class ProgramState(StrEnum):
    RUNNING = "running"
    STARTING = "starting"
    BACKOFF = "backoff"
    STOPPING = "stopping"
    EXITED = "exited"
    FATAL = "fatal"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ProgramStatus:
    name: str
    state: ProgramState
    pid: int | None
    exit_status: int | None
    restarts: int
    """Starts after the first, since the program was given to `start` as it is now and since the
    machine was booted."""
    detail: str
    last_restart: float | None = None
    """When the last of them was, in seconds since the epoch."""


class Supervisor:
    """One supervisord per environment, in its own session, answering on a 0600 socket."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._layout = Layout.of(home)
        self._programs = self._layout.supervisor / "programs"
        self._rpc = SupervisorRpc(self._layout.supervisor_socket)

    # --- supervisord itself ---------------------------------------------------------------

    def ensure(self, on_line: OnLine = unheard) -> None:
        """Start supervisord if it is not running or does not answer.

        Programs of a dead one that still run are adopted, not disturbed; those that died with it
        (or with the machine) are started. Raises BackendctlError `missing.server` when supervisord
        does not come up.
        """
        if self._rpc.answers():
            return
        with self._locked(on_line):
            if not self._rpc.answers():
                on_line("waiting for the process supervisor")
                self._launch_supervisord()

    def running(self) -> bool:
        """Whether supervisord answers."""
        return self._rpc.answers()

    def shutdown(self, on_line: OnLine = unheard) -> None:
        """Stop every program, then supervisord; nothing is left running on return."""
        if not self.home.exists():
            return
        with self._locked(on_line):
            names = self._wanted()
            if self._rpc.answers():
                for name in names:
                    with fault_ignored(BAD_NAME, NOT_RUNNING):
                        self._rpc.call("stopProcess", name, False)
                self._await_stopped(names, on_line)
                self._rpc.call("shutdown")
            on_line("waiting for the process supervisor to end")
            self._end_supervisord()
            for name in names:
                on_line(f"waiting for {name} to end")
                self._end_recorded(name)
                self._forget(name)
        self._layout.supervisor_socket.unlink(missing_ok=True)
        self._layout.remove_sockets()

    # --- programs -------------------------------------------------------------------------

    def start(self, program: Program) -> None:
        """Run the program; unchanged and running already: nothing happens.

        A changed one is stopped, with its grace, and started anew. Returns once it was started,
        before it is known to stay up. Raises BackendctlError `missing.server`,
        `platform.disk-full`, `platform.permission`.
        """
        self.ensure()
        with self._locked():
            body = self._program_file(program)
            path = self._programs / f"{program.name}.json"
            former = path.read_bytes() if path.exists() else None
            if former not in (None, body):
                self._end(program.name)
                self._remove(program.name)
            if former != body:
                atomic_write(path, body)
                self._write_configuration()
            self._rpc.call("reloadConfig")
            with fault_ignored(ALREADY_ADDED):
                self._rpc.call("addProcessGroup", program.name)
            if self._rpc.call("getProcessInfo", program.name)["statename"] == "BACKOFF":
                # Whoever asks now does not want to wait for a restart that is due in 30 s.
                self._rpc.call("stopProcess", program.name, False)
            with fault_ignored(ALREADY_STARTED):
                self._rpc.call("startProcess", program.name, False)

    def stop(self, *names: str) -> None:
        """Stop and forget the programs, all at once; their processes are gone on return.

        The polite signal goes to a program's first process; after the grace SIGKILL goes to the
        whole process group.
        """
        known = [name for name in names if (self._programs / f"{name}.json").exists()]
        if not known:
            return
        self._end(*known)  # may take the whole grace: others can be started meanwhile
        with self._locked():
            self._remove(*known)

    def status(self, name: str) -> ProgramStatus | None:
        """One look; None for a program that is not wanted."""
        return self.programs().get(name)

    def programs(self) -> Mapping[str, ProgramStatus]:
        """One look at every wanted program, also when supervisord is dead."""
        try:
            answers = {info["name"]: info for info in self._rpc.call("getAllProcessInfo")}
        except SupervisorGoneError:
            answers = {}
        return {name: self._status(name, answers.get(name)) for name in self._wanted()}

    # --- inside ---------------------------------------------------------------------------

    def _status(self, name: str, info: Mapping[str, Any] | None) -> ProgramStatus:
        record = launch.read_record(str(self._record(name)))
        pid = record["pid"] if launch.lives(record) else None
        restarts = max(0, int(record.get("starts", 1)) - 1)
        last = record.get("started") if restarts else None
        if info is None:
            state = ProgramState.RUNNING if pid else ProgramState.STOPPED
            return ProgramStatus(name, state, pid, None, restarts, "no supervisor is running", last)
        state = ProgramState(str(info["statename"]).lower())
        if state is ProgramState.RUNNING:
            return ProgramStatus(name, state, pid, None, restarts, "", last)
        status, detail = last_end(last_text(self._log), name)
        return ProgramStatus(name, state, pid, status, restarts, detail, last)

    def _wanted(self) -> list[str]:
        return sorted(path.stem for path in self._programs.glob("*.json"))

    def _record(self, name: str) -> Path:
        return self._layout.run / f"{name}{launch.RECORD_SUFFIX}"

    def _program_file(self, program: Program) -> bytes:
        import hashlib

        known = {
            "argv": list(program.argv),
            "directory": str(program.directory),
            "environment": dict(program.environment),
            "log": str(program.log or self._layout.log(program.name)),
            "record": str(self._record(program.name)),
            "restart": program.restart,
            "stop_grace": program.stop_grace,
            "stop_signal": int(signal.Signals[f"SIG{program.stop_signal}"]),
            "user": list(program.user) if program.user else None,
        }
        digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
        return json.dumps(known | {"digest": digest}, sort_keys=True, indent=1).encode()

    def _end(self, *names: str) -> None:
        """End their processes, whoever looks after them."""
        if self._rpc.answers():
            for name in names:
                with fault_ignored(BAD_NAME, NOT_RUNNING):
                    self._rpc.call("stopProcess", name, False)
            self._await_stopped([*names])
        for name in names:
            self._end_recorded(name)

    def _remove(self, *names: str) -> None:
        """Want them no more."""
        for name in names:
            self._forget(name)
        self._write_configuration()
        if self._rpc.answers():
            for name in names:
                with fault_ignored(BAD_NAME):
                    self._rpc.call("removeProcessGroup", name)
            self._rpc.call("reloadConfig")

    def _forget(self, name: str) -> None:
        (self._programs / f"{name}.json").unlink(missing_ok=True)
        self._record(name).unlink(missing_ok=True)

    def _await_stopped(self, names: list[str], on_line: OnLine = unheard) -> None:
        """Wait until supervisord has ended them; it kills each after its grace."""
        longest = max((self._grace(name) for name in names), default=0.0)
        deadline = time.monotonic() + longest + _KILL_DEADLINE
        waiting, told = set(names), set[str]()
        while waiting and time.monotonic() < deadline:
            infos = {info["name"]: info for info in self._rpc.call("getAllProcessInfo")}
            waiting = {n for n in waiting if n in infos and infos[n]["pid"]}
            if waiting and waiting != told:
                told = waiting
                grace = max(self._grace(name) for name in waiting)
                on_line(f"waiting for {', '.join(sorted(waiting))} to end, at most {grace:.0f} s")
            if waiting:
                time.sleep(_POLL)

    def _grace(self, name: str) -> float:
        return float(launch.read_record(str(self._record(name))).get("stop_grace", 0.0))

    def _end_recorded(self, name: str) -> None:
        """End a process that no supervisord ends: adopted, or left by a dead one."""
        record = launch.read_record(str(self._record(name)))
        if launch.lives(record):
            with contextlib.suppress(ProcessLookupError):
                os.kill(record["pid"], record["stop_signal"])
            _wait_gone(record, record["stop_grace"])
        if launch.lives(record):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(record["pid"], signal.SIGKILL)
            _wait_gone(record, _KILL_DEADLINE)
        launch.kill_left_group(record)

    @contextlib.contextmanager
    def _locked(self, on_line: OnLine = unheard) -> Iterator[None]:
        from filelock import FileLock, Timeout

        make_folder(self._layout.supervisor)
        path = self._layout.supervisor / "lock"
        with writing(path):
            lock = FileLock(path, mode=0o600)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                on_line("waiting for another command that starts or stops processes")
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    # --- starting and ending supervisord --------------------------------------------------

    @property
    def _log(self) -> Path:
        return self._layout.logs / "supervisord.log"

    @property
    def _own_record(self) -> Path:
        return self._layout.run / "supervisord.pid.json"

    def _launch_supervisord(self) -> None:
        self._layout.create().create_sockets()
        make_folder(self._programs)
        self._end_supervisord()
        self._layout.supervisor_socket.unlink(missing_ok=True)
        self._write_configuration()
        with writing(self._log):
            output = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "supervisor.supervisord",
                    "-c",
                    "supervisor/supervisord.conf",
                ],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                umask=0o077,
                env=supervisord_environment(),
            )
        finally:
            os.close(output)
        identity = launch.identity(process.pid)
        record = {"pid": process.pid, "identity": identity or ""}
        atomic_write(self._own_record, json.dumps(record).encode())
        deadline = time.monotonic() + _SUPERVISORD_DEADLINE
        while not self._rpc.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise BackendctlError(
                    "missing.server",
                    "the process supervisor does not come up",
                    cause=last_text(self._log, 600),
                    state="no process of the environment was started by this command",
                    next=(f"cat {self._log}",),
                )
            time.sleep(_POLL)

    def _end_supervisord(self) -> None:
        """Make sure that the recorded supervisord is gone; it has ended its programs or died."""
        record = launch.read_record(str(self._own_record))
        if self._rpc.answers_state() is None and launch.lives(record):
            # It neither answers nor is dead: hung. Its programs are adopted by the next one.
            with contextlib.suppress(ProcessLookupError):
                os.kill(record["pid"], signal.SIGKILL)
        _wait_gone(record, _SUPERVISORD_DEADLINE)
        if launch.lives(record):
            with contextlib.suppress(ProcessLookupError):
                os.kill(record["pid"], signal.SIGKILL)
            _wait_gone(record, _KILL_DEADLINE)
        self._own_record.unlink(missing_ok=True)

    def _write_configuration(self) -> None:
        programs = {
            path.stem: json.loads(path.read_bytes())
            for path in sorted(self._programs.glob("*.json"))
        }
        text = configuration(self._layout, programs)
        atomic_write(self._layout.supervisor / "supervisord.conf", text.encode())


def _wait_gone(record: Mapping[str, Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while launch.lives(dict(record)) and time.monotonic() < deadline:
        _reap(record["pid"])
        time.sleep(_POLL)
    if record:
        _reap(record["pid"])


def _reap(pid: int) -> None:
    """Take the exit status, if the process was our own child and has ended."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
