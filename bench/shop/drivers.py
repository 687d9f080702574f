"""Processes that drive a rollout and may be killed at an exact record of its journal.

A driver is forked from a process that has everything imported: a real process with its own pid,
which costs milliseconds. The kill is a real signal, sent to itself right before or right after the
store has made a record durable; nothing in the product knows of it.
"""

import dataclasses
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Grant, PersonCommand, Platform
from backendctl.rollout import driver, planning, verdict
from backendctl.rollout.outcome import Outcome
from backendctl.rollout.verdict import Decision
from backendctl.workflows.rollouts import Means, commands

FORK = multiprocessing.get_context("fork")
DEADLINE = 60.0
"""Seconds for any one process; each takes a few."""

SUSPICIOUS = 1.5
"""Evidence against a candidate from which on it has to wait for the verdict."""

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Death:
    """Where a driver is hit: before or after record number `record` (from 1) is durable, or the
    first record that `when` is true of."""

    record: int
    side: str
    when: Callable[[Record], bool] | None = None
    signal: int = signal.SIGKILL

    def strikes(self, number: int, side: str, record: Record) -> bool:
        """Whether it is there."""
        there = number == self.record if self.when is None else self.when(record)
        return side == self.side and there


@dataclass(frozen=True)
class Cue:
    """A person says `verb` once the driver has written a record that `when` is true of; or
    nothing, and the next cue is waited for."""

    when: Callable[[Record], bool]
    verb: str = ""


class DyingStore:
    """A Store whose process dies at an exact record; otherwise the store itself."""

    def __init__(self, platform: Platform, death: Death | None, cues: tuple[Cue, ...]) -> None:
        self._store = platform.store
        self._death = death
        self._cues = list(cues)
        self._written = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def append(self, grant: Grant, rollout: str, record: Record) -> None:
        self._written += 1
        self._die("before", record)
        self._store.append(grant, rollout, record)
        if self._cues and self._cues[0].when(record):
            verb = self._cues.pop(0).verb
            if verb:
                self._say(rollout, verb)
        self._die("after", record)

    def _say(self, rollout: str, verb: str) -> None:
        self._store.post(rollout, PersonCommand(verb, "on-call", "as planned", time.time()))

    def _die(self, side: str, record: Record) -> None:
        death = self._death
        if death is not None and death.strikes(self._written, side, record):
            os.kill(os.getpid(), death.signal)


class PatientJudge:
    """The verdict itself, except that what it has nothing against passes once its step's least
    time is over: certainty takes hundreds of requests, and these benches are about the machine."""

    def __getattr__(self, name: str) -> Any:
        return getattr(verdict, name)

    def judge(self, plan: Any, evidence: Any, elapsed_in_step: float, *more: Any) -> Any:
        judgement = verdict.judge(plan, evidence, elapsed_in_step, *more)
        seen = evidence.candidate > 0 and elapsed_in_step >= plan.warm_up + plan.step_time
        clean = judgement.numbers["evidence"] <= SUSPICIOUS
        if judgement.decision is Decision.CONTINUE and seen and clean:
            return dataclasses.replace(judgement, decision=Decision.PASS)
        return judgement


def means() -> Means:
    return Means(judge=PatientJudge())


def quicken() -> None:
    """Look and measure more often than in production, so that a rollout takes seconds."""
    planning.TRAFFIC_WINDOW = 0.5
    planning.SHORTEST_BLOCK = 0.25
    driver.POLL = 0.05
    commands.FOLLOW = 0.05


@dataclass(frozen=True)
class Ended:
    """What became of a driver's process."""

    killed: bool
    """By its Death."""
    outcome: Outcome | None = None
    code: str = ""
    """Of the error it ended with; `bug` for one that nobody foresaw."""
    message: str = ""


class Running:
    """A driver's process."""

    def __init__(self, work: Callable[[], Outcome | None]) -> None:
        self._receive, send = FORK.Pipe(duplex=False)
        self.process = FORK.Process(target=_child, args=(work, send))
        self.process.start()
        send.close()

    @property
    def pid(self) -> int:
        if self.process.pid is None:
            raise RuntimeError("the process was not started")
        return self.process.pid

    def wait(self) -> Ended:
        """Its end. Raises TimeoutError, after killing it, when it does not come."""
        if not self._receive.poll(DEADLINE):
            self.process.kill()
            self.process.join()
            raise TimeoutError(f"a driver took more than {DEADLINE:g} s")
        try:
            ended: Ended = self._receive.recv()
        except EOFError:
            ended = Ended(killed=True)
        self.process.join()
        self._receive.close()
        if ended.killed and self.process.exitcode != -signal.SIGKILL:
            raise RuntimeError(f"a driver ended by itself: exit status {self.process.exitcode}")
        return ended


def run(work: Callable[[], Outcome | None]) -> Ended:
    """Do `work` in a process of its own, to its end."""
    return Running(work).wait()


def _child(work: Callable[[], Outcome | None], send: Connection) -> None:
    os.setsid()  # Ctrl-C is for the bench, which cleans up
    signal.signal(signal.SIGINT, signal.default_int_handler)
    quicken()
    try:
        ended = Ended(False, work())
    except BackendctlError as error:
        ended = Ended(False, None, error.code, f"{error.message} ({error.cause})")
    except Exception:
        ended = Ended(False, None, "bug", traceback.format_exc())
    send.send(ended)
