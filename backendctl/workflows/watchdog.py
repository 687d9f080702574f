"""The environment's own watchdog: `python -m backendctl.workflows.watchdog HOME VERSION DIGEST`.

A small process that lives with the environment, under its supervisor, and does two things: it
restores stable when a rollout's driver is gone and nobody recovers it, and it records the traffic
of the releases, so that the next rollout is judged by what stable did lately.

It stays small because all it does while things are well is read one file a second; to restore, it
becomes (exec) a process that loads what a rollout needs, and afterwards the small one again. It
can be killed at any moment: the supervisor starts it anew, and what it did can be done again.
VERSION and DIGEST are there only so that `up` starts another one when they change.
"""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from backendctl.clock import SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.meter import EnvoyMeter
from backendctl.platforms.local.recorded import edges_ms, promises
from backendctl.platforms.local.store import LocalStore
from backendctl.rollout.deadman import Orphan
from backendctl.workflows.watching import (
    Log,
    Recorder,
    Say,
    log_line,
    pause_after,
    restore,
    watch,
)

MODULE = "backendctl.workflows.watchdog"


@dataclass(frozen=True, slots=True)
class Task:
    """What the process is at: everything that survives its becoming another one."""

    home: Path
    marks: tuple[str, ...] = ()
    """Version and digest, as they were given."""
    failures: int = 0
    """Attempts to restore in a row that failed."""
    orphan: Orphan | None = None
    """To be restored now; None to watch."""

    @classmethod
    def parse(cls, arguments: list[str]) -> "Task":
        """From the command line of `argv`."""
        home, version, digest, *rest = arguments
        failures = int(rest[0]) if rest else 0
        orphan = Orphan(rest[1], int(rest[2]), rest[3] == "overdue") if len(rest) > 1 else None
        return cls(Path(home), (version, digest), failures, orphan)

    @property
    def arguments(self) -> list[str]:
        """The command line that `parse` reads."""
        found = [str(self.home), *self.marks, str(self.failures)]
        if self.orphan is not None:
            kind = "overdue" if self.orphan.overdue else "left"
            found += [self.orphan.rollout, str(self.orphan.epoch), kind]
        return found


def restore_recorded(layout: Layout, orphan: Orphan, say: Say) -> bool:
    """`restore`, with what the last `up` wrote down; whoever `backend.toml` names is told."""
    from backendctl.platforms.open import open_platform
    from backendctl.workflows.environment import Opened
    from backendctl.workflows.notifications import notifying
    from backendctl.workflows.rollouts import Means

    try:
        spec = promises(layout)
        platform = open_platform(layout.project, spec, layout.environment)
    except BackendctlError as error:
        say(f"rollout {orphan.rollout} cannot be brought to an end: {error.message}")
        return False
    environment = spec.environments[layout.environment]
    with notifying(Opened(layout.project, spec, environment, platform), Log(say)) as notify:
        return restore(platform, orphan, say, Means(notify=notify))


def main(arguments: list[str]) -> NoReturn:
    """One life of the process; ends by becoming the next one, or, if it cannot work, by exiting:
    the supervisor starts it again, ever more rarely."""
    task = Task.parse(arguments)
    layout, clock = Layout.of(task.home), SystemClock()
    say = log_line(clock)
    if task.orphan is not None:
        done = restore_recorded(layout, task.orphan, say)
        become(replace(task, orphan=None, failures=0 if done else task.failures + 1))
    try:
        meter = EnvoyMeter(layout, edges_ms(layout))
    except BackendctlError as error:
        say(f"{error.message} ({error.cause})")
        sys.exit(1)
    recorder = Recorder(meter.counters, meter.recorded.append, clock, say)
    wait = pause_after(task.failures)
    become(replace(task, orphan=watch(LocalStore(layout), recorder.turn, clock, say, wait)))


def become(task: Task) -> NoReturn:
    """Go on as another program: the process, its id and its log stay."""
    argv = [sys.executable, "-I", "-m", MODULE, *task.arguments]
    os.execv(sys.executable, argv)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main(sys.argv[1:])
