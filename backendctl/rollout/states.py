"""The machine's state: all that a rollout knows, as one frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from backendctl.rollout.intents import Intent
from backendctl.rollout.verdict import Evidence, Judgement
from backendctl.rollout.verdict import Plan as VerdictPlan


class Kind(StrEnum):
    """What a rollout is for."""

    FIRST = "first"
    """There is no stable release: smoke and health only, and nothing to go back to."""
    CANARY = "canary"
    BLUE_GREEN = "blue-green"
    ROLLBACK = "rollback"
    """Back to a release that has served before: no migration, no verdict."""


class Phase(StrEnum):
    """Where a rollout stands."""

    PREPARE = "prepare"
    MIGRATE = "migrate"
    START = "start"
    VERIFY = "verify"
    """Connected at 0 %, test requests on the preview route."""
    MIRROR = "mirror"
    """Still at 0 %, it gets copies of users' read-only requests."""
    STEP = "step"
    PROMOTE = "promote"
    BAKE = "bake"
    """The candidate has all traffic; stable is kept warm."""
    DRAIN = "drain"
    """Past the point of no return: the former stable release is being drained and stopped."""
    HOLD = "hold"
    ABORT = "abort"
    DONE = "done"
    RESTORED = "restored"


WATCHED = frozenset({Phase.MIRROR, Phase.STEP, Phase.BAKE, Phase.HOLD})
"""Phases in which traffic is watched while no effect is under way."""
MIRROR_STAGE = -2
"""Stands for the time before the first weight; the stages with weights count from 0."""


class Result(StrEnum):
    """How a rollout ended."""

    PROMOTED = "promoted"
    RESTORED = "restored"


class HoldKind(StrEnum):
    """Why a rollout waits."""

    PAUSED = "paused"
    APPROVAL = "approval"
    """A person has to say yes before the candidate gets more traffic."""
    INCONCLUSIVE = "inconclusive"
    STUCK = "stuck"
    """It could be neither finished nor undone: the gateway or stable would not."""


@dataclass(frozen=True, slots=True)
class Word:
    """What a person said, and who."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mirroring:
    """How users' read-only requests are copied to the candidate before its first weight."""

    percent: int
    seconds: float
    block: float
    """Length of a block of measurement."""
    verdict: VerdictPlan
    """The copies against the limit, and against their originals: it can only convict."""


@dataclass(frozen=True, slots=True)
class Copies:
    """What became of them so far."""

    requests: int = 0
    """Copies that the candidate answered or let wait."""
    failed: int = 0
    """Of those: answered 5xx, or not at all."""
    unanswered: int = 0
    """Of the failed: not answered."""
    refused: int = 0
    """Answered 4xx."""
    lost: int = 0
    """Copies beside those that got lost on the way."""
    originals: int = 0
    failed_originals: int = 0
    problem: str = ""
    """Why some of the numbers are missing; empty when none are."""


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """All that was decided before a rollout began. Durations in seconds, shares in percent."""

    kind: Kind
    candidate: int
    stable: int | None
    served: tuple[int, ...]
    """Releases that served before it, oldest first, the present one last."""
    steps: tuple[int, ...]
    """The candidate's shares below 100, rising. Empty: from 0 to 100 at once."""
    verdict: VerdictPlan | None
    """For the steps, stable against candidate; None where there are no steps."""
    bake_verdict: VerdictPlan | None
    """For the bake, the candidate against the limits; None for a rollback, which has no bake."""
    migrate: bool
    block: float
    """Length of a block of measurement."""
    bake: float
    """At 100 % with stable kept warm; for a first release, how long it must stay healthy."""
    hold_deadline: float
    hold_on_inconclusive: bool
    ready_deadline: float
    drain_deadline: float
    migrate_deadline: float
    smoke_paths: tuple[str, ...]
    spec_digest: str
    begun_by: str
    candidate_ran: bool = False
    """The candidate's processes already ran: a rollback within the warm window."""
    contract: bool = False
    """The candidate has migrations that wait until stable is gone."""
    approvals: tuple[int, ...] = ()
    """Percentages of traffic that the candidate reaches or passes only after a person's yes."""
    reference: str = ""
    """What stable's own behaviour is known from, for a person."""
    exempt: Word | None = None
    """Whose word it was that this began outside the windows for deploys."""
    mirror: Mirroring | None = None
    """None where nothing is copied."""

    @property
    def bake_stage(self) -> int:
        """The stage after the last step."""
        return len(self.steps)


