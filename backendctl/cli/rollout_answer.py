"""What commands that run, undo, speak to or show a rollout ask and answer."""

from typing import TYPE_CHECKING

import typer

from backendctl.cli.contract import Answer, Output, Session
from backendctl.errors import BackendctlError, Exit

if TYPE_CHECKING:
    from backendctl.rollout.outcome import Outcome


def answer_of(
    session: Session, environment: str, outcome: "Outcome", error: BackendctlError | None
) -> Answer:
    """The answer of any command that ran, undid or spoke to a rollout."""
    why = outcome.reason if error is None else ""  # else the error says it
    text = f"{environment}: {_said(outcome)}" + (f": {why}" if why else "")
    lines = [text, *(f"note: {note}" for note in outcome.notes)]
    if error is None:
        lines += [f"next: {line}" for line in session.completed(outcome.next)]
    return Answer(
        data={"environment": environment, **outcome.data()},
        text="\n".join(lines),
        exit=Exit.OK if error is None else error.exit,
        error=error,
    )


def _said(outcome: "Outcome") -> str:
    match outcome.result:
        case "promoted":
            return f"release {outcome.candidate} serves"
        case "restored" if outcome.stable is None:
            return f"release {outcome.candidate} was withdrawn; no release serves"
        case "restored":
            return f"release {outcome.candidate} was undone; release {outcome.stable} serves"
        case "held":
            return "the rollout is held; its weights stay as they are"
        case _ if outcome.pausing:
            return f"the rollout will pause {outcome.pausing}; until then it goes on"
        case _:
            return "the rollout goes on"


def answer_of_past(session: Session, environment: str, outcome: "Outcome") -> Answer:
    """The answer about a rollout that had ended before it was asked about.

    The exit status is that of its deploy. For a person its end is what they asked for, no error;
    a program finds the error as if it had watched from the beginning.
    """
    from backendctl.rollout.states import Result
    from backendctl.rollout.wording import end_in_words, moment

    error = outcome.error()
    over = "the first" if outcome.stable is None else f"over {outcome.stable}"
    result = "undone"
    if outcome.result == "promoted":
        result = end_in_words(outcome.kind, outcome.candidate, outcome.stable, Result.PROMOTED)
    elif outcome.stable is None:
        result = "withdrawn"
    at = "" if outcome.ended is None else f" {moment(outcome.ended)}"
    lines = [
        f"{environment}: rollout {outcome.rollout} ({outcome.kind}, release {outcome.candidate} "
        f"{over}) ended{at}: {result}" + (f": {outcome.reason}" if outcome.reason else ""),
        *(f"| {line}" for line in outcome.tail),
        *(f"note: {note}" for note in outcome.notes),
        *(f"next: {line}" for line in session.completed(outcome.next)),
    ]
    return Answer(
        data={"environment": environment, **outcome.data(), "ended": outcome.ended},
        text="\n".join(lines),
        exit=Exit.OK if error is None else error.exit,
        error=None if session.output is Output.TEXT else error,
    )


def asked_reason(session: Session, reason: str, what: str, again: str) -> str:
    """The reason given, or asked for at the terminal.

    Raises `usage.confirmation` when there is none: `what` needs one, and `again` gives it.
    """
    if not reason.strip() and session.interactive:
        reason = typer.prompt("Why", err=True)
    if not reason.strip():
        raise BackendctlError(
            "usage.confirmation",
            f"{what} needs a reason",
            state="nothing was changed",
            next=(again,),
        )
    return reason
