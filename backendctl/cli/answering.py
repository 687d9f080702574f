"""How `new` and `init` get answers: given beforehand, asked at the terminal, or assumed."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backendctl.cli.contract import Answer, Session

if TYPE_CHECKING:
    from backendctl.scaffold.questions import Ask, Question

AnswersOption = Annotated[
    Path | None,
    typer.Option("--answers", metavar="FILE", help="TOML or JSON file with answers: KEY = VALUE."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        envvar="BACKENDCTL_SET",
        help="One answer; as often as needed. --list-keys shows the keys.",
    ),
]
ListKeysOption = Annotated[
    bool,
    typer.Option(
        "--list-keys", help="Only list the keys of --set, what each accepts and its default."
    ),
]


_INDENT = " " * 16


def answers_file(session: Session, given: Path | None) -> Path | None:
    """The file meant: like every path, it is relative to --directory."""
    return None if given is None else session.directory / given


def keys(questions: Sequence["Question"], defaults: Mapping[str, str]) -> Answer:
    """What `--set` and `--answers` take; `defaults` go before the questions' own."""
    from backendctl.scaffold.questions import defaults_of

    shown = {**defaults_of(questions), **defaults}
    rows = [
        {"key": q.key, "meaning": q.prompt, "accepted": q.accepted, "default": shown[q.key]}
        for q in questions
    ]
    lines = [f"{'KEY':<13} MEANING, WHAT IS ACCEPTED, DEFAULT"]
    for row in rows:
        lines.append(f"{row['key']:<13} {row['meaning']}")
        for said in (f"accepted: {row['accepted']}", f"default: {row['default'] or 'none'}"):
            lines += textwrap.wrap(said, 80, initial_indent=_INDENT, subsequent_indent=_INDENT)
    return Answer(data={"keys": rows}, text="\n".join(lines))


def asker(session: Session) -> "Ask | None":
    """Asks the person at the terminal until the answer is accepted; None if nobody is there."""
    if not session.interactive:
        return None
    from backendctl.scaffold.accepted import AnswerError

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
