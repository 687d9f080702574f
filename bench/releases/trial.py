"""The trial: an environment brought up once, users who never pause, and one release after another.

Each release is deployed over the same good one: what was promoted is rolled back, what is held is
taken back, and then the next is tried.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.releases.change import Change, write
from bench.releases.impact import BASE, Impact, Log
from bench.releases.product import Answer, Backendctl

PRIORITY = -5
"""Niceness of the users: as on a machine of their own. Given only to root."""
REPORT_SECONDS = 60.0
SETTLE = 3.0
"""Seconds between two releases: late answers are still of the one before."""
RESULTS = {
    "rollout.rolled-back": "undone",
    "rollout.held": "held",
    "rollout.unjudgeable": "not tried",
    "migration.hazard": "refused",
    "migration.contract": "refused",
}
"""What a deploy that did not promote calls its error; any other is an error, by its code."""
TRIES = 2
"""Of a deploy that backendctl would not begin because the base release was judged too restless."""
RETRY = 20.0
"""Seconds between two of them."""


@dataclass(frozen=True)
class Trial:
    """What became of one release."""

    release: str
    good: bool
    what: str
    blind: str
    exit: int
    result: str
    """promoted, undone, refused, held, not tried, or an error's code."""
    seconds: float
    reason: str
    """In backendctl's own words."""
    impact: Impact
    trouble: list[str] = field(default_factory=list)
    """What went wrong on the way back to the base release."""
    tries: int = 1
    load: float = 0.0
    """The machine's load average over the last minute, when it ended."""

    @property
    def wrong(self) -> bool:
        """Whether it is a mistake: bad and promoted, or good and turned away."""
        if self.blind:
            return False
        if self.result in ("held", "not tried"):
            return bool(self.trouble)
        return self.good is not (self.result == "promoted") or bool(self.trouble)


def play(
    program: Path,
    folder: Path,
    releases: Sequence[Change],
    rate: float,
    on_trial: Callable[[Trial], None],
) -> None:
    """Deploy each release in a new environment in `folder`; nothing of it runs afterwards."""
    project = folder / "shop"
    write(None, project)
    backendctl = Backendctl(program, project, folder / "backendctl.log")
    try:
        up = backendctl("up")
        if up.exit != 0:
            raise RuntimeError(f"the environment does not come up: {up.error}")
        base = int(up.data["release"])
        with _users(str(up.data["url"]), rate, folder / "users.log") as check:
            log = Log(folder / "users.log")
            time.sleep(SETTLE)
            for change in releases:
                on_trial(_one(backendctl, change, base, log))
                check()
    finally:
        backendctl("down", "--purge", "--confirm", "local")


@contextmanager
def _users(url: str, rate: float, log: Path) -> Iterator[Callable[[], None]]:
    """Yields a check that they still come."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.releases.users", url, str(rate), str(log)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )

    def check() -> None:
        if process.poll() is not None:
            raise RuntimeError(f"the users are gone: exit {process.returncode}")

    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, process.pid, PRIORITY)
    try:
        yield check
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait(60)


def _one(backendctl: Backendctl, change: Change, base: int, log: Log) -> Trial:
    write(change, backendctl.project)
    tries = 0
    while True:
        tries += 1
        log.read(change.name)
        with _reader(backendctl, change.reader):
            answer = backendctl("deploy", "--note", change.name)
        result = _result(answer)
        if result != "not tried" or tries == TRIES:
            break
        time.sleep(RETRY)
    trouble = _back(backendctl, base, result)
    time.sleep(SETTLE)
    seen = log.read(change.name)
    if seen.last != [BASE]:
        trouble.append(f"at the end it is not the base release alone that answers: {seen.last}")
    return Trial(
        release=change.name,
        good=change.good,
        what=change.what,
        blind=change.blind,
        exit=answer.exit,
        result=result,
        seconds=round(answer.seconds, 1),
        reason=_reason(answer),
        impact=seen,
        trouble=trouble,
        tries=tries,
        load=round(os.getloadavg()[0], 1),
    )


@contextmanager
def _reader(backendctl: Backendctl, wanted: bool) -> Iterator[None]:
    """A report that has begun to read the orders."""
    if not wanted:
        yield
        return
    process = backendctl.start("exec", "--", "python", "-m", "app.report", str(REPORT_SECONDS))
    try:
        if process.stdout is None or not process.stdout.readline():
            raise RuntimeError("the report does not begin")
        yield
    finally:
        process.terminate()
        process.wait(60)


def _result(answer: Answer) -> str:
    if answer.exit == 0:
        return "promoted"
    code = str((answer.error or {}).get("code"))
    return RESULTS.get(code, code)


def _reason(answer: Answer) -> str:
    if answer.error is None:
        return str(answer.data.get("reason", ""))
    said = [str(answer.error[key]) for key in ("message", "cause") if answer.error.get(key)]
    return ": ".join(said) or "no reason given"


def _back(backendctl: Backendctl, base: int, result: str) -> list[str]:
    """Make the base release serve alone again; what went wrong with that."""
    steps: list[Answer] = []
    if result == "held":
        steps.append(backendctl("rollout", "abort", "--reason", "the trial goes on"))
    if result == "promoted":
        steps.append(backendctl("rollback", str(base), "--reason", "the trial goes on"))
    return [
        f"{' '.join(each.words)}: exit {each.exit}: {each.error}"
        for each in steps
        # An abort says that it undid a rollout with the exit status of one that was undone.
        if each.exit != 0 and (each.error or {}).get("code") != "rollout.rolled-back"
    ]
