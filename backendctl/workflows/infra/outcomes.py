"""From what became of each stack to one answer or one error."""

from collections.abc import Mapping
from typing import Any, TypeVar

from backendctl.errors import BackendctlError, Exit
from backendctl.provision.order import Outcome

T = TypeVar("T")


def results(outcomes: Mapping[str, Outcome[T]]) -> Mapping[str, T]:
    """Each stack's result; raises one BackendctlError for all that failed."""
    trouble = problem(outcomes)
    if trouble is not None:
        raise trouble
    return {name: each.result for name, each in outcomes.items() if each.result is not None}


def problem(outcomes: Mapping[str, Outcome[Any]]) -> BackendctlError | None:
    """One error for all stacks that failed or were not tried; None if all succeeded."""
    failed = {name: each.error for name, each in outcomes.items() if each.error is not None}
    if not failed:
        left = [name for name, each in outcomes.items() if each.skipped]
        if not left:
            return None
        return BackendctlError(
            "interrupted",
            f"stopped before {', '.join(left)} began",
            state="what had begun was ended properly; nothing is locked",
            next=("backendctl infra preview",),
        )
    first = _gravest(failed)
    skipped = [f"{name}: {each.skipped}" for name, each in outcomes.items() if each.skipped]
    done = [name for name, each in outcomes.items() if each.succeeded]
    states = [f"{name}: {error.state}" for name, error in failed.items()]
    states += skipped
    if done:
        states.append(f"done: {', '.join(done)}")
    return BackendctlError(
        first.code,
        "; ".join(dict.fromkeys(error.message for error in failed.values())),
        cause="\n".join(dict.fromkeys(each.cause for each in failed.values() if each.cause)),
        state="\n".join(states),
        next=tuple(dict.fromkeys(line for error in failed.values() for line in error.next)),
        data={"stacks": {name: dict(error.data) for name, error in failed.items()}},
    )


def _gravest(failed: Mapping[str, BackendctlError]) -> BackendctlError:
    """The one whose code the answer gets: an interruption above all, then what is locked."""
    order = (Exit.INTERRUPTED, Exit.LOCKED, Exit.MISSING, Exit.NO)
    return min(
        failed.values(), key=lambda e: order.index(e.exit) if e.exit in order else len(order)
    )
