"""`backendctl deploy` and `backendctl rollback`."""

from typing import TYPE_CHECKING, Annotated

import typer

from backendctl.cli.contract import Answer, Session, command
from backendctl.errors import BackendctlError

if TYPE_CHECKING:
    from backendctl.spec.model import Strategy


@command(
    examples=(
        "backendctl deploy",
        "backendctl deploy --strategy blue-green --bake 1m",
        "backendctl deploy --traffic 100/s      # local: nobody else uses it",
        "backendctl deploy --unjudged 'nobody uses it yet' --yes",
        "backendctl deploy --env staging --output json",
    )
)
def deploy(
    session: Session,
    strategy: Annotated[
        str | None, typer.Option(help="canary or blue-green, if not as backend.toml says.")
    ] = None,
    warm_up: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Discarded after each shift.")
    ] = None,
    step_time: Annotated[
        str | None, typer.Option(metavar="DURATION", help="The least time at each step.")
    ] = None,
    bake: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Watched at 100 %, the old release kept warm."),
    ] = None,
    traffic: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="On local: send synthetic reads meanwhile."),
    ] = None,
    unjudged: Annotated[
        str | None,
        typer.Option(
            metavar="REASON", help="Promote without a verdict; recorded with who and why."
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="Kept with the release.")] = "",
) -> Answer:
    """Release the working tree, by canary or blue-green.

    A canary is judged step by step; a blue-green switch while it bakes.

    Prints first how long judging takes at the present traffic, and refuses if that is never.
    Exit status: 0 only when the new release serves; 1 rolled back, 3 held for a person.
    `backendctl rollout explain` says why.
    """
    from backendctl.cli.quantities import duration, rate
    from backendctl.cli.rollout import answer_of
    from backendctl.cli.rollout_events import teller
    from backendctl.workflows.deploy import Changes
    from backendctl.workflows.deploy import deploy as run

    changes = Changes(
        strategy=_strategy(strategy),
        warm_up=duration("--warm-up", warm_up),
        step_time=duration("--step-time", step_time),
        bake=duration("--bake", bake),
        synthetic_rps=rate("--traffic", traffic),
        unjudged=unjudged,
        note=note,
    )
    if unjudged is not None:
        session.confirm("The release will be promoted without a verdict. Go on?")
    opened = session.open(changes=True)
    outcome = run(opened, changes, session, teller(session))
    return answer_of(session, opened.environment.name, outcome, outcome.error())


@command(examples=("backendctl rollback", "backendctl rollback 3 --reason 'prices wrong'"))
def rollback(
    session: Session,
    release: Annotated[
        int | None, typer.Argument(help="Its number; the one that served before, if none.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Kept in the history.")] = "",
) -> Answer:
    """Go back to an earlier release, in about a second.

    Its code, configuration and secret versions together.

    Within the bake this only moves traffic. The database's schema stays as it is; a release that
    does not work with it is refused.
    """
    from backendctl.cli.rollout import answer_of
    from backendctl.cli.rollout_events import teller
    from backendctl.workflows.deploy import rollback as run

    opened = session.open(changes=True)
    outcome = run(opened, release, reason, teller(session))
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
