"""Drives one rollout: journals what was seen and decided, does it, looks again.

Write-ahead: each transition is durable in the journal before its intent is done, and the intent's
outcome is the next transition. Whatever kills this process, the journal says what may have been
done, and all of it can be done again.

Ctrl-C or SIGTERM (both arrive as KeyboardInterrupt)
- before or at a step, and in the bake: recorded as an abort; stable is restored before we leave.
- on hold: we leave, and the hold stands with its own deadline.
- while draining after the bake, or while an abort is under way: it is finished; that is short.
- a second time: we leave at once, and `backendctl rollout recover` finishes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from backendctl import interrupts
from backendctl.clock import Clock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import PersonCommand, Platform, Sample
from backendctl.rollout import machine
from backendctl.rollout.copying import copied_between
from backendctl.rollout.effects import PASSING, Effects, retrying
from backendctl.rollout.events import Event, events_of
from backendctl.rollout.explain import next_commands
from backendctl.rollout.history import summary, takeovers
from backendctl.rollout.judge import Judge
from backendctl.rollout.lease import Lease
from backendctl.rollout.observations import (
    Command,
    Copied,
    Measured,
    Observation,
    Outcome,
    TakenOver,
    Tick,
)
from backendctl.rollout.observe import block_between
from backendctl.rollout.records import Record, Transition, begun, fold, record_of
from backendctl.rollout.samples import take, to_record
from backendctl.rollout.states import HoldKind, Phase, RolloutPlan, State
from backendctl.rollout.wording import moment

POLL = 0.5
"""Seconds between two looks at the candidate's health and at what a person wants."""

OnEvent = Callable[[Event], None]


