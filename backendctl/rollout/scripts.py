"""Which effects each phase consists of, in the order that loses no request.

The order is the product of measurements with real gateways: a release gets weight only after the
gateway holds it to be healthy, processes end only after the gateway has stopped sending to them
and the last request is answered, and the gateway forgets a release only after no route names it.
"""

from collections.abc import Mapping

from backendctl.rollout.intents import (
    Apply,
    Connect,
    Contract,
    Disconnect,
    Drain,
    EnsureReady,
    Inspect,
    Intent,
    Migrate,
    Mirror,
    Smoke,
    Stop,
)
from backendctl.rollout.states import Phase, State


def script(state: State, phase: Phase) -> tuple[Intent, ...]:
    """The intents of `phase`, first to last; none for a phase that only watches."""
    plan = state.plan
    match phase:
        case Phase.PREPARE:
            return (Inspect(plan.stable),) if plan.stable is not None else ()
        case Phase.MIGRATE:
            return (Migrate(plan.candidate, plan.migrate_deadline),) if plan.migrate else ()
        case Phase.START:
            return (EnsureReady(plan.candidate, plan.ready_deadline),)
        case Phase.VERIFY:
            return (
                Connect(plan.candidate, plan.ready_deadline),
                Apply(_all_to(plan.stable), preview=plan.candidate),
                Smoke(plan.candidate),
            )
        case Phase.MIRROR if plan.mirror is not None and plan.stable is not None:
            return (Mirror(plan.candidate, plan.stable, plan.mirror.percent),)
        case Phase.STEP | Phase.PROMOTE:
            return (Inspect(plan.candidate), _shift(state, share_in(state, phase)))
        case Phase.DRAIN:
            return _finish(state)
        case Phase.ABORT:
            return _restore(state)
        case _:
            return ()


def end_of_mirroring(state: State) -> tuple[Intent, ...]:
    """No request is copied any more; the preview route stays."""
    return (Apply(_all_to(state.plan.stable), preview=state.plan.candidate),)


def share_in(state: State, phase: Phase) -> int:
    """The candidate's percentage of users' requests in a phase that gives it some."""
    return state.plan.steps[state.stage] if phase is Phase.STEP else 100


def _shift(state: State, share: int) -> Apply:
    candidate, stable = state.plan.candidate, state.plan.stable
    if stable is None:
        return Apply({candidate: share}, preview=candidate)
    return Apply({candidate: share, stable: 100 - share}, preview=candidate, fallback=stable)


def _finish(state: State) -> tuple[Intent, ...]:
    candidate, stable = state.plan.candidate, state.plan.stable
    if stable is None:
        return (Apply({candidate: 100}),)
    return (
        Apply({candidate: 100, stable: 0}),
        Drain(stable, state.plan.drain_deadline),
        Stop(stable),
        Apply({candidate: 100}),
        Disconnect(stable),
        # Last of all: nothing that runs knows what it takes away, and nothing leads back.
        *((Contract(candidate, state.plan.migrate_deadline),) if state.plan.contract else ()),
    )


def _restore(state: State) -> tuple[Intent, ...]:
    plan = state.plan
    candidate, stable = plan.candidate, plan.stable
    if not state.started:
        return ()
    if not state.connected:
        return (Stop(candidate), Disconnect(candidate))
    tail = (Drain(candidate, plan.drain_deadline), Stop(candidate))
    if stable is None:
        return (Apply({}), *tail, Disconnect(candidate))
    ready = (EnsureReady(stable, plan.ready_deadline), Connect(stable, plan.ready_deadline))
    return (
        *(ready if state.moved else ()),
        Apply({stable: 100, candidate: 0}),
        *tail,
        Apply({stable: 100}),
        Disconnect(candidate),
    )


def _all_to(number: int | None) -> Mapping[int, int]:
    return {} if number is None else {number: 100}