@dataclass(frozen=True, slots=True)
class Why:
    """The reason for an abort or a hold."""

    code: str
    """A code of errors.py, or `verdict`, `person`, `deadline`, `driver-died`."""
    message: str
    tail: tuple[str, ...] = ()
    """The candidate's last log lines, redacted, where they explain it."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A rollout that waits for a person, with its own deadline."""

    kind: HoldKind
    since: float
    until: float
    back: Phase
    """Where `resume` goes on."""
    why: Why


@dataclass(frozen=True, slots=True)
class State:
    """A rollout between two observations."""

    plan: RolloutPlan
    phase: Phase = Phase.PREPARE
    queue: tuple[Intent, ...] = ()
    """Intents of this phase that have not ended; the first is under way."""
    serial: int = 0
    """Of the intent under way."""
    stage: int = 0
    entered: float = 0.0
    """When the present stage began to be observed."""
    weights: Mapping[int, int] = field(default_factory=dict)
    """As last confirmed by the gateway."""
    started: bool = False
    """The candidate may have processes."""
    connected: bool = False
    """The gateway may know the candidate."""
    moved: bool = False
    """The candidate may have had users' requests."""
    comparable: bool = True
    """Stable was ready when the rollout began, so that the arms can be compared."""
    restarts: int = 0
    """Of the candidate, when it became ready."""
    unready_since: float | None = None
    evidence: Evidence | None = None
    judged_stage: int = -1
    """The stage for which the evidence was last begun; `MIRROR_STAGE` for that of the copies."""
    mirroring: bool = False
    """Requests are being copied, as last confirmed by the gateway."""
    copies: Copies | None = None
    """None before any were counted."""
    judgement: Judgement | None = None
    passed: Judgement | None = None
    """The last judgement that let the candidate go on."""
    blind: str = ""
    """Why the last block's numbers are not whole; empty when they are."""
    baked_requests: int = 0
    """Requests seen by the candidate at 100 %."""
    promoted_at: float = 0.0
    """When the gateway confirmed 100 % for the candidate."""
    hold: Hold | None = None
    override: Word | None = None
    """A person's order to promote without a verdict."""
    pause: Word | None = None
    """A person's wish to pause, at the next stage."""
    why: Why | None = None
    result: Result | None = None
    notes: tuple[str, ...] = ()
    """What went wrong without changing the result."""
    commands: int = 0
    """Posted commands taken in so far."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.result is not None

    @property
    def observing(self) -> bool:
        """Whether no effect is under way and traffic is being watched."""
        return not self.queue and self.phase in WATCHED

    @property
    def block(self) -> float:
        """Length of a block of measurement, seconds."""
        copying = self.plan.mirror if self.phase is Phase.MIRROR else None
        return copying.block if copying is not None else self.plan.block

    @property
    def verdict(self) -> VerdictPlan | None:
        """What the present evidence was gathered under."""
        if self.judged_stage == MIRROR_STAGE:
            return self.plan.mirror.verdict if self.plan.mirror is not None else None
        baking = self.judged_stage == self.plan.bake_stage
        return self.plan.bake_verdict if baking else self.plan.verdict

    @property
    def candidate_share(self) -> int:
        """Percent of users' requests that go to the candidate."""
        return self.weights.get(self.plan.candidate, 0)
