"""`backendctl up | down | status | logs | exec | dev`: an environment as a whole."""

from typing import TYPE_CHECKING, Annotated

import typer

from backendctl.cli.contract import Answer, Session, command
from backendctl.errors import BackendctlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from backendctl.platforms.base import ServiceStatus
    from backendctl.rollout.events import Event
    from backendctl.workflows.status import EnvironmentStatus, ReleaseLine


@command(examples=("backendctl up", "backendctl up --output json"))
def up(session: Session) -> Answer:
    """Start the environment and a release that serves.

    Its gateway, database, cache and test issuer, as backend.toml asks for them.

    The first time, the working tree becomes release 1. Later, and after a reboot, whatever served
    last serves again; data is kept. Safe to run again at any time.
    """
    from backendctl.workflows import up as workflow

    opened = session.open(changes=True)
    done = workflow.up(opened, session, first_told(session))
    how = "already serves" if done.already else "serves"
    return Answer(
        data=done.data(),
        text=f"{done.environment}: release {done.release} {how} at {done.url}",
    )


def first_told(session: Session) -> "Callable[[Event], None]":
    """Tells of a first release: numbers of a comparison are for programs only, as there is nothing
    to compare it with."""
    from backendctl.cli.contract import Output
    from backendctl.cli.rollout_events import teller
    from backendctl.rollout.events import BlockObserved

    tell = teller(session)

    def told(event: "Event") -> None:
        if session.output is Output.JSONL or not isinstance(event, BlockObserved):
            tell(event)

    return told


@command(
    examples=(
        "backendctl down",
        "backendctl down --purge --confirm local",
        "backendctl down --env staging --confirm staging",
    )
)
def down(
    session: Session,
    purge: Annotated[bool, typer.Option("--purge", help="Delete releases and data too.")] = False,
    confirm: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The environment's name, for --purge and for one that is not on this machine.",
        ),
    ] = None,
) -> Answer:
    """Stop everything of the environment; data is kept.

    Nothing is left running. `backendctl up` brings it back. The name of an environment that others
    may use, one not on this machine, has to be typed.
    """
    from backendctl.spec.model import PlatformName
    from backendctl.workflows import down as workflow

    opened = session.open(changes=True)
    name = opened.environment.name
    if purge:
        session.confirm_typed(f"All data of environment {name!r} will be deleted.", name, confirm)
    elif opened.environment.platform is not PlatformName.LOCAL:
        session.confirm_typed(f"Users of environment {name!r} will get no answer.", name, confirm)
    data = workflow.down(opened, session, purge=purge)
    kept = "its data is deleted" if purge else "its data is kept"
    return Answer(data=data, text=f"{name}: stopped; {kept}.")


@command(examples=("backendctl status", "backendctl status --output json"))
def status(session: Session) -> Answer:
    """Show what runs, which release serves, and what to do next."""
    from dataclasses import replace

    from backendctl.workflows import status as workflow

    opened = session.open(changes=False)
    found = workflow.look(opened)
    found = replace(found, next=session.completed(found.next))
    return Answer(data=found.data(), text=lambda console: _show_status(console, found))


def _show_status(console: "Console", found: "EnvironmentStatus") -> None:
    from rich.table import Table

    console.print(f"{found.service} / {found.environment}: {found.headline}", markup=False)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("", "state", "", ""):
        table.add_column(title)
    for server in found.servers:
        state = _state(server)
        table.add_row(server.name, state, server.address, _detail(server))
    for release in found.releases:
        share = f"{release.weight} % of requests" if release.weight is not None else ""
        table.add_row(f"release {release.number}", release.condition, share, _detail(release))
    console.print(table)
    for line in found.notes:
        console.print(line, markup=False)
    for line in found.next:
        console.print(f"next: {line}", markup=False)


def _state(server: "ServiceStatus") -> str:
    if server.running:
        return "running"
    if not server.needed:
        return "unknown" if server.alive else "none"
    return "silent" if server.alive else "stopped"


def _detail(each: "ServiceStatus | ReleaseLine") -> str:
    """What there is to say of a line of the table, with the restarts that nobody asked for."""
    from datetime import datetime

    said = [each.detail] if each.detail else []
    if each.restarts:
        times = "once" if each.restarts == 1 else f"{each.restarts} times"
        last = ""
        if each.last_restart is not None:
            when = datetime.fromtimestamp(each.last_restart).astimezone()
            last = f", last at {when:%Y-%m-%d %H:%M:%S}"
        said.append(f"came back by itself {times}{last}")
    return "; ".join(said)


@command(
    examples=(
        "backendctl logs                     # of the release that serves",
        "backendctl logs -f --lines 100",
        "backendctl logs --release 3",
        "backendctl logs --server postgres",
    )
)
def logs(
    session: Session,
    release: Annotated[
        int | None,
        typer.Option(
            "--release", "-r", metavar="NUMBER", help="That release; the one that serves if none."
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            "--server", "-s", metavar="NAME", help="Instead: a server that `status` lists."
        ),
    ] = None,
    lines: Annotated[
        int,
        typer.Option("--lines", "-n", metavar="COUNT", min=0, help="How many lines to begin with."),
    ] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new lines as they come.")
    ] = False,
) -> Answer:
    """Show a release's output; Ctrl-C ends --follow."""
    from backendctl.cli.contract import Output
    from backendctl.workflows.logs import read_logs, read_server_logs

    opened = session.open(changes=False)
    if server is not None:
        if release is not None or follow:
            raise BackendctlError("usage", "--server goes with neither --release nor --follow")
        said = list(read_server_logs(opened, server, lines))
        data = {"environment": opened.environment.name, "server": server, "lines": said}
        return Answer(data=data, text="\n".join(said))
    number, found = read_logs(opened, release, lines, follow)
    where = opened.environment.name
    if session.output is Output.JSON and not follow:
        return Answer(data={"environment": where, "release": number, "lines": list(found)})
    try:
        for line in found:
            if session.output is Output.TEXT:
                session.write(line)
            else:
                session.emit("log", {"release": number, "line": line})
            if not session.heard:
                break
    except KeyboardInterrupt:
        if not follow:
            raise
    return Answer(data={"environment": where, "release": number})


@command(
    name="exec",
    examples=(
        "backendctl exec -- python -m shop.seed",
        "backendctl exec -- sh -c 'psql \"$DATABASE_URL\"'",
    ),
)
def execute(
    session: Session,
    argv: Annotated[list[str], typer.Argument(metavar="COMMAND", help="The command, after --.")],
) -> Answer:
    """Run a command where the serving release runs.

    In its code, with its dependencies, configuration and secrets.

    The command's exit status becomes ours. With --output json its own output goes to standard
    error: standard output holds nothing but the answer.
    """
    from backendctl.workflows.execute import execute as run

    opened = session.open(changes=True)
    release, exit_status = run(opened, argv, session.output_of_others)
    data = {
        "environment": opened.environment.name,
        "release": release,
        "exit_status": exit_status,
    }
    return Answer(data=data, exit=exit_status)


@command(examples=("backendctl dev",))
def dev(session: Session) -> Answer:
    """Run the working tree with reload, on the same servers.

    On the database and cache of the environment.

    It has a port of its own: the release that serves is not disturbed. Ctrl-C ends it.
    """
    from backendctl.workflows import dev as workflow

    opened = session.open(changes=True)
    restarts = workflow.dev(opened, session, session.output_of_others)
    return Answer(data={"environment": opened.environment.name, "restarts": restarts})
