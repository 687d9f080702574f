"""Every decision of a rollout, as one pure function of (state, observation, time).

No clock, no I/O: whoever calls it journals the observation, does the intents that come back and
reports their outcomes. Folding the journaled observations again gives the same states.

At most one intent is under way. A phase is a script of intents (`scripts.py`); when its last one
has ended the phase that follows is entered. Traffic is watched in MIRROR, STEP, BAKE and HOLD,
while no intent is under way.
"""

from dataclasses import replace

from backendctl.platforms.base import Condition
from backendctl.rollout.copying import added
from backendctl.rollout.intents import (
    Apply,
    Connect,
    Drain,
    EnsureReady,
    Inspect,
    Intent,
    Mirror,
    in_words,
)
from backendctl.rollout.judge import Judge
from backendctl.rollout.observations import (
    Command,
    Copied,
    Health,
    Measured,
    Observation,
    Outcome,
    TakenOver,
    Tick,
)
from backendctl.rollout.scripts import end_of_mirroring, script, share_in
from backendctl.rollout.states import (
    MIRROR_STAGE,
    WATCHED,
    Copies,
    Hold,
    HoldKind,
    Kind,
    Phase,
    Result,
    RolloutPlan,
    State,
    Why,
    Word,
)

UNREADY_GRACE = 5.0
"""Seconds a running candidate may fail its readiness check before the rollout is undone."""

DEAD = frozenset({Condition.CRASHING, Condition.FAILED, Condition.STOPPED})
SIGNAL = "a signal"
"""Who an abort is by when the process was told to stop."""
NO_RETURN = frozenset({Phase.DRAIN, Phase.ABORT, Phase.DONE, Phase.RESTORED})
"""Phases that nothing interrupts: they already lead to an end."""

TRIED = WATCHED | {Phase.VERIFY, Phase.PROMOTE}
"""Phases in which the candidate has to stay healthy."""

Stepped = tuple[State, tuple[Intent, ...]]


def begin(plan: RolloutPlan, now: float) -> Stepped:
    """The first state of a rollout and what to do first."""
    weights = {} if plan.stable is None else {plan.stable: 100}
    empty = State(plan=plan, weights=weights, entered=now)
    return _with_intents(empty, _enter(empty, Phase.PREPARE, now))


def step(state: State, observation: Observation, now: float, judge: Judge) -> Stepped:
    """The state after `observation` at `now` (seconds since the epoch), and what to do next.

    An observation that means nothing in this state returns the state unchanged and no intents.
    """
    if state.ended:
        return state, ()
    match observation:
        case Outcome():
            after = _outcome(state, observation, now)
        case Measured():
            after = _measured(state, observation, now, judge)
        case Copied():
            after = _copied(state, observation, now, judge)
        case Health():
            after = _health(state, observation, now)
        case Command():
            after = _command(state, observation, now)
        case TakenOver():
            after = _taken_over(state, observation, now)
        case Tick():
            after = _tick(state, now)
    return _with_intents(state, _begin_evidence(after, judge))


def _with_intents(before: State, after: State) -> Stepped:
    fresh = after.queue and after.serial != before.serial
    return after, ((after.queue[0],) if fresh else ())


# --- phases -----------------------------------------------------------------------------------


def _enter(state: State, phase: Phase, now: float) -> State:
    state = replace(state, phase=phase, hold=None)
    queue = script(state, phase)
    return _run(state, queue) if queue else _advance(replace(state, queue=()), now)


def _run(state: State, queue: tuple[Intent, ...]) -> State:
    head, candidate = queue[0], state.plan.candidate
    return replace(
        state,
        queue=queue,
        serial=state.serial + 1,
        started=state.started or (isinstance(head, EnsureReady) and head.number == candidate),
        moved=state.moved or (isinstance(head, Apply) and head.weights.get(candidate, 0) > 0),
    )


def _advance(state: State, now: float) -> State:
    """The script of this phase is through: what follows."""
    match state.phase:
        case Phase.PREPARE:
            return _enter(state, Phase.MIGRATE, now)
        case Phase.MIGRATE:
            return _enter(state, Phase.START, now)
        case Phase.START:
            return _enter(state, Phase.VERIFY, now)
        case Phase.VERIFY:
            copies = state.plan.mirror and state.comparable and state.override is None
            return _enter(state, Phase.MIRROR, now) if copies else _first_weight(state, now)
        case Phase.MIRROR if not state.mirroring:
            state = replace(state, evidence=None, judged_stage=-1, judgement=None)
            return _first_weight(state, now)
        case Phase.MIRROR:
            return _watch(state, now) if state.override is None else _end_mirroring(state)
        case Phase.STEP:
            return _watch(state, now)
        case Phase.PROMOTE:
            state = replace(state, stage=state.plan.bake_stage, promoted_at=now)
            return _proceed(state, Phase.BAKE if state.plan.bake > 0 else Phase.DRAIN, now)
        case Phase.BAKE:
            return _watch(state, now)
        case Phase.DRAIN:
            return replace(state, phase=Phase.DONE, result=Result.PROMOTED)
        case Phase.ABORT:
            return replace(state, phase=Phase.RESTORED, result=Result.RESTORED)
        case _:
            return state


