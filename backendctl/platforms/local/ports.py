"""Which port each server of an environment has: chosen free, and remembered."""

import json
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from backendctl.errors import BackendctlError
from backendctl.filesystem import atomic_write, make_folder, writing
from backendctl.platforms.local import launch
from backendctl.platforms.local.layout import Layout

HOST = "127.0.0.1"

_CHOICES = range(20000, 32768)
"""Below what Linux and macOS hand out to outgoing connections: a server that restarts must not
find its port taken by some client's."""
_TRIES = 200


class Ports:
    """Assigns ports on 127.0.0.1; safe when several processes assign at once."""

    def __init__(self, layout: Layout, on_line: Callable[[str], None] = lambda _line: None) -> None:
        self._layout = layout
        self._on_line = on_line

    def assign(self, name: str, fixed: int | None = None) -> int:
        """The port of server `name`, the same at every call while nobody else takes it.

        A fixed port that a program of another environment holds raises BackendctlError
        `platform.port-taken` naming it; a remembered one is replaced, and `on_line` told.
        """
        with self._remembered() as known:
            former = known.get(name)
            port = fixed or former
            if port is not None and (is_free(port) or self._is_ours(port, name)):
                known[name] = port
                return port
            if fixed is not None:
                raise taken(fixed, name)
            chosen = _choose_free(set(known.values()))
            if former is not None:
                self._on_line(
                    f"port {former} of {name} is now held by {holder(former)}; using {chosen}"
                )
            known[name] = chosen
            return chosen

    def assigned(self, name: str) -> int | None:
        """The remembered port, if there is one."""
        return self._read().get(name)

    def forget(self, name: str) -> None:
        """Give the port of `name` back."""
        with self._remembered() as known:
            known.pop(name, None)

    @contextmanager
    def _remembered(self) -> Iterator[dict[str, int]]:
        from filelock import FileLock

        make_folder(self._layout.home)
        lock_path = self._layout.ports.with_suffix(".lock")
        with writing(lock_path):
            lock = FileLock(lock_path, mode=0o600)
            lock.acquire()
        try:
            known = self._read()
            before = dict(known)
            yield known
            if known != before:
                atomic_write(self._layout.ports, json.dumps(known, indent=1).encode())
        finally:
            lock.release()

    def _read(self) -> dict[str, int]:
        try:
            return dict(json.loads(self._layout.ports.read_bytes()))
        except FileNotFoundError:
            return {}

    def _is_ours(self, port: int, name: str) -> bool:
        """Whether a program that this environment started, probably `name`, listens there."""
        record = launch.read_record(str(self._layout.run / f"{name}{launch.RECORD_SUFFIX}"))
        if launch.lives(record) and _listens(record["pid"], port):
            return True
        # Then one of its children, or another program's; asking about all takes longer.
        pid = listener(port)
        if pid is None:
            # A container may forbid root to look at a server that runs as another user.
            return launch.lives(record)
        paths = self._layout.run.glob(f"*{launch.RECORD_SUFFIX}")
        records = [launch.read_record(str(path)) for path in paths]
        leaders = {record["pid"] for record in records if launch.lives(record)}
        try:
            return os.getpgid(pid) in leaders
        except ProcessLookupError:
            return False


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now.

    Raises BackendctlError `platform.permission` for a port that this user may not listen on.
    """
    with socket.socket() as probe:
        # As servers do: a port whose last connections still time out is free to listen on.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except PermissionError as error:
            raise BackendctlError(
                "platform.permission",
                f"this user may not listen on port {port}",
                cause="ports below 1024 are kept for root",
                state="nothing was started",
                next=("choose a port above 1023 in backend.toml",),
            ) from error
        except OSError:
            return False
        return True


def listener(port: int) -> int | None:
    """The pid that listens on the port, where this user may know it."""
    import psutil

    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS, without root
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
            return int(connection.pid) if connection.pid else None
    return None


def _listens(pid: int, port: int) -> bool:
    import psutil

    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)


def holder(port: int) -> str:
    """Who listens on the port, for a person."""
    import psutil

    pid = listener(port)
    if pid is None:
        return "a program of another user"
    try:
        # Not its command line: that may hold somebody's secret.
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return f"pid {pid}"


def taken(port: int, name: str) -> BackendctlError:
    """The error that says who has the port that `name` needs."""
    return BackendctlError(
        "platform.port-taken",
        f"port {port}, which {name} needs, is taken",
        cause=f"held by {holder(port)}",
        state=f"{name} was not started",
        next=("stop that program, or choose another port in backend.toml",),
        data={"port": port, "pid": listener(port)},
    )


def _choose_free(known: set[int]) -> int:
    for _ in range(_TRIES):
        port = secrets.choice(_CHOICES)
        if port not in known and is_free(port):
            return port
    raise BackendctlError(
        "platform.port-taken",
        f"no free port found between {_CHOICES.start} and {_CHOICES.stop - 1}",
        state="nothing was started",
    )
