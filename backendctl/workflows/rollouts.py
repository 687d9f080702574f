"""Rollouts as commands need them: run one, roll back, speak to one that runs, recover, tell."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from backendctl.clock import Clock, SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import (
    Holder,
    PersonCommand,
    Platform,
    Release,
    ReleaseStatus,
    Routes,
)
from backendctl.rollout import machine
from backendctl.rollout.driver import Driver
from backendctl.rollout.effects import Effects
from backendctl.rollout.events import Event, Forecasted
from backendctl.rollout.explain import Explanation, because, explain, next_commands
from backendctl.rollout.history import (
    Follower,
    Serving,
    Summary,
    next_identifier,
    resolve,
    serving,
    summaries,
    summary,
)
from backendctl.rollout.judge import Judge, shipped
from backendctl.rollout.lease import Lease, held
from backendctl.rollout.observations import Command, TakenOver
from backendctl.rollout.planning import Baseline, expected, look_at_traffic, plan_rollout
from backendctl.rollout.records import fold
from backendctl.rollout.recover import Cleared, clear_leftovers, waits_for_person
from backendctl.rollout.schema import check_schema, last_migrated
from backendctl.rollout.smoke import Probe, probe
from backendctl.rollout.states import HoldKind, Kind, Phase, Result, State, Word
from backendctl.rollout.verdict import Forecast
from backendctl.spec.model import Spec, Strategy

OnEvent = Callable[[Event], None]
FOLLOW = 0.25
"""Seconds between two looks at another process's journal."""
HEARD = 30.0
"""Seconds within which a living driver takes a command in, unless it runs a migration."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a rollout ended, or that it waits."""

    rollout: str
    kind: Kind
    candidate: int
    stable: int | None
    result: Literal["promoted", "restored", "held"]
    reason: str
    tail: tuple[str, ...] = ()
    """The candidate's last log lines when it failed."""
    notes: tuple[str, ...] = ()
    held_until: float | None = None
    next: tuple[str, ...] = ()
    signalled: bool = False
    """It was undone because its process was told to stop."""

    @property
    def serving(self) -> int | None:
        """The release that serves most users now."""
        return self.candidate if self.result == "promoted" else self.stable

    def data(self) -> dict[str, Any]:
        """For the JSON answer."""
        return {
            "rollout": self.rollout,
            "kind": self.kind.value,
            "candidate": self.candidate,
            "stable": self.stable,
            "result": self.result,
            "reason": self.reason,
            "log_tail": list(self.tail),
            "notes": list(self.notes),
            "held_until": self.held_until,
        }

    def error(self) -> BackendctlError | None:
        """None when the candidate serves; else the error that says what happened instead."""
        if self.result == "promoted":
            return None
        if self.result == "held":
            code, said = "rollout.held", f"rollout {self.rollout} waits for a person"
            state = "the gateway keeps its present weights"
        else:
            code = "interrupted" if self.signalled else "rollout.rolled-back"
            said = f"release {self.candidate} was rolled back"
            state = f"release {self.stable} serves all requests"
            if self.stable is None:
                said, state = f"release {self.candidate} was withdrawn", "no release serves"
        cause = "\n".join((self.reason, *(f"| {line}" for line in self.tail)))
        return BackendctlError(
            code, said, cause=cause, state=state, next=self.next, data=self.data()
        )


@dataclass(frozen=True, slots=True)
class Means:
    """What a rollout works with besides the platform; tests put their own in."""

    clock: Clock = field(default_factory=SystemClock)
    probe: Probe = probe
    judge: Judge = field(default_factory=shipped)
    on_line: Callable[[str], None] = lambda _: None
    """Lines of a migration's output."""


# --- running ----------------------------------------------------------------------------------