def _first_weight(state: State, now: float) -> State:
    """Users' requests reach the candidate from here on."""
    stepwise = state.plan.steps and state.comparable and state.override is None
    return _proceed(state, Phase.STEP if stepwise else Phase.PROMOTE, now)


def _end_mirroring(state: State) -> State:
    """Nothing is copied while the rollout is held, or shifts."""
    return _run(state, end_of_mirroring(state))


def _proceed(state: State, phase: Phase, now: float) -> State:
    """Enter a phase, unless a person wished to pause before it or has to approve it."""
    if state.pause is not None:
        why = Why("person", f"paused by {state.pause.by}: {state.pause.reason}")
        return _hold(state, HoldKind.PAUSED, why, phase, now)
    share = share_in(state, phase) if phase in (Phase.STEP, Phase.PROMOTE) else 0
    if any(state.candidate_share < each <= share for each in state.plan.approvals):
        why = Why("approval", f"{_traffic(share)} for release {state.plan.candidate} need approval")
        return _hold(state, HoldKind.APPROVAL, why, phase, now)
    return _enter(state, phase, now)


def _traffic(share: int) -> str:
    return "all requests" if share == 100 else f"{share} % of requests"


def _watch(state: State, now: float) -> State:
    return replace(state, entered=now, blind="", unready_since=None)


def _hold(state: State, kind: HoldKind, why: Why, back: Phase, now: float) -> State:
    hold = Hold(kind, now, now + state.plan.hold_deadline, back, why)
    return replace(state, phase=Phase.HOLD, queue=(), hold=hold, pause=None)


def _abort(state: State, why: Why, now: float) -> State:
    return _enter(replace(state, why=why, pause=None), Phase.ABORT, now)


def _note(state: State, text: str) -> State:
    return replace(state, notes=(*state.notes, text))


# --- outcomes ---------------------------------------------------------------------------------


def _outcome(state: State, outcome: Outcome, now: float) -> State:
    if not state.queue or outcome.serial != state.serial:
        return state  # of an intent that an abort has overtaken
    head, rest = state.queue[0], state.queue[1:]
    if not outcome.ok:
        return _failed(state, head, outcome, now)
    match head:
        case Inspect() if state.phase is Phase.PREPARE:
            state = replace(state, comparable=outcome.condition is Condition.READY)
        case Inspect() if outcome.condition is not Condition.READY:
            why = Why(
                "release.not-ready",
                f"release {head.number} is {outcome.condition}, so it gets no traffic: "
                f"{outcome.message}",
                outcome.tail,
            )
            return _abort(state, why, now)
        case EnsureReady(number=number) if number == state.plan.candidate:
            state = replace(state, restarts=outcome.restarts)
        case Connect(number=number) if number == state.plan.candidate:
            state = replace(state, connected=True)
        case Apply():
            state = replace(state, weights=dict(head.weights), mirroring=False)
        case Mirror():
            state = replace(state, mirroring=True)
        case _:
            pass
    return _run(state, rest) if rest else _advance(replace(state, queue=()), now)


def _failed(state: State, head: Intent, outcome: Outcome, now: float) -> State:
    rest = state.queue[1:]
    said = f"could not {in_words(head)}: {outcome.message}"
    if state.phase not in (Phase.ABORT, Phase.DRAIN):
        return _abort(state, Why(outcome.code, said, outcome.tail), now)
    restoring = state.phase is Phase.ABORT and any(isinstance(i, Drain) for i in rest)
    if restoring:
        why = Why(outcome.code, f"stable could not be restored: {said}", outcome.tail)
        return _hold(state, HoldKind.STUCK, why, Phase.ABORT, now)
    state = _note(state, said)
    if isinstance(head, Drain):
        return _run(state, rest)  # stopping still lets each request in flight end in its grace
    return _advance(replace(state, queue=()), now)  # `recover` clears away what is left


# --- what is seen -----------------------------------------------------------------------------