class Driver:
    """One process's work on one rollout, under one lease."""

    def __init__(
        self,
        platform: Platform,
        lease: Lease,
        rollout: str,
        *,
        effects: Effects,
        judge: Judge,
        clock: Clock,
        on_event: OnEvent,
        stay: bool = False,
    ) -> None:
        """`stay`: keep watching an inconclusive rollout instead of leaving it held."""
        self._platform = platform
        self._lease = lease
        self._rollout = rollout
        self._effects = effects
        self._judge = judge
        self._clock = clock
        self._on_event = on_event
        self._stay = stay
        self._zero = clock.now() - clock.monotonic()
        self._state: State | None = None
        self._signalled = False
        self._owes_samples = False
        self._bug: Exception | None = None
        self._takeovers = 0
        self._window: _Window | None = None

    # --- beginnings ---

    def begin(self, plan: RolloutPlan) -> None:
        """Record a new rollout."""
        with self._noticing_signals():
            transition, record = begun(self._rollout, plan, self._now())
            self._append(record)
            self._state = transition.after
            self._tell(transition)

    def take_over(self, observation: Observation) -> None:
        """Go on from the journal, after recording what this process was asked to do with it."""
        with self._noticing_signals():
            self._reload()
            self._feed(observation)
            self._take_commands()

    def hear(self, command: Command) -> None:
        """Take in a command that was given with the rollout itself."""
        with self._noticing_signals():
            self._feed(command)

    @contextmanager
    def _noticing_signals(self) -> Iterator[None]:
        """A signal before `run` undoes what was recorded; with nothing recorded it just leaves."""
        try:
            yield
        except KeyboardInterrupt:
            interrupts.heed()
            if self._rollout not in self._platform.store.rollouts():
                raise
            self._signalled = True
            self._reload()

    # --- the loop ---

    def run(self) -> State:
        """Drive until the rollout has ended or waits for a person.

        Raises `rollout.fenced` when another run has taken over, `interrupted` when a signal left
        it held or came twice, the store's error when the journal cannot be written; then the
        weights are as last confirmed and `recover` goes on. An error that nobody foresaw undoes
        the rollout first and is raised then.
        """
        times = 0
        over = False
        while not over:
            try:
                over = self._over()
                if not over:
                    self._turn()
            except KeyboardInterrupt:
                interrupts.heed()
                times += 1
                if times > 1 or self.state.phase is Phase.HOLD:
                    raise self._left(times) from None
                self._signalled = True
            except BackendctlError as error:
                if error.code == "rollout.fenced":
                    self._say_who(error)
                raise
        if self._bug is not None:
            self._bug.add_note(f"rollout {self._rollout} is {self.state.phase}")
            raise self._bug
        return self.state

    @property
    def state(self) -> State:
        """As of the last transition."""
        if self._state is None:
            raise RuntimeError("the driver has neither begun nor taken over a rollout")
        return self._state

    def _over(self) -> bool:
        hold = self.state.hold
        if hold is None:
            return self.state.ended
        if hold.kind in (HoldKind.PAUSED, HoldKind.APPROVAL) or self._signalled:
            return False
        return hold.kind is HoldKind.STUCK or not self._stay

    def _turn(self) -> None:
        if interrupts.unheeded():
            raise KeyboardInterrupt
        self._check_lease()
        if self._signalled:
            self._reload()  # the signal may have come between the journal and our memory of it
            self._signalled = False
            whose = f"Ctrl-C or SIGTERM to the process that drove it ({self._lease.grant.owner})"
            self._feed(Command("abort", machine.SIGNAL, whose))
        self._take_commands()
        if self._over():
            return
        if self.state.queue:
            self._do()
        else:
            self._watch()

    def _do(self) -> None:
        state = self.state
        head, serial = state.queue[0], state.serial
        final = state.phase in machine.NO_RETURN
        try:
            outcome = self._effects.perform(
                head, serial, state.plan, lambda: final or not self._wanted()
            )
        except BackendctlError:
            raise
        except Exception as error:
            self._bug = error
            outcome = Outcome(serial, False, "bug", f"{type(error).__name__}: {error}")
        if outcome is not None:
            self._feed(outcome)

    def _watch(self) -> None:
        """One look at a rollout whose traffic is being watched."""
        plan = self.state.plan
        self._feed(self._effects.health(plan.candidate, self.state.restarts, plan.stable))
        if not self.state.observing:
            return
        window = self._present_window()
        now = self._now()
        if now >= window.until:
            self._window = None
            copying = self.state.phase is Phase.MIRROR
            self._feed(self._copied(window, now) if copying else self._measured(window, now))
        else:
            self._feed(Tick())
        if self.state.observing:
            self._clock.wait(max(0.0, min(POLL, window.until - self._now())))

    # --- measurement ---

    def _present_window(self) -> "_Window":
        """The block under way; a new one after each shift, so that none spans it."""
        key = self.state.serial
        if self._window is None or self._window.key != key:
            sample, problem = self._sample()
            start = self._now()
            self._window = _Window(key, start, start + self.state.block, sample, problem)
        return self._window

    def _measured(self, window: "_Window", now: float) -> Measured:
        sample, problem = self._sample()
        plan = self.state.plan
        verdict = self.state.verdict
        block, missing = block_between(
            window.sample,
            sample,
            start=window.start,
            end=now,
            candidate=plan.candidate,
            stable=plan.stable,
            thresholds=verdict.thresholds if verdict else {},
            uncompared=verdict.uncompared if verdict else (),
            optional=verdict.optional if verdict else (),
        )
        self._window = _Window(window.key, now, now + self.state.block, sample, problem)
        return Measured(block, window.problem or problem or missing)

    def _copied(self, window: "_Window", now: float) -> Copied:
        sample, problem = self._sample()
        plan = self.state.plan
        if plan.stable is None:
            raise ValueError("requests are copied although no release answers them")
        copied = copied_between(
            window.sample,
            sample,
            start=window.start,
            end=now,
            candidate=plan.candidate,
            stable=plan.stable,
        )
        self._window = _Window(window.key, now, now + self.state.block, sample, problem)
        return replace(copied, problem=window.problem or problem or copied.problem)

    def _sample(self) -> tuple[Sample | None, str]:
        try:
            return self._platform.meter.sample(), ""
        except BackendctlError as error:
            return None, f"the gateway's counters cannot be had: {error.message}"

    # --- journal ---

    def _feed(self, observation: Observation) -> None:
        before, at = self.state, self._now()
        after, intents = machine.step(before, observation, at, self._judge)
        # Who took over is recorded even where that changes nothing, as in a hold.
        if after == before and not intents and not isinstance(observation, TakenOver):
            return
        transition = Transition(at, observation, before, after, intents)
        self._append(record_of(transition))
        self._state = after
        if (after.why, after.hold) != (before.why, before.hold):
            self._owes_samples = True
        # Not before users are back on stable: looking through logs takes a while.
        if self._owes_samples and (after.hold is not None or after.candidate_share == 0):
            self._owes_samples = False
            self._keep_samples()
        self._tell(transition)

    def _keep_samples(self) -> None:
        """Examples for whoever asks why. Nothing depends on them, so nothing waits for them: where
        they cannot be had or kept, `explain` has none to show."""
        with suppress(BackendctlError, OSError):
            found = to_record(take(self._platform, self.state.plan.candidate))
            self._platform.store.keep_samples(self._lease.grant, self._rollout, found)

    def _append(self, record: Record) -> None:
        """Write durably, waiting out an outage of the store; being fenced is never waited out."""
        store, grant = self._platform.store, self._lease.grant
        try:
            retrying(self._clock, lambda error: error.code != "rollout.fenced")(
                store.append, grant, self._rollout, record
            )
        except BackendctlError as error:
            if error.code == "rollout.fenced" or self._state is None:
                raise
            raise self._stranded("the rollout's journal cannot be written", error) from error

    def _check_lease(self) -> None:
        """Raises `rollout.fenced`, or the store's error once the lease has run out with it."""
        try:
            self._lease.check()
        except BackendctlError as error:
            if error.code == "rollout.fenced":
                raise
            raise self._stranded("the lease cannot be renewed", error) from error

    def _stranded(self, said: str, error: BackendctlError) -> BackendctlError:
        return BackendctlError(
            error.code,
            f"{said}: {error.message}",
            cause=error.cause,
            state=f"rollout {self._rollout} is in phase {self.state.phase}; "
            "the gateway keeps its present weights",
            next=("backendctl rollout recover",),
        )

    def _say_who(self, error: BackendctlError) -> None:
        """Who took over, and what became of it: the lock forgets whoever is through with it."""
        with suppress(BackendctlError):
            records = self._platform.store.records(self._rollout)
            since = takeovers(records)[self._takeovers :]
            if since:
                by, reason = since[0]["saw"]["by"], since[0]["saw"]["reason"]
                error.cause = f"{by} took over at {moment(since[0]['at'])}: {reason}"
                stands = summary(self._rollout, records).stands
                error.state = f"this run changed nothing more; rollout {self._rollout}: {stands}"

    def _reload(self) -> Sequence[Record]:
        records = self._platform.store.records(self._rollout)
        if records:
            self._state = fold(records, self._judge)
        return records

    def _tell(self, transition: Transition) -> None:
        """A watcher who cannot listen must not stop the rollout half way."""
        try:
            for event in events_of(self._rollout, transition):
                self._on_event(event)
        except BrokenPipeError:
            self._on_event = _nobody
        except Exception as error:
            self._on_event = _nobody
            self._bug = error

    # --- people ---

    def _wanted(self) -> bool:
        """Whether somebody wants something of a rollout that is busy."""
        self._check_lease()
        return bool(self._unheard())

    def _take_commands(self) -> None:
        for index, word in enumerate(self._unheard(), start=self.state.commands):
            self._feed(Command(word.verb, word.by, word.reason, index))

    def _unheard(self) -> Sequence[PersonCommand]:
        """What people have said since. While the store is away nothing can be heard, and nothing
        ends for that: the lease says for how long."""
        try:
            return self._platform.store.posted(self._rollout)[self.state.commands :]
        except BackendctlError as error:
            if error.code not in PASSING:
                raise
            return ()

    def _now(self) -> float:
        """Seconds since the epoch that never go backwards within this process."""
        return self._zero + self._clock.monotonic()

    def _left(self, times: int) -> BackendctlError:
        hold = self.state.hold
        if times == 1 and hold is not None:
            return BackendctlError(
                "interrupted",
                f"stopped watching rollout {self._rollout}, which is still held",
                cause=hold.why.message,
                state="its weights stay as they are until somebody decides or its deadline passes",
                next=("backendctl rollout status", *next_commands(self.state)),
            )
        return BackendctlError(
            "interrupted",
            f"stopped at once, in the middle of rollout {self._rollout}",
            state=f"it was in phase {self.state.phase}; the gateway keeps its present weights",
            next=("backendctl rollout recover",),
        )


def _nobody(_: Event) -> None:
    return


class _Window:
    """A block that has begun."""

    __slots__ = ("key", "problem", "sample", "start", "until")

    def __init__(
        self, key: int, start: float, until: float, sample: Sample | None, problem: str
    ) -> None:
        self.key = key
        self.start = start
        self.until = until
        self.sample = sample
        self.problem = problem
