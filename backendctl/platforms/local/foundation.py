"""The servers a local environment stands on: started together, by what `backend.toml` asks for.

The variables a process of the service finds (only those of servers that were asked for):

| variable | meaning |
|---|---|
| `DATABASE_URL` | `postgresql://user:password@127.0.0.1:port/database` |
| `REDIS_URL`, `CACHE_URL` | the same cache under both usual names |
| `AUTH_ISSUER`, `AUTH_AUDIENCE` | what a token's `iss` and `aud` must be |
| `AUTH_JWKS_URL` | where the keys are that verify it |
"""

import shutil
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from backendctl.errors import BackendctlError
from backendctl.filesystem import writing
from backendctl.platforms.base import WATCHDOG, OnLine, ServiceStatus, unheard
from backendctl.platforms.local.gateway import Gateway
from backendctl.platforms.local.issuer import Issuer
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.loglines import last_lines
from backendctl.platforms.local.ports import Ports
from backendctl.platforms.local.postgres import Postgres
from backendctl.platforms.local.server import Server
from backendctl.platforms.local.supervisor import ProgramStatus, Supervisor
from backendctl.platforms.local.valkey import Valkey
from backendctl.platforms.local.watchdog import Watchdog
from backendctl.spec.derive import slo_edges_ms
from backendctl.spec.model import Environment, Spec

_READY_DEADLINE = 60.0
"""Seconds; PostgreSQL may have to replay what a crash left."""
_HOPELESS_RESTARTS = 2
"""So many crashes while we wait, and it will not come up by itself."""
_POLL = 0.02
_LOG_LINES = 6


