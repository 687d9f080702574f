"""Releases as supervised processes on this machine, each with its own port."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from backendctl.clock import Clock, SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import (
    MIGRATION,
    Condition,
    Configuration,
    Invocation,
    JobResult,
    OnLine,
    Package,
    Release,
    ReleaseStatus,
    Store,
)
from backendctl.platforms.local import jobs, loglines, readiness
from backendctl.platforms.local.envoy_arms import Endpoints
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.live import LiveRelease, LiveReleases
from backendctl.platforms.local.migration_limits import MigrationLimits
from backendctl.platforms.local.packages import Packager
from backendctl.platforms.local.ports import Ports
from backendctl.platforms.local.secrets import LocalSecrets
from backendctl.platforms.local.supervisor import Program, ProgramState, ProgramStatus, Supervisor
from backendctl.platforms.local.surroundings import Surroundings
from backendctl.spec.model import Service

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 0.5
"""Seconds between two questions whether a release is ready."""

_SHOWN = 15
"""Last log lines that explain why a release did not start."""


class LocalRuntime:
    """base.Runtime. Making one touches nothing."""

    def __init__(
        self,
        layout: Layout,
        supervisor: Supervisor,
        ports: Ports,
        store: Store,
        secrets: LocalSecrets,
        bindings: Callable[[], Mapping[str, str]],
        service: Service,
        clock: Clock | None = None,
    ) -> None:
        self._logs = layout.logs
        self._supervisor = supervisor
        self._ports = ports
        self._clock = clock or SystemClock()
        self._live = LiveReleases(layout)
        self._packager = Packager(layout, store, service)
        self._surroundings = Surroundings(layout, self._packager, secrets, bindings)
        self._limits = MigrationLimits(layout, bindings)

    def package(self, tree: Path, on_line: OnLine) -> Package:
        """See base.Runtime. Uncommitted work is packaged too; what git ignores is not."""
        return self._packager.package(tree, on_line)

    # --- running ---

    def start(self, release: Release) -> None:
        """See base.Runtime. A process that lives is left alone, whatever has changed around it.

        Raises BackendctlError as `in_release`.
        """
        number, processes = release.number, release.processes
        self._supervisor.ensure()
        known = self._supervisor.programs()
        missing = [
            self._program(release, name)
            for name in (_name(number, index) for index in range(processes.replicas))
            if name not in known or known[name].pid is None
        ]
        if missing:
            self._live.put(number, LiveRelease(processes.replicas, processes.ready_path))
        # What dead ones left (after a reboot) would count as restarts of the new ones.
        self._supervisor.stop(*(program.name for program in missing))
        for program in missing:
            self._supervisor.start(program)

    def _program(self, release: Release, name: str) -> Program:
        # The code first: a release that is not kept needs no port.
        self._packager.directory(release)
        port = {"PORT": str(self._ports.assign(name))}
        command = self._surroundings.in_release(release, release.processes.start, port)
        return Program(
            name,
            command.argv,
            command.directory,
            command.environment,
            log=self._log(name),
            stop_grace=release.processes.stop_grace,
        )

    def stop(self, number: int) -> None:
        """See base.Runtime."""
        live = self._live.get(number)
        # After `down` there are no programs any more, but there are ports.
        assigned = {_name(number, index) for index in range(live.replicas if live else 0)}
        names = sorted(assigned | self._programs(number).keys())
        self._supervisor.stop(*names)
        for name in names:
            self._ports.forget(name)
        self._live.remove(number)

    def status(self, number: int) -> ReleaseStatus:
        """See base.Runtime."""
        return self._look(number, list(self._programs(number).values()))

    def running(self) -> Sequence[int]:
        """See base.Runtime."""
        found = {
            _number(name)
            for name, status in self._supervisor.programs().items()
            if status.state is not ProgramState.STOPPED
        }
        return sorted(number for number in found if number is not None)

    def endpoints(self, number: int) -> Endpoints:
        """Where the gateway finds a release that was started.

        Raises BackendctlError `missing.release` for one that was not.
        """
        live = self._live.get(number)
        if live is None:
            raise BackendctlError(
                "missing.release",
                f"release {number} is not running",
                state="nothing was changed",
                next=("backendctl status",),
            )
        names = [_name(number, index) for index in range(live.replicas)]
        ports = [self._ports.assigned(name) or self._ports.assign(name) for name in names]
        return Endpoints(tuple(ports), live.ready_path)

    def await_ready(self, release: Release, deadline: float) -> ReleaseStatus:
        """See base.Runtime. A process that dies before it was ready once settles the outcome,
        though the supervisor would try again: a release has to start at the first attempt."""
        number = release.number
        until = self._clock.monotonic() + deadline
        before = {name: program.restarts for name, program in self._programs(number).items()}
        pause = _FIRST_PAUSE
        while True:
            programs = self._programs(number)
            for name, program in programs.items():
                if program.state in readiness.DIED or program.restarts > before.get(name, 0):
                    return self._dead(number, program, len(programs))
            found = self._look(number, list(programs.values()))
            if found.condition is Condition.READY:
                self._remember_ready(number)
                return found
            if found.condition is Condition.STOPPED:
                return found
            left = until - self._clock.monotonic()
            if left <= 0:
                return self._never_ready(found, deadline)
            self._clock.wait(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def logs(self, number: int, lines: int, follow: bool = False) -> Iterator[str]:
        """See base.Runtime. With several processes: the last lines of each, told apart by a
        number in front. Following ends when the release is stopped.

        Raises BackendctlError `missing.data` when there are none.
        """
        logs = sorted(self._logs.glob(f"release-{number}-*.log"))
        if not logs and self._live.get(number) is None:
            raise BackendctlError(
                "missing.data",
                f"there are no logs of release {number}",
                next=("backendctl status",),
            )
        coming = loglines.follow(logs, self._clock, lambda: self._live.get(number) is not None)
        for index, log in enumerate(logs):
            for line in loglines.last_lines(log, lines):
                yield loglines.numbered(index, line, len(logs))
        if follow:
            yield from coming

    # --- one-off commands ---

    def run_job(
        self, release: Release, name: str, argv: Sequence[str], deadline: float, on_line: OnLine
    ) -> JobResult:
        """See base.Runtime. `$NAME` is replaced as in the start command; the command finds its
        own name in BACKENDCTL_JOB. Raises BackendctlError as `in_release`."""
        command = self._surroundings.in_release(release, argv, {"BACKENDCTL_JOB": name})
        if name != MIGRATION:
            return jobs.run(command.argv, command.directory, command.environment, deadline, on_line)
        return self._limits.run(command, deadline, on_line)

    def in_release(self, release: Release, argv: Sequence[str]) -> Invocation:
        """See base.Runtime and Surroundings.in_release."""
        return self._surroundings.in_release(release, argv, {}, literal=True)

    def in_tree(
        self,
        tree: Path,
        argv: Sequence[str],
        configuration: Configuration,
        extra: Mapping[str, str],
        on_line: OnLine,
    ) -> Invocation:
        """See base.Runtime and Surroundings.in_tree."""
        return self._surroundings.in_tree(tree, argv, configuration, extra, on_line)

    def development_port(self) -> int:
        """See base.Runtime."""
        return self._ports.assign("development")

    # --- inside ---

    def _programs(self, number: int) -> dict[str, ProgramStatus]:
        programs = self._supervisor.programs()
        return {name: status for name, status in programs.items() if _number(name) == number}

    def _look(self, number: int, programs: Sequence[ProgramStatus]) -> ReleaseStatus:
        live = self._live.get(number)
        if live is None or not programs:
            return ReleaseStatus(number, Condition.STOPPED)
        answers = readiness.ask_all(self.endpoints(number).ports, live.ready_path)
        said = [answer.words for answer in answers if not answer.ready]
        said += [program.detail for program in programs if program.state in readiness.DIED]
        return ReleaseStatus(
            number,
            readiness.condition(programs, answers, live.been_ready),
            replicas=live.replicas,
            ready=sum(answer.ready for answer in answers),
            restarts=sum(program.restarts for program in programs),
            detail="; ".join(dict.fromkeys(filter(None, said))),
            last_restart=max(
                (each.last_restart for each in programs if each.last_restart is not None),
                default=None,
            ),
        )

    def _remember_ready(self, number: int) -> None:
        live = self._live.get(number)
        if live and not live.been_ready:
            self._live.put(number, replace(live, been_ready=True))

    def _dead(self, number: int, dead: ProgramStatus, replicas: int) -> ReleaseStatus:
        gone = dead.state is ProgramState.FATAL
        ended = dead.detail or "no exit status known"
        return ReleaseStatus(
            number,
            Condition.FAILED if gone else Condition.CRASHING,
            replicas=replicas,
            restarts=dead.restarts,
            detail=self._with_log(f"a process died before it was ready: {ended}", dead.name),
        )

    def _never_ready(self, last: ReleaseStatus, deadline: float) -> ReleaseStatus:
        said = f"not ready after {deadline:g} s: {last.detail}"
        detail = self._with_log(said, _name(last.number, 0))
        return replace(last, condition=Condition.UNREADY, detail=detail)

    def _with_log(self, said: str, program: str) -> str:
        lines = loglines.last_lines(self._log(program), _SHOWN)
        return "\n".join([said, *(lines or ["(it wrote no log)"])])

    def _log(self, program: str) -> Path:
        return self._logs / f"{program}.log"


def _name(number: int, index: int) -> str:
    return f"release-{number}-{index}"


def _number(program: str) -> int | None:
    found = re.fullmatch(r"release-(\d+)-\d+", program)
    return int(found[1]) if found else None
