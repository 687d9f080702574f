"""How a rollout ended, as callers and users are told."""

from dataclasses import dataclass
from typing import Any, Literal

from backendctl.errors import BackendctlError
from backendctl.rollout.explain import because, logs_of, next_commands, pausing
from backendctl.rollout.states import Kind, Result, State
from backendctl.rollout.wording import moment


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a rollout ended, or that it waits."""

    rollout: str
    kind: Kind
    candidate: int
    stable: int | None
    result: Literal["promoted", "restored", "held", "running"]
    """`running` only where another process drives it."""
    reason: str
    tail: tuple[str, ...] = ()
    """The candidate's last log lines when it failed."""
    notes: tuple[str, ...] = ()
    held_until: float | None = None
    next: tuple[str, ...] = ()
    signalled: bool = False
    """It was undone because its process was told to stop."""
    asked: bool = False
    """It was undone because whoever reads this asked for it: nothing went wrong."""
    pausing: str = ""
    """When it will pause, if somebody asked for that and it goes on until then."""
    ended: float | None = None
    """When it ended, if that was before it was asked about: it says nothing of the present."""

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
            "pausing": bool(self.pausing),
        }

    def error(self) -> BackendctlError | None:
        """None when what was asked for is so; else the error that says what happened instead."""
        if self.result in ("promoted", "running") or self.asked:
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
        if self.ended is not None:
            said, state = f"rollout {self.rollout} ended {moment(self.ended)}: {said}", ""
        cause = "\n".join((self.reason, *(f"| {line}" for line in self.tail)))
        return BackendctlError(
            code, said, cause=cause, state=state, next=self.next, data=self.data()
        )


def outcome_of(
    rollout: str, state: State, asked: bool = False, ended: float | None = None
) -> Outcome:
    """What became of a rollout in this state.

    `asked` if the reader asked for an undoing; `ended` if it was over before they asked about it.
    """
    plan, hold = state.plan, state.hold
    why = hold.why if hold is not None else state.why
    result: Literal["promoted", "restored", "held", "running"]
    result = "held" if hold is not None else "running"
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
        next=_next(rollout, state, ended),
        pausing=pausing(state),
        ended=ended,
        asked=asked and result == "restored",
        signalled=why is not None and why.code == "interrupted",
    )


def _next(rollout: str, state: State, ended: float | None) -> tuple[str, ...]:
    """`rollout explain` has the last lines of a release that is gone, in a cluster its logs too."""
    explained = f"backendctl rollout explain {rollout}"
    if ended is not None:
        return (explained, "backendctl status")
    logs = logs_of(state.plan.candidate)
    return tuple(explained if each == logs else each for each in next_commands(state))