class LocalFoundation:
    """The Foundation of `platforms/base/` on this machine."""

    def __init__(
        self,
        layout: Layout,
        spec: Spec,
        environment: Environment,
        supervisor: Supervisor | None = None,
    ) -> None:
        self._layout = layout
        self._supervisor = supervisor or Supervisor(layout.home)
        self._fixed = {Gateway.name: environment.port}
        self._servers = servers(layout, spec)
        self._watchdog = Watchdog(layout, spec)
        self._database = Postgres(layout) if spec.data.engine == "postgresql" else None

    def ensure(self, on_line: OnLine) -> None:
        """Raises BackendctlError `missing.server` with the log's last lines when one does not
        start, `missing.database` before anything is started when the database's files are gone,
        `platform.port-taken`, `platform.unsupported`, `platform.disk-full`,
        `platform.permission`, `missing.extra`."""
        if self._database is not None:
            self._database.refuse_if_lost()
        self._layout.create()
        self._supervisor.ensure(on_line)
        self._supervisor.start(self._watchdog.prepare())
        one_at_a_time = threading.Lock()

        def say(line: str) -> None:
            with one_at_a_time:
                on_line(line)

        given_up = threading.Event()
        with ThreadPoolExecutor(len(self._servers)) as pool:
            coming = {
                pool.submit(self._bring_up, server, say, given_up): server.name
                for server in self._servers
            }
            try:
                for future in as_completed(coming):
                    started = future.result()
                    left = [name for other, name in coming.items() if not other.done()]
                    if started and left:
                        say(f"waiting for {', '.join(left)} to answer")
            except BaseException:  # also Ctrl-C: the pool's end must not wait for the others
                given_up.set()
                raise

    def stop(self, purge: bool = False, on_line: OnLine = unheard) -> None:
        self._supervisor.shutdown(on_line)
        if not purge or not self._layout.home.exists():
            return
        on_line(f"deleting {self._layout.home}")
        with writing(self._layout.home):
            shutil.rmtree(self._layout.home)
        if {path.name for path in self._layout.state.iterdir()} <= {".gitignore"}:
            shutil.rmtree(self._layout.state)

    def status(self) -> Sequence[ServiceStatus]:
        ports = Ports(self._layout)
        programs = self._supervisor.programs()
        found = [
            self._look(server, ports.assigned(server.name), programs.get(server.name))
            for server in self._servers
        ]
        return [*found, self._watchdog.look(programs.get(WATCHDOG))]

    @staticmethod
    def _look(server: Server, port: int | None, program: ProgramStatus | None) -> ServiceStatus:
        if port is None or program is None:
            return ServiceStatus(server.name, False, "", "not started")
        pid = program.pid
        ready = pid is not None and server.ready(port)
        detail, following = ("" if ready else program.detail), tuple[str, ...]()
        if pid is not None and not ready:
            detail, following = _silent(server.name, pid)
        return ServiceStatus(
            server.name,
            ready,
            server.address(port),
            detail,
            alive=pid is not None,
            restarts=program.restarts,
            last_restart=program.last_restart,
            next=following,
        )

    def logs(self, server: str, lines: int) -> Sequence[str]:
        return last_lines(self._layout.log(server), lines)

    def variables(self) -> Collection[str]:
        return {name for server in self._servers for name in server.variables}

    def bindings(self) -> Mapping[str, str]:
        ports = Ports(self._layout)
        found: dict[str, str] = {}
        for server in self._servers:
            port = ports.assigned(server.name)
            if port is None:
                raise BackendctlError(
                    "missing.environment",
                    f"the environment {self._layout.environment} was never up",
                    cause=f"its {server.name} has no port yet",
                    next=("backendctl up",),
                )
            found |= server.bindings(port)
        return found

    def _bring_up(self, server: Server, on_line: OnLine, given_up: threading.Event) -> bool:
        """Whether anything had to be waited for."""
        began = time.monotonic()
        port = Ports(self._layout, on_line).assign(server.name, self._fixed.get(server.name))
        self._supervisor.start(server.prepare(port, on_line))
        if server.ready(port):
            return False
        on_line(f"waiting for {server.name} to answer")
        before = self._restarts(server)
        while not server.ready(port):
            late = time.monotonic() - began > _READY_DEADLINE
            if late or self._restarts(server) - before >= _HOPELESS_RESTARTS:
                raise self._does_not_start(server, late)
            if given_up.wait(_POLL):
                return True
        seconds = time.monotonic() - began
        on_line(f"{server.name}: ready at {server.address(port)} ({seconds:.1f} s)")
        return True

    def _restarts(self, server: Server) -> int:
        status = self._supervisor.status(server.name)
        return status.restarts if status else 0

    def _does_not_start(self, server: Server, late: bool) -> BackendctlError:
        what = f"does not answer after {_READY_DEADLINE:.0f} s" if late else "does not stay up"
        said = self.logs(server.name, _LOG_LINES)
        following: tuple[str, ...] = (f"backendctl logs --server {server.name}",)
        status = self._supervisor.status(server.name)
        if late and status is not None and status.pid is not None:
            hangs, following = _silent(server.name, status.pid)
            said = [hangs, *said]
        return BackendctlError(
            "missing.server",
            f"{server.name} {what}",
            cause="\n".join(said),
            state="its data is untouched; the other servers were left as they are",
            next=(*following, "backendctl doctor"),
        )


def _silent(name: str, pid: int) -> tuple[str, tuple[str, ...]]:
    """What is known of a process that runs and does not answer, and what to type."""
    import psutil

    logs = f"backendctl logs --server {name}"
    try:
        halted = psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        halted = False
    if halted:
        said = f"its process {pid} was halted by a signal (SIGSTOP) and does not answer"
        return said, (f"kill -CONT {pid}  # lets it go on",)
    again = ("backendctl down  # ends it, by force after its grace; data is kept", "backendctl up")
    return f"its process {pid} runs but does not answer", (logs, *again)


def servers(layout: Layout, spec: Spec) -> tuple[Server, ...]:
    """The servers that the spec asks for."""
    wanted: list[Server] = [Gateway(layout, max(slo_edges_ms(spec)))]
    if spec.data.engine == "postgresql":
        wanted.append(Postgres(layout))
    if spec.cache.engine == "valkey":
        wanted.append(Valkey(layout))
    if spec.auth.issuer:
        wanted.append(Issuer(layout, spec.auth.audience))
    return tuple(wanted)