def _health(state: State, health: Health, now: float) -> State:
    if state.phase not in TRIED:
        return state
    if state.hold is not None and state.hold.kind is HoldKind.STUCK:
        return state
    number = state.plan.candidate
    if health.condition in DEAD or health.restarts > state.restarts:
        detail = f": {health.detail}" if health.detail else ""
        why = Why("release.start", f"release {number} died while it was tried{detail}", health.tail)
        return _abort(state, why, now)
    if health.condition is Condition.READY:
        return replace(state, unready_since=None)
    since = state.unready_since if state.unready_since is not None else now
    if now - since >= UNREADY_GRACE:
        # An outage of both arms (the database, the whole machine) convicts nobody: the grace
        # begins anew, the verdict masks it, and a step's deadline holds if it lasts.
        if health.stable_unready:
            return replace(state, unready_since=now)
        message = (
            f"release {number} was not ready for {now - since:.0f} s while it was tried: "
            f"{health.detail or health.condition}"
        )
        return _abort(state, Why("release.not-ready", message, health.tail), now)
    return replace(state, unready_since=since)


def _measured(state: State, measured: Measured, now: float, judge: Judge) -> State:
    verdict, evidence, block = state.verdict, state.evidence, measured.block
    if not state.observing or verdict is None or evidence is None:
        return state
    seen = block.candidate.requests if block.candidate and state.candidate_share == 100 else 0
    evidence = judge.update(verdict, evidence, block)
    judgement = judge.judge(verdict, evidence, now - state.entered)
    state = replace(
        state,
        evidence=evidence,
        judgement=judgement,
        blind=measured.problem,
        baked_requests=state.baked_requests + seen,
    )
    if judgement.decision == "fail":
        return _abort(state, Why("verdict", judgement.reason), now)
    if state.phase is Phase.STEP:
        return _after_step_block(state, str(judgement.decision), now)
    if state.phase is Phase.BAKE:
        return _after_bake_block(state, str(judgement.decision), now)
    return state  # on hold nothing is promoted, however good the numbers


def _copied(state: State, copied: Copied, now: float, judge: Judge) -> State:
    """Copies can only convict: what they lack is found out with the first weight."""
    mirror, evidence = state.plan.mirror, state.evidence
    if state.phase is not Phase.MIRROR or state.queue or mirror is None or evidence is None:
        return state
    evidence = judge.update(mirror.verdict, evidence, copied.block)
    state = replace(state, evidence=evidence, copies=added(state.copies or Copies(), copied))
    judgement = judge.judge(mirror.verdict, evidence, now - state.entered)
    if judgement.decision == "fail":
        why = Why("verdict", f"with copies of users' reads: {judgement.reason}")
        return _abort(replace(state, judgement=judgement), why, now)
    return _end_mirroring(state) if now - state.entered >= mirror.seconds else state


def _after_step_block(state: State, decision: str, now: float) -> State:
    if decision == "pass" and not state.blind:
        state = replace(state, passed=state.judgement)
        if state.stage + 1 < len(state.plan.steps):
            return _proceed(replace(state, stage=state.stage + 1), Phase.STEP, now)
        return _proceed(state, Phase.PROMOTE, now)
    return _unless_late(state, decision, now)


def _after_bake_block(state: State, decision: str, now: float) -> State:
    """A canary was certified in its steps and only has to keep well; a switch must still pass."""
    if state.override is not None or state.plan.kind is Kind.FIRST:
        return _tick(state, now)
    certified = state.plan.kind is Kind.CANARY and state.comparable
    good = decision == "pass" or (certified and decision != "invalid")
    measured = state.baked_requests > 0 and not state.blind
    if good and measured and now - state.entered >= state.plan.bake:
        state = replace(state, passed=state.passed if certified else state.judgement)
        return _enter(state, Phase.DRAIN, now)
    return _unless_late(state, decision, now)


def _unless_late(state: State, decision: str, now: float) -> State:
    """Go on watching until the deadline; missing or invalid numbers only ever extend."""
    late = state.verdict is not None and now - state.entered >= state.verdict.deadline
    if not (late or decision == "inconclusive"):
        return state
    reason = state.judgement.reason if state.judgement is not None else ""
    why = Why("deadline", f"no verdict by the deadline: {state.blind or reason}")
    if state.plan.hold_on_inconclusive:
        return _hold(state, HoldKind.INCONCLUSIVE, why, state.phase, now)
    return _abort(state, why, now)


