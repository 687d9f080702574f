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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from backendctl.clock import Clock, SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import Platform, Sample, Span, Store
from backendctl.platforms.counters import spans_between
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.meter import EnvoyMeter
from backendctl.platforms.local.recorded import edges_ms, promises
from backendctl.platforms.local.store import LocalStore
from backendctl.rollout.deadman import DeadMan, Orphan, in_flight

if TYPE_CHECKING:
    from backendctl.workflows.rollouts import Means

MODULE = "backendctl.workflows.watchdog"

NAME = "the environment's watchdog"
"""Who takes over, in the lock and in the journal."""

POLL = 1.0
"""Seconds between two looks at who holds the environment."""
LONGEST_WAIT = 60.0
"""Seconds between two attempts to restore, at most; the first wait is `POLL`, each next doubles."""
SPAN = 10.0
"""Seconds between two looks at the releases' counters."""
LONGEST_SPAN = 3 * SPAN
REPEAT = 600.0
"""Seconds after which the same trouble is said again."""

Say = Callable[[str], None]
Work = Callable[[], None]
Keep = Callable[[Sequence[Span]], None]


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


class Recorder:
    """Writes down what each release did, every `SPAN` seconds."""

    def __init__(self, look: Callable[[], Sample], keep: Keep, clock: Clock, say: Say) -> None:
        self._look = look
        self._keep = keep
        self._clock = clock
        self._say = say
        self._former: Sample | None = None
        self._next = clock.monotonic()

    def turn(self) -> None:
        """Sample if it is time to. What cannot be measured or written is left out, and said."""
        if self._clock.monotonic() < self._next:
            return
        self._next = self._clock.monotonic() + SPAN
        former, self._former = self._former, None
        try:
            sample = self._former = self._look()
            # What a span much longer than asked for (a halted machine) holds is no longer one.
            if former is not None and sample.at - former.at < LONGEST_SPAN:
                self._keep(spans_between(former, sample))
        except BackendctlError as error:
            self._say(f"traffic is not recorded: {error.message} ({error.cause})")
        except OSError as error:  # what is only recorded must not keep stable from being restored
            self._say(f"traffic is not recorded: {error}")


def watch(store: Store, record: Work, clock: Clock, say: Say, wait: float) -> Orphan:
    """Look at the store once a second, recording meanwhile, until somebody must restore.

    `wait`: seconds before the first look, after an attempt that failed.
    """
    deadman = DeadMan(store, clock)
    begin = clock.monotonic() + wait
    while True:
        record()
        orphan = None
        if clock.monotonic() >= begin:
            try:
                orphan = deadman.look()
            except BackendctlError as error:
                say(f"who holds the environment cannot be read: {error.message} ({error.cause})")
            except OSError as error:
                say(f"who holds the environment cannot be read: {error}")
        if orphan is not None:
            return orphan
        clock.wait(POLL)


def restore(platform: Platform, orphan: Orphan, say: Say, means: "Means | None" = None) -> bool:
    """Bring the rollout to its end as `rollout recover` does; False if that must be tried again.

    That somebody else was quicker, or has taken over since, is no failure and not worth a word.
    """
    from backendctl.workflows.rollouts import recover

    try:
        done = recover(
            platform,
            lambda _: None,
            by=NAME,
            reason=f"{orphan.reason}; {NAME} took over",
            end_hold=orphan.overdue,
            after=orphan.epoch,
            means=means,
        )
    except BackendctlError as error:
        if error.code in ("rollout.locked", "rollout.fenced"):
            return True
        say(f"rollout {orphan.rollout} could not be brought to an end: {error.message}")
        return False
    if done.outcome is None:
        return True
    say(f"rollout {done.outcome.rollout} is {done.outcome.result}: {done.outcome.reason}")
    for each in done.cleared:
        say(f"release {each.number}: {'stopped' if each.stopped else each.message}")
    left = in_flight(platform.store)
    return left is None or left.held_until is not None


def pause_after(failures: int) -> float:
    """Seconds to wait after so many failed attempts in a row: 1, 2, 4 ... at most 60."""
    return min(LONGEST_WAIT, POLL * 2.0 ** (failures - 1)) if failures else 0.0


def log_line(clock: Clock) -> Say:
    """To the log, but the same thing only once in a while; a full disk keeps nobody from acting."""
    told: dict[str, float] = {}

    def say(line: str) -> None:
        now = clock.monotonic()
        if line in told and now - told[line] < REPEAT:
            return
        told.clear()  # it holds no more than the newest trouble
        told[line] = now
        with suppress(OSError):
            print(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {line}", flush=True)

    return say


class Log:
    """The Progress of a process at which nobody looks: what a person must know goes to its log."""

    def __init__(self, say: Say) -> None:
        self.line = say

    def detail(self, text: str) -> None:  # noqa: ARG002 - nobody asks for more
        return

    def emit(self, event: str, data: Mapping[str, Any]) -> None:  # noqa: ARG002 - for programs
        return

    @contextmanager
    def step(self, name: str) -> Iterator[Say]:  # noqa: ARG002 - nobody waits for it
        yield self.detail


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
