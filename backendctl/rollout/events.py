"""What a rollout tells those who watch it, derived from its transitions alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from backendctl.rollout.intents import Intent
from backendctl.rollout.observations import Command, Copied, Measured, Outcome, TakenOver
from backendctl.rollout.records import Transition
from backendctl.rollout.states import Copies, Hold, Phase, Result, RolloutPlan, State, Why
from backendctl.rollout.verdict import Block, Forecast, Judgement


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened at `at`, in seconds since the epoch."""

    at: float
    rollout: str


@dataclass(frozen=True, slots=True)
class Began(Event):
    """A rollout was recorded; nothing was changed yet."""

    plan: RolloutPlan


@dataclass(frozen=True, slots=True)
class Forecasted(Event):
    """How long judging will take at the present traffic; None where nothing is judged."""

    rps: float
    forecast: Forecast


@dataclass(frozen=True, slots=True)
class PhaseChanged(Event):
    """The rollout entered a phase; `stage` counts steps from 0, the bake comes after the last."""

    phase: Phase
    stage: int


@dataclass(frozen=True, slots=True)
class StepsLeftOut(Event):
    """Stable is not ready, so nothing can be compared with it: no steps, all requests at once."""

    stable: int
    candidate: int

    @property
    def words(self) -> str:
        """For a person."""
        return (
            f"release {self.stable} is not ready, so there is nothing to compare with: the steps "
            f"are left out, and release {self.candidate} gets all requests once it is ready"
        )


@dataclass(frozen=True, slots=True)
class IntentBegun(Event):
    """An effect is about to be done."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class IntentEnded(Event):
    """An effect was done, or failed."""

    intent: Intent
    ok: bool
    message: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Shifted(Event):
    """The gateway confirmed new weights: release number -> percent of users' requests, above 0."""

    weights: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class BlockObserved(Event):
    """Both arms' numbers over one block, and what the evidence says since."""

    block: Block
    problem: str
    candidate_share: int
    judgement: Judgement | None


@dataclass(frozen=True, slots=True)
class CopiesCounted(Event):
    """What copies of read-only requests came to so far, before the candidate answers any user."""

    copies: Copies
    problem: str
    """Why the newest block is missing; empty when it is not."""


@dataclass(frozen=True, slots=True)
class MirroringEnded(Event):
    """No request is copied any more, or will not be in a moment: what came of it."""

    copies: Copies


@dataclass(frozen=True, slots=True)
class Judged(Event):
    """A judgement that differs from the one before it in its decision."""

    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Commanded(Event):
    """A person, a signal or a takeover said something."""

    verb: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Held(Event):
    """The rollout waits for a person."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class Aborting(Event):
    """Stable is being restored, and why."""

    why: Why


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """Nothing more will happen."""

    result: Result
    why: Why | None
    notes: tuple[str, ...]


def events_of(rollout: str, transition: Transition) -> Iterator[Event]:
    """Everything one transition means to a watcher, in order."""
    at, before, after = transition.at, transition.before, transition.after
    if before is None:
        yield Began(at, rollout, after.plan)
    yield from _seen(rollout, transition)
    if before is not None and before.comparable and not after.comparable:
        stable = after.plan.stable
        if after.plan.steps and stable is not None:
            yield StepsLeftOut(at, rollout, stable, after.plan.candidate)
    ended = before is not None and before.phase is Phase.MIRROR and after.phase is not Phase.MIRROR
    if ended and after.copies is not None:
        yield MirroringEnded(at, rollout, after.copies)
    if before is not None and _shares(after) != _shares(before):
        yield Shifted(at, rollout, _shares(after))
    if before is not None and after.why is not None and after.why != before.why:
        yield Aborting(at, rollout, after.why)
    if before is None or (after.phase, after.stage) != (before.phase, before.stage):
        yield PhaseChanged(at, rollout, after.phase, after.stage)
    if after.hold is not None and (before is None or after.hold != before.hold):
        yield Held(at, rollout, after.hold)
    for intent in transition.intents:
        yield IntentBegun(at, rollout, intent)
    if after.result is not None:
        yield Ended(at, rollout, after.result, after.why, after.notes)


def _seen(rollout: str, transition: Transition) -> Iterator[Event]:
    at, before, after = transition.at, transition.before, transition.after
    match transition.observation:
        case Outcome() as outcome if before is not None and before.queue:
            yield IntentEnded(
                at, rollout, before.queue[0], outcome.ok, outcome.message, outcome.seconds
            )
        case Measured() as measured if before is not None:
            yield BlockObserved(
                at,
                rollout,
                measured.block,
                measured.problem,
                before.candidate_share,
                after.judgement,
            )
            judgement = after.judgement
            former = before.judgement.decision if before.judgement is not None else None
            if judgement is not None and judgement.decision != former:
                yield Judged(at, rollout, judgement)
        case Copied() as copied if after.copies is not None:
            yield CopiesCounted(at, rollout, after.copies, copied.problem)
        case Command() as command:
            yield Commanded(at, rollout, command.verb, command.by, command.reason)
        case TakenOver() as taken:
            yield Commanded(at, rollout, f"recover: {taken.choice}", taken.by, taken.reason)
        case _:
            return


def _shares(state: State) -> Mapping[int, int]:
    return {number: share for number, share in state.weights.items() if share > 0}