def _begin_evidence(state: State, judge: Judge) -> State:
    """Tell the verdict that a stage began, once for each stage that is observed."""
    if state.phase not in (Phase.MIRROR, Phase.STEP, Phase.BAKE) or state.queue:
        return state
    stage = MIRROR_STAGE if state.phase is Phase.MIRROR else state.stage
    if state.judged_stage == stage:
        return state
    state = replace(state, judged_stage=stage)
    verdict, baking = state.verdict, state.phase is Phase.BAKE
    if verdict is None:
        return replace(state, evidence=None)
    evidence = state.evidence
    if evidence is None or baking:
        evidence = judge.begin(verdict)
    evidence = judge.begin_step(verdict, evidence, 0 if baking else state.stage, state.entered)
    return replace(state, evidence=evidence)


# --- people, time and takeover ----------------------------------------------------------------


def _tick(state: State, now: float) -> State:
    if state.hold is not None and now >= state.hold.until:
        if state.hold.kind is HoldKind.STUCK:
            return _enter(state, Phase.ABORT, now)
        message = f"nobody decided before the hold's deadline ({state.hold.why.message})"
        return _abort(state, Why("deadline", message), now)
    timed = state.override is not None or state.plan.kind is Kind.FIRST
    if state.phase is Phase.BAKE and timed:
        healthy = state.unready_since is None
        if healthy and now - state.promoted_at >= state.plan.bake:
            return _enter(state, Phase.DRAIN, now)
    return state


def _command(state: State, command: Command, now: float) -> State:
    state = replace(state, commands=max(state.commands, command.index + 1))
    word = Word(command.by, command.reason)
    if command.verb == "abort" and state.phase is Phase.ABORT:
        return state  # that is what it is at
    if state.phase in NO_RETURN:
        return _note(state, f"{command.verb} by {command.by} came too late: {state.phase} goes on")
    match command.verb:
        case "abort":
            if state.hold is not None and state.hold.kind is HoldKind.STUCK:
                return _enter(state, Phase.ABORT, now)
            code = "interrupted" if command.by == SIGNAL else "person"
            why = Why(code, f"aborted by {command.by}: {command.reason}")
            return _abort(state, why, now)
        case "promote":
            return _promote(replace(state, override=word, pause=None), now)
        case "pause" if state.phase is Phase.HOLD:
            return state
        case "pause":
            state = replace(state, pause=word)
            at_weight = state.observing and state.phase is not Phase.MIRROR
            return _proceed(state, state.phase, now) if at_weight else state
        case "approve" if state.hold is not None and state.hold.kind is HoldKind.APPROVAL:
            return _enter(state, state.hold.back, now)
        case "resume" if state.hold is not None and state.hold.kind is HoldKind.APPROVAL:
            return _note(state, f"resume by {command.by} was refused: it waits for an approval")
        case "resume" if state.hold is not None:
            return _proceed(replace(state, hold=None), state.hold.back, now)
        case "resume":
            return replace(state, pause=None)
    return state


def _promote(state: State, now: float) -> State:
    """A person wants the candidate without a verdict; it still has to be ready and to bake, and to
    be approved where the plan says so: that is somebody else's word."""
    fresh = replace(state, evidence=None, judged_stage=-1)
    hold = state.hold
    if hold is not None and hold.kind is HoldKind.STUCK and not state.connected:
        return _note(state, "promote was refused: the candidate is not connected")
    if hold is not None and state.mirroring:  # stuck, before anything ended the copying
        return _end_mirroring(replace(fresh, phase=Phase.MIRROR, hold=None, why=None))
    if hold is not None and hold.back is Phase.BAKE:
        return _enter(replace(fresh, why=None), Phase.BAKE, now)
    if hold is not None or state.phase is Phase.STEP:
        why = state.why if hold is None else None
        return _proceed(replace(fresh, hold=None, why=why), Phase.PROMOTE, now)
    if state.phase is Phase.MIRROR and not state.queue:
        return _end_mirroring(fresh)
    return fresh  # before the steps: heeded after VERIFY; in BAKE: heeded by its clock


def _taken_over(state: State, taken: TakenOver, now: float) -> State:
    stuck = state.hold is not None and state.hold.kind is HoldKind.STUCK
    if stuck:
        return _enter(state, Phase.ABORT, now)
    if state.phase in NO_RETURN:
        return _run(state, state.queue) if state.queue else _advance(state, now)
    if taken.choice == "undo":
        return _abort(state, Why("driver-died", taken.reason), now)
    if state.queue:
        return _run(state, state.queue)
    baking = Phase.BAKE in (state.phase, state.hold.back if state.hold is not None else None)
    if baking:  # from here on: nobody watched meanwhile, and the clock may have been set
        state = replace(state, promoted_at=now)
    return state if state.phase is Phase.HOLD else _enter(state, state.phase, now)