def run_rollout(
    platform: Platform,
    spec: Spec,
    candidate: Release,
    strategy: Strategy,
    on_event: OnEvent,
    *,
    lease: Lease,
    by: str,
    override: Word | None = None,
    means: Means | None = None,
) -> Outcome:
    """Bring `candidate` into service as the strategy says; returns once it serves, was undone or
    waits for a person.

    `override` promotes without a verdict, on the word of the person it names. Raises
    `rollout.state` while another rollout is in flight, `rollout.unjudgeable` (nothing changed)
    when traffic is too low for a verdict, and what `Driver.run` raises.
    """
    means = means or Means()
    now = _no_rollout_in_flight(platform)
    if now.stable is None:
        kind = Kind.FIRST
    else:
        kind = Kind.CANARY if strategy is Strategy.CANARY else Kind.BLUE_GREEN
    baseline = look_at_traffic(platform, means.clock, now.stable)
    plan = plan_rollout(spec, kind, candidate, now, baseline, by)
    rollout = next_identifier(platform.store)
    ahead = expected(plan, baseline)
    if ahead is not None:
        on_event(Forecasted(means.clock.now(), rollout, baseline.rps, ahead))
        if not ahead.possible and override is None:
            raise _unjudgeable(ahead, baseline)
    driver = _driver(platform, lease, rollout, on_event, means)
    driver.begin(plan)
    if override is not None:
        driver.hear(Command("promote", override.by, override.reason))
    return _outcome(rollout, driver.run())


def run_rollback(
    platform: Platform,
    spec: Spec,
    on_event: OnEvent,
    *,
    by: str,
    to: int | None = None,
    reason: str = "",
    means: Means | None = None,
) -> Outcome:
    """Go back to release `to`, or to the one that served before the present one.

    While a rollout is in flight this is its abort, which only moves weights. Raises
    `missing.release`, `rollout.state`, `release.schema`, `rollout.locked`, nothing changed.
    """
    means = means or Means()
    now = serving(platform.store)
    if now.rollout_in_flight is not None:
        if to is not None and to != now.stable:
            raise _in_flight(now.rollout_in_flight, f"it would go back to release {now.stable}")
        return post_command(
            platform, "abort", on_event, by=by, reason=reason or "rollback", means=means
        )
    target = _target(platform, now, to)
    check_schema(target, platform.store.releases(), last_migrated(platform.store))
    with held(platform.store, by, "rollback", clock=means.clock) as lease:
        now = _no_rollout_in_flight(platform)
        ran = target.number in platform.runtime.running()
        nobody = Baseline(0.0, None)
        plan = plan_rollout(spec, Kind.ROLLBACK, target, now, nobody, by, candidate_ran=ran)
        rollout = next_identifier(platform.store)
        driver = _driver(platform, lease, rollout, on_event, means)
        driver.begin(plan)
        return _outcome(rollout, driver.run())


def _target(platform: Platform, now: Serving, to: int | None) -> Release:
    number = now.previous if to is None else to
    if number is None:
        raise BackendctlError(
            "missing.release",
            "there is no release to go back to",
            cause="no release served before the present one",
            state="nothing was changed",
            next=("backendctl rollout history",),
        )
    if number == now.stable:
        raise BackendctlError(
            "rollout.state",
            f"release {number} already serves",
            state="nothing was changed",
            next=("backendctl status",),
        )
    for release in platform.store.releases():
        if release.number == number:
            return release
    raise BackendctlError(
        "missing.release",
        f"there is no release {number}",
        state="nothing was changed",
        next=("backendctl rollout history",),
    )


# --- speaking to a rollout --------------------------------------------------------------------


def post_command(
    platform: Platform,
    verb: Literal["pause", "resume", "promote", "abort"],
    on_event: OnEvent,
    *,
    by: str,
    reason: str,
    means: Means | None = None,
) -> Outcome:
    """Tell the rollout in flight what a person wants, and follow it until that is so.

    A living driver is left to do it; a held rollout that nobody drives is driven from here.
    `held` in the answer also stands for "goes on" after a resume that was heard. Raises
    `rollout.state` when there is no rollout, or it is not in a state for that.
    """
    means = means or Means()
    store = platform.store
    rollout = _rollout_in_flight(platform)
    state = fold(store.records(rollout), means.judge)
    _check_verb(rollout, state, verb)
    word = PersonCommand(verb, by, reason, means.clock.now())
    if driver_lives(platform, means.clock):
        store.post(rollout, word)
        return _follow(platform, rollout, verb, on_event, means)
    if not waits_for_person(state) and verb in ("pause", "resume", "promote"):
        raise _driver_dead(rollout, state)
    with held(store, by, f"rollout {verb}", clock=means.clock) as lease:
        store.post(rollout, word)
        driver = _driver(platform, lease, rollout, on_event, means)
        driver.take_over(TakenOver(by, "undo" if verb == "abort" else "go-on", reason))
        return _outcome(rollout, driver.run())


