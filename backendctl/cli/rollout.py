"""`backendctl rollout status|watch|pause|resume|approve|promote|abort|recover|history|explain`."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from backendctl.cli.contract import Answer, Session, command, group, register
from backendctl.cli.rollout_answer import answer_of, answer_of_past, asked_reason
from backendctl.cli.rollout_told import number_lines, sample_lines, show_history, show_timeline
from backendctl.errors import BackendctlError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backendctl.workflows.environment import Opened
    from backendctl.workflows.rollouts import Status, Verb

app = group("Watch, steer, recover and explain rollouts.")

Reason = Annotated[
    str, typer.Option("--reason", "-m", metavar="TEXT", help="Why; kept in the rollout's history.")
]
Identifier = Annotated[
    str | None,
    typer.Argument(metavar="ID", help="A number of `rollout history`; the newest if none."),
]


# --- looking ----------------------------------------------------------------------------------


@command(examples=("backendctl rollout status", "backendctl rollout status --output json"))
def status(session: Session) -> Answer:
    """Show who serves, what is under way and what to type next."""
    from dataclasses import replace

    from backendctl.workflows import rollouts

    opened = session.open(changes=False)
    found = rollouts.status(opened.platform)
    found = replace(found, next=session.completed(found.next))
    lines = _status_lines(opened.environment.name, found)
    return Answer(data=_status_data(opened, found), text="\n".join(lines))


def _status_data(opened: "Opened", found: "Status") -> dict[str, Any]:
    from backendctl.rollout.verdict import to_json

    state = found.state
    return {
        "environment": opened.environment.name,
        "stable": found.serving.stable,
        "previous": found.serving.previous,
        "weights": to_json(found.routes.weights) if found.routes else None,
        "rollout": to_json(found.rollout) if found.rollout else None,
        "in_flight": found.serving.rollout_in_flight is not None,
        "driver": to_json(found.driver) if found.driver_lives else None,
        "judgement": to_json(state.judgement) if state and state.judgement else None,
        "copies": to_json(state.copies) if state and state.copies else None,
        "hold": to_json(state.hold) if state and state.hold else None,
        "pause": to_json(state.pause) if state and state.pause else None,
        "releases": {str(n): to_json(each) for n, each in found.releases.items()},
        "next": list(found.next),
    }


def _status_lines(environment: str, found: "Status") -> "Iterable[str]":
    from backendctl.rollout.explain import because, headline
    from backendctl.rollout.intents import weights_in_words
    from backendctl.workflows.rollouts.refusals import WATCHED

    if found.rollout is None:
        yield f"{environment}: there has been no rollout yet"
        return
    if found.routes is not None:
        yield f"{environment}: the gateway serves {weights_in_words(found.routes.weights)}"
    else:
        yield f"{environment}: the gateway serves nothing, or cannot be asked"
    for number, each in found.releases.items():
        yield f"  release {number}: {each.condition} {each.detail}".rstrip()
    if found.state is None:
        done = found.rollout
        yield f"last rollout: {done.rollout} ({done.kind}, release {done.candidate}) {done.stands}"
        return
    yield headline(found.rollout.rollout, found.state, 0.0)
    if because(found.state):
        yield f"  {because(found.state)}"
    if found.driver_lives and found.driver is not None:
        yield f"  driven by {found.driver.owner}: {found.driver.command}"
    else:
        alone = found.stranded and "nobody drives it: its process is gone"
        yield f"  {alone or 'no process drives it'}" + (f"; {WATCHED}" if found.watched else "")
    for line in found.next:
        yield f"next: {line}"


@command(examples=("backendctl rollout watch", "backendctl rollout watch 0007 --output jsonl"))
def watch(session: Session, rollout: Identifier = None) -> Answer:
    """Follow a rollout until it ends or is held.

    Ctrl-C only stops the watching. One that has ended is shown as it was. Where the process that
    drove it is gone, the watchdog's undoing is waited for. Exits like the deploy itself: 0
    promoted, 1 undone, 3 held, or left by its process with nobody to end it.
    """
    from dataclasses import replace

    from backendctl.cli.rollout_live import live_view
    from backendctl.workflows import rollouts

    opened = session.open(changes=False)
    where = opened.environment.name
    found = rollouts.find(opened.platform, rollout)
    try:
        with live_view(session) as tell:
            for event in rollouts.watch(opened.platform, found.rollout, on_line=session.line):
                tell(event)
                if not session.heard:  # as with Ctrl-C; 0 would say that it was promoted
                    raise KeyboardInterrupt
    except KeyboardInterrupt as signal:
        raise rollouts.watching_stopped(opened.platform, found.rollout) from signal
    outcome = rollouts.outcome(opened.platform, found.rollout)
    if found.ended is not None:
        return answer_of_past(session, where, outcome)
    outcome = replace(outcome, ended=None)  # it ended while we looked
    return answer_of(session, where, outcome, outcome.error())


@command(name="history", examples=("backendctl rollout history", "backendctl rollout history 7"))
def history(
    session: Session,
    rollout: Identifier = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="COUNT", min=1, help="How many to list.")
    ] = 20,
) -> Answer:
    """List the rollouts, newest first; with an ID, its decisions."""
    from itertools import islice

    from backendctl.rollout.verdict import to_json
    from backendctl.workflows import rollouts

    opened = session.open(changes=False)
    where = opened.environment.name
    if rollout is not None:
        found = rollouts.explain_rollout(opened.platform, rollout)
        data = {
            "environment": where,
            "rollout": found.rollout,
            "decisions": to_json(found.timeline),
            "samples": to_json(found.samples),
        }
        return Answer(data=data, text=lambda console: show_timeline(console, found))
    listed = list(islice(rollouts.history(opened.platform), limit))
    return Answer(
        data={"environment": where, "rollouts": to_json(listed)},
        text=lambda console: show_history(console, where, listed),
    )


@command(
    examples=(
        "backendctl rollout explain",
        "backendctl rollout explain 0007",
        "backendctl rollout explain 0007 --replay",
    )
)
def explain(
    session: Session,
    rollout: Identifier = None,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Decide everything anew from its journal, and compare."),
    ] = False,
) -> Answer:
    """Say why a rollout was promoted, undone or held."""
    from backendctl.rollout.verdict import to_json
    from backendctl.workflows import rollouts

    opened = session.open(changes=False)
    if replay:
        return _replayed(opened, rollout)
    found = rollouts.explain_rollout(opened.platform, rollout)
    following = session.completed(found.next)
    lines = [found.headline]
    if found.because:
        lines.append(f"Why: {found.because}")
    if found.tail:
        lines += ["The candidate's last lines:", *(f"  | {line}" for line in found.tail)]
    lines += sample_lines(found)
    if found.numbers.get("metrics"):
        heading = "The numbers that decided:" if found.decided else "The numbers so far:"
        lines += [heading, *number_lines(found.numbers, found.by_copies)]
    lines += [f"Note: {note}" for note in found.notes]
    lines += [f"next: {line}" for line in following]
    data = {
        "environment": opened.environment.name,
        "rollout": found.rollout,
        "headline": found.headline,
        "because": found.because,
        "numbers": to_json(found.numbers),
        "log_tail": list(found.tail),
        "samples": to_json(found.samples),
        "notes": list(found.notes),
        "next": list(following),
    }
    return Answer(data=data, text="\n".join(lines))


def _replayed(opened: "Opened", rollout: str | None) -> Answer:
    from backendctl.workflows import rollouts

    found = rollouts.replay_rollout(opened.platform, rollout)
    said = f"rollout {found.rollout}: {found.records} records were replayed"
    data = {
        "environment": opened.environment.name,
        "rollout": found.rollout,
        "records": found.records,
        "differences": list(found.differences),
    }
    if not found.differences:
        return Answer(data=data, text=f"{said}; each decision came out the same")
    error = BackendctlError(
        "journal.differs",
        f"{said}; {len(found.differences)} decisions came out otherwise",
        cause="\n".join(found.differences),
        state="nothing was changed",
        next=("backendctl --version",),
        data=data,
    )
    return Answer(data=data, text="", exit=error.exit, error=error)


# --- speaking ---------------------------------------------------------------------------------


@command(examples=("backendctl rollout pause --reason 'checking a customer report'",))
def pause(session: Session, reason: Reason = "") -> Answer:
    """Keep the weights as they are until somebody decides.

    The candidate is still watched: if it fails, stable is restored. A pause has a deadline
    (`rollout.hold` in backend.toml), after which the rollout is undone.
    """
    return _speak(session, session.open(changes=True), "pause", reason)


@command(examples=("backendctl rollout resume",))
def resume(session: Session, reason: Reason = "") -> Answer:
    """End a pause or hold; the rollout goes on and is judged again."""
    return _speak(session, session.open(changes=True), "resume", reason)


@command(examples=("backendctl rollout approve --reason 'error budget is fine'",))
def approve(session: Session, reason: Reason = "") -> Answer:
    """Let a rollout go on that waits for approval.

    `rollout.approvals` in backend.toml says where one waits. Your name and reason are recorded; its
    judgement is not skipped.
    """
    return _speak(session, session.open(changes=True), "approve", reason)


@command(
    examples=(
        "backendctl rollout promote   # one that has passed and was paused",
        "backendctl rollout promote --skip-judgement --reason 'hotfix, checked by hand'",
    )
)
def promote(
    session: Session,
    skip_judgement: Annotated[
        bool,
        typer.Option("--skip-judgement", help="Also without a verdict; recorded with who and why."),
    ] = False,
    reason: Reason = "",
) -> Answer:
    """Give the candidate all requests.

    A rollout that has not passed its judgement is promoted only with --skip-judgement: the
    candidate still has to be ready and to bake, and your name and reason are recorded, and told by
    `history` and `explain`.
    """
    from backendctl.workflows import rollouts

    opened = session.open(changes=True)
    rollouts.check_command(opened.platform, "promote", skip_judgement=skip_judgement)
    if skip_judgement:
        again = "backendctl rollout promote --skip-judgement --reason WHY --yes"
        reason = asked_reason(session, reason, "promoting without a verdict", again)
        session.confirm("This promotes the candidate without a verdict. Go on?")
    return _speak(session, opened, "promote", reason, skip_judgement=skip_judgement)


@command(examples=("backendctl rollout abort --reason 'wrong branch'",))
def abort(session: Session, reason: Reason = "") -> Answer:
    """Restore stable: weights first, then the candidate is stopped."""
    return _speak(session, session.open(changes=True), "abort", reason)


def _speak(
    session: Session,
    opened: "Opened",
    verb: "Verb",
    reason: str,
    *,
    skip_judgement: bool = False,
) -> Answer:
    from backendctl.cli.rollout_live import live_view
    from backendctl.workflows import rollouts, steer

    with live_view(session, rollouts.past_events(opened.platform)) as tell:
        outcome = steer.speak(opened, verb, reason, session, tell, skip_judgement=skip_judgement)
    paused = verb == "pause" and outcome.result in ("held", "running")
    return answer_of(session, opened.environment.name, outcome, None if paused else outcome.error())


# --- recovery ---------------------------------------------------------------------------------


@command(
    examples=(
        "backendctl rollout recover              # after the driving process died",
        "backendctl rollout recover --take-over  # it may still live, on another machine",
    )
)
def recover(
    session: Session,
    promote: Annotated[
        bool, typer.Option("--promote", help="Promote without a verdict instead of undoing.")
    ] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Undo it, also if it is held.")] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Even if its driver is not known to be dead.")
    ] = False,
    reason: Reason = "",
) -> Answer:
    """Finish or undo what a dead process left behind.

    After a reboot, the servers and the releases that go on serving are started first.

    What belongs to no release is stopped. A rollout that was past its bake is finished; one that is
    held is left to you; any other is undone, since nobody watched the candidate. A living driver is
    not disturbed unless you say --take-over; its later writes are then refused.
    """
    from backendctl.cli.rollout_live import live_view
    from backendctl.clock import SystemClock
    from backendctl.workflows import rollouts, steer
    from backendctl.workflows.identity import person

    if promote and abort:
        raise BackendctlError("usage", "--promote and --abort exclude each other")
    opened = session.open(changes=True)
    rollouts.check_recover(opened.platform, person(), promote=promote, take_over=take_over)
    if promote:
        again = "backendctl rollout recover --promote --reason WHY --yes"
        reason = asked_reason(session, reason, "promoting without a verdict", again)
        session.confirm("This promotes the candidate without a verdict. Go on?")
    if take_over and rollouts.driver_lives(opened.platform, SystemClock()):
        session.confirm("The present driver, if it lives, will be shut out. Go on?")
    wish: Literal["abort", "promote"] | None = "promote" if promote else "abort" if abort else None
    with live_view(session, rollouts.past_events(opened.platform)) as tell:
        done = steer.recover(opened, wish, reason, session, tell, take_over=take_over)
    where = opened.environment.name
    if done.outcome is None:
        answer = Answer(data={"environment": where, "rollout": None}, text=_nothing(where))
    else:
        answer = answer_of(session, where, done.outcome, done.outcome.error())
    cleared = [
        {"release": each.number, "stopped": each.stopped, "message": each.message}
        for each in done.cleared
    ]
    lines = [
        f"release {each.number} ran and belonged to nothing: "
        + ("stopped" if each.stopped else f"left alone, {each.message}")
        for each in done.cleared
    ]
    return Answer(
        data={**answer.data, "cleared": cleared},
        text="\n".join([str(answer.text), *lines]),
        exit=answer.exit,
        error=answer.error,
    )


def _nothing(where: str) -> str:
    return f"{where}: no rollout is in flight; there was nothing to recover"


register(app, status, watch, pause, resume, approve, promote, abort, recover, history, explain)
