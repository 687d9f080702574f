"""One cell of the matrix: a driver dies at one place, another process recovers, all is checked."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from backendctl.platforms.base import Condition, Routes
from backendctl.rollout.history import serving
from backendctl.rollout.outcome import Outcome
from backendctl.rollout.records import check
from backendctl.rollout.states import Phase
from bench.crash_matrix.scenarios import Scenario, must_end
from bench.shop.drivers import Death, PatientJudge, run
from bench.shop.environment import Shop
from bench.shop.users import Report

SIDES = ("before", "after")
"""Of a record: what was to be recorded has been done and is not known to be; or what is to be done
next is recorded and not done."""


@dataclass
class Cell:
    """What became of one death."""

    scenario: str
    record: int
    """Number of the record, from 1, among those of the process that died."""
    side: str
    phase: str = ""
    """Phase of the rollout when the driver died; empty when none was in flight."""
    result: str = ""
    """How recovery ended it; empty when there was nothing to recover."""
    requests: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    beyond: bool = False
    """The driver ended by itself before that record: there was no death."""


@dataclass(frozen=True)
class _Before:
    """The environment before the rollout."""

    stable: int | None
    process: object
    """What tells stable's process from any other."""
    rollouts: int
    """How many there had been."""


class Crowd(Protocol):
    """Users of the shop, see bench.shop.users."""

    def report(self) -> Report:
        """What became of the requests since the report before."""
        ...


def play(
    shop: Shop, scenario: Scenario, users: Crowd | None, cell: Cell, *, deploy_next: bool = True
) -> None:
    """Let the driver die where `cell` says, recover, and fill the cell in.

    `deploy_next`: see that the environment takes another release; the next cell may show it too.
    """
    began = time.monotonic()
    scenario.before(shop)
    before = _look(shop)
    death = Death(cell.record, cell.side)
    ended = run(lambda: scenario.drive(shop.dying(death, scenario.cues)))
    if not ended.killed:
        cell.beyond = True
        must_end(scenario.result, ended)
        _check_users(users, cell)
        return
    dead = serving(shop.platform.store)
    if dead.rollout_in_flight is None:  # it had not begun, or its last record was written
        before = replace(_look(shop), rollouts=before.rollouts)
    cell.phase = _phase(shop, dead.rollout_in_flight)
    outcome = _done(cell, "recover", shop.recover)
    if outcome is not None:
        cell.result = outcome.result
        if outcome.result == "held":
            outcome = _decided(shop, cell)
    _check_end(shop, cell, before, outcome)
    _check_journals(shop, cell, before)
    if deploy_next:
        _check_next_deploy(shop, cell)
    _check_users(users, cell)
    cell.seconds = round(time.monotonic() - began, 2)


def _look(shop: Shop) -> _Before:
    stable = shop.stable
    rollouts = len(shop.platform.store.rollouts())
    return _Before(stable, shop.process_of(stable), rollouts)


def _phase(shop: Shop, rollout: str | None) -> str:
    if rollout is None:
        return ""
    phases = [r["phase"] for r in shop.platform.store.records(rollout) if "phase" in r]
    return str(phases[-1])


# --- recovering ---------------------------------------------------------------------------------


def _decided(shop: Shop, cell: Cell) -> Outcome | None:
    """What `recover` leaves held is a person's: one says resume, another abort."""
    verb = "abort" if cell.side == "before" else "resume"
    outcome = _done(cell, f"rollout {verb}", lambda: shop.say(verb))
    cell.result += f", {outcome.result if outcome is not None else 'nothing'}"
    return outcome


def _done(cell: Cell, what: str, work: Callable[[], Outcome | None]) -> Outcome | None:
    try:
        ended = run(work)
    except (TimeoutError, RuntimeError, EOFError) as error:
        cell.problems.append(f"{what}: {error}")
        return None
    if ended.code or ended.killed:
        cell.problems.append(f"{what}: {ended.code}: {ended.message}")
    return ended.outcome


# --- what must hold then ------------------------------------------------------------------------


def _check_end(shop: Shop, cell: Cell, before: _Before, outcome: Outcome | None) -> None:
    problems, now = cell.problems, serving(shop.platform.store)
    if outcome is not None and outcome.result not in ("promoted", "restored"):
        problems.append(f"it ended neither promoted nor restored: {outcome.result}")
    if now.rollout_in_flight is not None:
        problems.append(f"rollout {now.rollout_in_flight} is still in flight")
    for note in outcome.notes if outcome is not None else ():
        if "came too late" not in note:  # of a person who spoke as the driver died
            problems.append(f"something went wrong on the way: {note}")
    unwatched = cell.phase not in (Phase.DRAIN, Phase.DONE, Phase.HOLD)
    if cell.result == "promoted" and unwatched:
        problems.append(f"it was promoted from phase {cell.phase}, which nobody watched")
    if outcome is None or outcome.result == "restored":
        if now.stable != before.stable:
            problems.append(f"release {before.stable} served before, now {now.stable}")
        if shop.process_of(before.stable) != before.process:
            problems.append("the stable release was restarted: it was not kept warm")
    _check_serving(shop, problems, now.stable)
    problems.extend(f"an orphan process: {each}" for each in shop.strays().items())
    holder = shop.platform.store.holder()
    if holder is not None:
        problems.append(f"the lock is still held by {holder.owner}: {holder.command}")


def _check_serving(shop: Shop, problems: list[str], stable: int | None) -> None:
    platform = shop.platform
    expected = None if stable is None else Routes({stable: 100})
    routes = platform.router.read()
    if routes != expected:
        problems.append(f"the gateway serves {routes}, expected {expected}")
    running = list(platform.runtime.running())
    if running != ([] if stable is None else [stable]):
        problems.append(f"releases {running} run, and release {stable} serves")
    if stable is not None:
        condition = platform.runtime.status(stable).condition
        if condition is not Condition.READY:
            problems.append(f"release {stable} serves and is {condition}")
    connected = sorted(platform.meter.sample().arms)
    if connected != ([] if stable is None else [stable]):
        problems.append(f"the gateway knows releases {connected}, and release {stable} serves")


def _check_journals(shop: Shop, cell: Cell, before: _Before) -> None:
    """Whole, and each decision comes out the same when it is replayed."""
    store = shop.platform.store
    for rollout in list(store.rollouts())[before.rollouts - 1 if before.rollouts else 0 :]:
        differences = check(store.records(rollout), PatientJudge())
        cell.problems.extend(f"rollout {rollout} replays otherwise: {each}" for each in differences)


def _check_next_deploy(shop: Shop, cell: Cell) -> None:
    outcome = _done(cell, "the next deploy", lambda: shop.deploy(unjudged=True))
    if outcome is not None and outcome.result != "promoted":
        cell.problems.append(f"the next deploy was {outcome.result}: {outcome.reason}")
    _check_serving(shop, cell.problems, shop.stable)


def _check_users(users: Crowd | None, cell: Cell) -> None:
    if users is None:
        return
    report = users.report()
    cell.requests = report.requests
    if report.requests == 0:
        cell.problems.append("no user sent a request: nothing was shown")
    cell.problems.extend(f"a user's request failed: {failure}" for failure in report.failed)
    cell.problems.extend(report.broken)