def _check_verb(rollout: str, state: State, verb: str) -> None:
    paused = state.hold is not None or state.pause is not None
    if state.phase in machine.NO_RETURN:
        why = f"it is in phase {state.phase} and will be through in a moment"
    elif verb == "resume" and not paused:
        why = "it is not paused or held"
    elif verb == "pause" and paused:
        why = "it is paused or held already"
    else:
        return
    raise BackendctlError(
        "rollout.state",
        f"rollout {rollout} cannot {verb}: {why}",
        state="nothing was changed",
        next=("backendctl rollout status",),
    )


def _follow(
    platform: Platform, rollout: str, verb: str, on_event: OnEvent, means: Means
) -> Outcome:
    """Watch another process heed a command just posted."""
    wanted = len(platform.store.posted(rollout))
    follower = Follower(platform.store, rollout, means.judge)
    follower.advance()  # what came before is known to whoever asked
    until = means.clock.monotonic() + HEARD
    while True:
        for event in follower.advance():
            on_event(event)
        state = follower.state
        if state is not None and state.commands >= wanted and _heeded(state, verb):
            return _outcome(rollout, state)
        heard = state is not None and state.commands >= wanted
        late = not heard and means.clock.monotonic() >= until
        if late or not driver_lives(platform, means.clock):
            raise _driver_dead(rollout, state)
        means.clock.wait(FOLLOW)


def _heeded(state: State, verb: str) -> bool:
    match verb:
        case "abort":
            return state.ended or state.hold is not None
        case "pause":
            return state.ended or state.hold is not None or state.pause is not None
        case _:
            return True


# --- recovery ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recovered:
    """What recovery found and did."""

    outcome: Outcome | None
    """None when no rollout was in flight."""
    cleared: tuple[Cleared, ...]


def recover(
    platform: Platform,
    on_event: OnEvent,
    *,
    by: str,
    wish: Literal["abort", "promote"] | None = None,
    reason: str = "",
    take_over: bool = False,
    means: Means | None = None,
) -> Recovered:
    """Finish or undo what a dead driver left, then stop what belongs to nothing.

    `wish`: what a person wants instead of what `rollout/recover.py` says. `take_over`: also from a
    holder that is not known to be dead. Raises `rollout.locked` while a driver lives.
    """
    means = means or Means()
    store = platform.store
    with held(store, by, "rollout recover", take_over=take_over, clock=means.clock) as lease:
        rollout = serving(store).rollout_in_flight
        outcome = None
        if rollout is not None:
            state = fold(store.records(rollout), means.judge)
            if waits_for_person(state) and wish is None:
                return Recovered(_outcome(rollout, state), ())
            said = reason or f"its driver was gone; {by} took over"
            choice: Literal["undo", "go-on"] = "go-on" if wish == "promote" else "undo"
            if wish == "promote":
                store.post(rollout, PersonCommand("promote", by, said, means.clock.now()))
            driver = _driver(platform, lease, rollout, on_event, means)
            driver.take_over(TakenOver(by, choice, said))
            outcome = _outcome(rollout, driver.run())
        now = serving(store)
        cleared = () if now.rollout_in_flight else tuple(clear_leftovers(platform, now))
        return Recovered(outcome, cleared)


# --- telling ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Status:
    """One look at who serves and what a rollout does."""

    serving: Serving
    routes: Routes | None
    """What the gateway really serves; None if it serves nothing or cannot be asked."""
    rollout: Summary | None
    """In flight, or the last one."""
    state: State | None
    """Of the rollout in flight."""
    driver: Holder | None
    driver_lives: bool
    releases: Mapping[int, ReleaseStatus]
    next: tuple[str, ...]


def status(platform: Platform, means: Means | None = None) -> Status:
    """Look once; changes nothing and needs no lock."""
    means = means or Means()
    store = platform.store
    now = serving(store)
    known = store.rollouts()
    state, found = None, None
    if known:
        records = store.records(known[-1])
        found = summary(known[-1], records)
        if now.rollout_in_flight is not None:
            state = fold(records, means.judge)
    lives = driver_lives(platform, means.clock)
    numbers = {n for n in (now.stable, state.plan.candidate if state else None) if n is not None}
    dead = state is not None and not lives and not waits_for_person(state)
    return Status(
        serving=now,
        routes=_routes(platform),
        rollout=found,
        state=state,
        driver=store.holder(),
        driver_lives=lives,
        releases={n: platform.runtime.status(n) for n in sorted(numbers)},
        next=("backendctl rollout recover",) if dead else next_commands(state) if state else (),
    )


def _routes(platform: Platform) -> Routes | None:
    try:
        return platform.router.read()
    except BackendctlError:
        return None


