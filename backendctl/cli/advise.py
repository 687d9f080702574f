"""`backendctl advise`: what the promises imply."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from backendctl.cli.contract import Answer, Session, command

if TYPE_CHECKING:
    from rich.console import Console

    from backendctl.advice import Advice


class Topic(StrEnum):
    """The sections of the advice, in lower case; `Advice` itself knows them by their titles."""

    ARCHITECTURE = "architecture"
    API = "api"
    DATA = "data"
    SCALING = "scaling"
    IDENTITY = "identity"
    OPERATIONS = "operations"
    COMPLIANCE = "compliance"


@command(
    examples=(
        "backendctl advise",
        "backendctl advise data                 # one topic",
        "backendctl advise --verbose            # with the inputs and sources of each",
        "backendctl advise --output json",
    )
)
def advise(
    session: Session,
    topic: Annotated[Topic | None, typer.Argument(help="Only this topic.")] = None,
) -> Answer:
    """Say what the promises in backend.toml imply, and why.

    Each piece of advice names the numbers that led to it and which input would change it. Nothing
    is changed by it: what you follow, you write into backend.toml.
    """
    from backendctl.advice import TOPICS
    from backendctl.advice import advise as apply_rules
    from backendctl.spec.load import find_project, load_spec

    spec = load_spec(find_project(session.directory))
    title = next((each for each in TOPICS if each.lower() == topic), None)
    advice = apply_rules(spec, title)
    return Answer(
        data=advice.to_data(), text=lambda console: _render(console, advice, session.verbose)
    )


def _render(console: "Console", advice: "Advice", verbose: bool) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    section = ""
    assumed: dict[str, str] = {}
    for each in advice.recommendations:
        if each.topic != section:
            section = each.topic
            console.print(Text(f"\n{section}", style="bold"))
        _paragraph(console, f"{each.name}: {each.result}")
        rows = Table.grid(padding=(0, 1))
        rows.add_column(style="dim", no_wrap=True)
        rows.add_column(overflow="fold")
        rows.add_row("because", Text(each.reason))
        rows.add_row("changes with", Text(each.changes))
        if verbose:
            inputs = (f"{i.key} = {i.value}" for i in each.inputs)
            rows.add_row("from", Text("; ".join(inputs)))
            rows.add_row("source", Text(each.source))
        console.print(Padding(rows, (0, 0, 0, 4)))
        assumed.update({i.key: i.value for i in each.inputs if not i.stated})
    if assumed:
        console.print(Text("\nNot stated in backend.toml, so derived or assumed", style="bold"))
        listed = ", ".join(f"{key} = {value}" for key, value in sorted(assumed.items()))
        _paragraph(console, listed)


def _paragraph(console: "Console", text: str) -> None:
    """Indented text that is wrapped also where the console itself does not wrap."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid()
    grid.add_column(overflow="fold")
    grid.add_row(Text(text))
    console.print(Padding(grid, (0, 0, 0, 2)))
