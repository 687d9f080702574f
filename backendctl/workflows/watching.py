"""What an environment's watchdog does, wherever it runs: it records the traffic of the releases,
and restores stable when a rollout's driver is gone and nobody recovers it.

Imports little until it has something to restore: who watches is resident.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from backendctl.clock import Clock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import Platform, Sample, Span, Store
from backendctl.platforms.counters import spans_between
from backendctl.rollout.deadman import DeadMan, Orphan, in_flight

if TYPE_CHECKING:
    from backendctl.workflows.rollouts import Means

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


def watch(
    store: Store, record: Work, clock: Clock, say: Say, wait: float, poll: float = POLL
) -> Orphan:
    """Look at the store every `poll` seconds, recording meanwhile, until somebody must restore.

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
        clock.wait(poll)


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