def watch(
    platform: Platform, rollout: str | None = None, means: Means | None = None
) -> Iterator[Event]:
    """Everything that happened in a rollout and then what happens, until it ends or is held.

    Raises `missing.rollout`, and `rollout.state` when its driver is gone.
    """
    means = means or Means()
    name = resolve(platform.store, rollout)
    follower = Follower(platform.store, name, means.judge)
    while True:
        yield from follower.advance()
        state = follower.state
        if state is None or state.ended:
            return
        if not driver_lives(platform, means.clock):
            yield from follower.advance()
            state = follower.state
            if state is not None and not state.ended and not waits_for_person(state):
                raise _driver_dead(name, state)
            return
        means.clock.wait(FOLLOW)


def history(platform: Platform) -> Iterator[Summary]:
    """Every rollout of the environment, newest first."""
    return summaries(platform.store)


def explain_rollout(
    platform: Platform, rollout: str | None = None, means: Means | None = None
) -> Explanation:
    """Why a rollout ended as it did, decision by decision; the newest if none is named."""
    means = means or Means()
    name = resolve(platform.store, rollout)
    return explain(name, platform.store.records(name), means.judge)


def driver_lives(platform: Platform, clock: Clock) -> bool:
    """Whether some process holds the environment and may be alive."""
    holder = platform.store.holder()
    return holder is not None and holder.alive is not False and holder.expires > clock.now()


# --- inside -----------------------------------------------------------------------------------


def _driver(
    platform: Platform, lease: Lease, rollout: str, on_event: OnEvent, means: Means
) -> Driver:
    effects = Effects(platform, means.clock, means.probe, means.on_line)
    return Driver(
        platform,
        lease,
        rollout,
        effects=effects,
        judge=means.judge,
        clock=means.clock,
        on_event=on_event,
    )


def _outcome(rollout: str, state: State) -> Outcome:
    plan, hold = state.plan, state.hold
    why = hold.why if hold is not None else state.why
    result: Literal["promoted", "restored", "held"] = "held"
    if state.result is not None:
        result = "promoted" if state.result is Result.PROMOTED else "restored"
    return Outcome(
        rollout=rollout,
        kind=plan.kind,
        candidate=plan.candidate,
        stable=plan.stable,
        result=result,
        reason=because(state),
        tail=why.tail if why is not None and result != "promoted" else (),
        notes=state.notes,
        held_until=hold.until if hold is not None else None,
        next=next_commands(state),
        signalled=why is not None and why.code == "interrupted",
    )


def _no_rollout_in_flight(platform: Platform) -> Serving:
    now = serving(platform.store)
    if now.rollout_in_flight is not None:
        raise _in_flight(now.rollout_in_flight, "it has to end first")
    return now


def _in_flight(rollout: str, why: str) -> BackendctlError:
    return BackendctlError(
        "rollout.state",
        f"rollout {rollout} is in flight: {why}",
        state="nothing was changed",
        next=(
            "backendctl rollout status",
            "backendctl rollout abort",
            "backendctl rollout recover",
        ),
    )


def _rollout_in_flight(platform: Platform) -> str:
    rollout = serving(platform.store).rollout_in_flight
    if rollout is None:
        raise BackendctlError(
            "rollout.state",
            "no rollout is in flight",
            state="nothing was changed",
            next=("backendctl rollout history",),
        )
    return rollout


def _driver_dead(rollout: str, state: State | None) -> BackendctlError:
    phase = state.phase if state is not None else Phase.PREPARE
    stuck = state is not None and state.hold is not None and state.hold.kind is HoldKind.STUCK
    cause = state.hold.why.message if stuck and state and state.hold else "its driver is gone"
    return BackendctlError(
        "rollout.state",
        f"nobody drives rollout {rollout}, which is in phase {phase}",
        cause=cause,
        state="the gateway keeps its present weights",
        next=("backendctl rollout recover",),
    )


def _unjudgeable(ahead: Forecast, baseline: Baseline) -> BackendctlError:
    cause = "; ".join(ahead.advice)
    if baseline.problem:
        cause = f"the present traffic could not be measured ({baseline.problem}); {cause}"
    return BackendctlError(
        "rollout.unjudgeable",
        f"at {baseline.rps:.2g} requests per second no verdict is possible before the deadline",
        cause=cause,
        state="nothing was changed",
        next=("backendctl deploy --strategy blue-green", "backendctl rollout history"),
    )
