"""How `new` and `init` get answers: given beforehand, asked at the terminal, or assumed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backendctl.cli.contract import Session

if TYPE_CHECKING:
    from backendctl.scaffold.questions import Ask, Question

AnswersOption = Annotated[
    Path | None, typer.Option("--answers", help="TOML or JSON file with answers.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One answer; as often as needed."),
]


def answers_file(session: Session, given: Path | None) -> Path | None:
    """The file meant: like every path, it is relative to --directory."""
    return None if given is None else session.directory / given


def asker(session: Session) -> "Ask | None":
    """Asks the person at the terminal until the answer is accepted; None if nobody is there."""
    if not session.interactive:
        return None
    from backendctl.scaffold.questions import AnswerError

    def ask(question: "Question", default: str) -> object:
        while True:
            typed = typer.prompt(question.prompt, default=default, err=True, show_default=True)
            try:
                question.parse(typed)
            except AnswerError as error:
                session.line(f"  {error}")
            else:
                return typed

    return ask
