"""`backendctl deploy` and `backendctl rollback`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from backendctl.cli.contract import Answer, Output, Session, command
from backendctl.errors import BackendctlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backendctl.spec.model import Strategy
    from backendctl.workflows.deploy import Changes
    from backendctl.workflows.detach import Apart, Detached
    from backendctl.workflows.environment import Opened


@command(
    examples=(
        "backendctl deploy",
        "backendctl deploy --strategy blue-green --bake 1m",
        "backendctl deploy --traffic 100/s      # local: nobody else uses it",
        "backendctl deploy --unjudged 'nobody uses it yet' --yes",
        "backendctl deploy --supersede --reason 'hotfix'   # undo the one in flight first",
        "backendctl deploy --detach             # follow it with: backendctl rollout watch",
        "backendctl deploy --env staging --output json",
    )
)
def deploy(
    session: Session,
    strategy: Annotated[
        str | None, typer.Option(metavar="canary|blue-green", help="If not as backend.toml says.")
    ] = None,
    warm_up: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Not judged for this long after each step."),
    ] = None,
    step_time: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Judged for at least this long at each step."),
    ] = None,
    bake: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="Watched at 100 % for this long, the old release kept ready."
        ),
    ] = None,
    traffic: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="On local: send made-up reads meanwhile, such as 100/s."),
    ] = None,
    unjudged: Annotated[
        str | None,
        typer.Option(
            metavar="REASON", help="Promote without a verdict; recorded with who and why."
        ),
    ] = None,
    supersede: Annotated[
        bool, typer.Option("--supersede", help="Undo the rollout in flight first; asks, recorded.")
    ] = False,
    reason: Annotated[
        str,
        typer.Option(
            "--reason", "-m", metavar="TEXT", help="Why to supersede; kept in its history."
        ),
    ] = "",
    outside_window: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Though a window or freeze says no; recorded."),
    ] = None,
    detach: Annotated[
        bool,
        typer.Option("--detach", help="Go on when this terminal is gone; asks and checks first."),
    ] = False,
    note: Annotated[str, typer.Option(metavar="TEXT", help="Kept with the release.")] = "",
) -> Answer:
    """Release the working tree, by canary or blue-green.

    A canary gets a small share of the requests first, and more as it is judged well; blue-green
    moves all at once and judges afterwards, while the old release is kept ready (the bake).

    Prints first how long judging takes at the present traffic, and refuses if that is never,
    before anything is packaged. While another rollout is in flight or held it is refused (exit 6),
    unless --supersede undoes that one first.

    Exit status: 0 only when the new release serves; 1 rolled back, 3 held for a person, or with
    --detach not decided yet: `backendctl rollout watch` then exits as the deploy would.
    `backendctl rollout explain` says why.
    """
    from dataclasses import replace

    from backendctl.cli.quantities import duration, rate
    from backendctl.cli.rollout_answer import answer_of
    from backendctl.cli.rollout_live import live_view
    from backendctl.workflows.deploy import Changes, check_deploy
    from backendctl.workflows.deploy import deploy as run

    changes = Changes(
        strategy=_strategy(strategy),
        warm_up=duration("--warm-up", warm_up),
        step_time=duration("--step-time", step_time),
        bake=duration("--bake", bake),
        synthetic_rps=rate("--traffic", traffic),
        unjudged=unjudged,
        outside_window=outside_window,
        note=note,
    )
    opened = session.open(changes=True)
    in_the_way = check_deploy(
        opened,
        supersede=supersede,
        outside_window=outside_window is not None,
        synthetic_rps=changes.synthetic_rps,
    )
    if in_the_way is not None:
        changes = replace(changes, supersede=_asked_to_supersede(session, in_the_way, reason))
    if unjudged is not None:
        session.confirm("The release will be promoted without a verdict. Go on?")
    if detach:
        return _detached(session, opened, changes)
    with live_view(session) as tell:
        outcome = run(opened, changes, session, tell)
    return answer_of(session, opened.environment.name, outcome, outcome.error())


def _detached(session: Session, opened: "Opened", changes: "Changes") -> Answer:
    """The deploy goes on apart from this terminal; all that is asked was asked here."""
    from backendctl.workflows.detach import until_begun
    from backendctl.workflows.detach_away import depart
    from backendctl.workflows.detach_here import Child

    apart: Apart
    if opened.platform.away is not None:
        apart = depart(opened, changes, session)
    else:
        apart = Child(
            _again(changes), f"deploy-{opened.spec.service.name}-{opened.environment.name}"
        )
    found = until_begun(apart, lambda document: tell_of_child(session, document))
    return _goes_on(session, found)


def _again(changes: "Changes") -> list[str]:
    """This very command, to be run without a terminal."""
    import sys

    arguments = [each for each in sys.argv[1:] if each != "--detach"]
    if changes.supersede:
        arguments += ["--reason", changes.supersede]
    return [*arguments, "--yes", "--output", "jsonl"]


def tell_of_child(session: Session, document: "Mapping[str, Any]") -> None:
    """Say what the detached command said, as it would have said it here."""
    from backendctl.cli.rollout_events import wrapped

    event, data = str(document.get("event", "")), document.get("data") or {}
    if session.output is Output.JSONL:
        session.emit(event, data)
        return
    match event:
        case "progress":
            session.line(data["text"])
        case "step" if data["state"] == "begun":
            session.line(f"{data['name']} ...")
        case "step":
            mark = "ok" if data["state"] == "done" else "FAILED"
            session.line(f"{data['name']}: {mark} ({data['seconds']:.1f} s)")
        case "rollout.forecasted":
            for line in data["forecast"]["advice"]:
                for part in wrapped(f"  {line}"):
                    session.line(part)


def _goes_on(session: Session, found: "Detached") -> Answer:
    """For a person all is as they asked; a program finds that nothing is decided yet."""
    error = BackendctlError(
        "rollout.detached",
        f"rollout {found.rollout} goes on by itself, in {found.where}",
        cause=f"what it says: {found.log}",
        state="nothing is decided yet",
        next=(f"backendctl rollout watch {found.rollout}", "backendctl rollout abort"),
        data={"rollout": found.rollout, **found.data},
    )
    follow, undo = session.completed(error.next)
    lines = (error.message, f"follow it: {follow}", f"undo it: {undo}", error.cause)
    return Answer(
        data=error.data,
        text="\n".join(lines),
        exit=error.exit,
        error=None if session.output is Output.TEXT else error,
    )


def _asked_to_supersede(session: Session, rollout: str, reason: str) -> str:
    from backendctl.cli.rollout_answer import asked_reason

    again = "backendctl deploy --supersede --reason WHY --yes"
    what = f"superseding rollout {rollout}"
    if not session.interactive:  # says all that is missing at once
        reason = asked_reason(session, reason, what, again)
    session.confirm(f"This undoes rollout {rollout} before it deploys. Go on?")
    return asked_reason(session, reason, what, again)


@command(examples=("backendctl rollback", "backendctl rollback 3 --reason 'prices wrong'"))
def rollback(
    session: Session,
    release: Annotated[
        int | None, typer.Argument(help="Its number; the one that served before, if none.")
    ] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Kept in the history.")] = "",
) -> Answer:
    """Go back to a release that has served, in about a second.

    Its code, configuration and secret versions together.

    Within the bake this only moves traffic; later the release is started first, which takes as
    long as it takes to be ready. The database's schema stays as it is; a release that does not
    work with it is refused, and so is one that no rollout has promoted.
    """
    from backendctl.cli.rollout_answer import answer_of
    from backendctl.cli.rollout_live import live_view
    from backendctl.workflows import rollouts
    from backendctl.workflows.deploy import rollback as run

    opened = session.open(changes=True)
    with live_view(session, rollouts.past_events(opened.platform)) as tell:
        outcome = run(opened, release, reason, session, tell)
    return answer_of(session, opened.environment.name, outcome, outcome.error())


def _strategy(given: str | None) -> "Strategy | None":
    from backendctl.spec.model import Strategy

    if given is None:
        return None
    try:
        return Strategy(given)
    except ValueError:
        raise BackendctlError(
            "usage",
            f"--strategy: there is no strategy {given!r}",
            cause=f"accepted: {', '.join(Strategy)}",
        ) from None
