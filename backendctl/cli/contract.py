"""What every command shares: its options, its answer, its errors and its exit status.

How to write a command
----------------------
A command module holds thin functions and imports nothing heavy at its top::

    from backendctl.cli.contract import Answer, Session, command

    app = typer.Typer()          # only for a group such as `rollout`

    @command(examples=("backendctl advise", "backendctl advise --output json"))
    def advise(session: Session, topic: Annotated[str, typer.Option(help="...")] = "") -> Answer:
        \"\"\"One line that says what it does.

        Paragraphs that teach.
        \"\"\"
        from backendctl.advice import advise as derive_advice    # heavy imports go here
        ...
        return Answer(data={...}, text=render)

`command` adds `--env --output --yes --verbose --directory`, turns BackendctlError into the error
half of the envelope, signals into exit 130, and anything unforeseen into exit 70. `main.py`
registers the function (`register(app, function)`) or the group.

* `Answer.data` is the `data` of the JSON envelope; plain JSON types only.
* `Answer.text` is a string, or a function that prints to the `rich` console it is given.
* `Answer.error` with `Answer.exit` says a "no" that still has data (rolled back, SLO broken).
* Progress goes through `session.step`, `session.line` and `session.emit`; never print.
* `session.confirm(...)` and `session.confirm_typed(...)` ask; `--yes` answers the former only.
"""

import functools
import inspect
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, TypeVar, cast

import typer

from backendctl.cli.answer import SCHEMA, envelope, print_error, unwritten, write_json
from backendctl.cli.answer import Answer as Answer
from backendctl.cli.outlet import Outlet
from backendctl.cli.typed import completed, requested_output, spoken_name
from backendctl.cli.waits import Waits
from backendctl.cli.wrapping import columns, fitted
from backendctl.errors import BackendctlError, Exit

if TYPE_CHECKING:
    from rich.console import Console

    from backendctl.workflows.environment import Opened


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"


class Session:
    """One run of one command: its common options, and the way it speaks."""

    def __init__(
        self,
        command: str,
        environment: str | None = None,
        output: Output = Output.TEXT,
        yes: bool = False,
        verbose: bool = False,
        directory: Path | None = None,
    ) -> None:
        self.command = command
        self.environment = environment
        """As given; None when the user named none (then `local`, or an error if that is unsafe)."""
        self.output = output
        self.yes = yes
        self.verbose = verbose
        self.directory = directory or Path.cwd()
        self._elsewhere = directory
        self._out, self._progress = Outlet(sys.stdout), Outlet(sys.stderr)
        self._waits = Waits(self._show)

    # --- who is there ---

    @property
    def heard(self) -> bool:
        """Whether somebody still reads what we write; a command that only shows can stop then."""
        return self._out.heard and self._progress.heard

    @property
    def interactive(self) -> bool:
        """Whether a person can be asked."""
        return self.output is Output.TEXT and sys.stdin.isatty() and sys.stderr.isatty()

    @functools.cached_property
    def console(self) -> "Console":
        """Where progress and questions go: stderr, so that stdout holds nothing but the answer."""
        return _console(self._progress, soft_wrap=True)

    def write(self, line: str) -> None:
        """One line of the answer itself, for an answer that has no foreseeable end."""
        self._out.write(line + "\n")
        self._out.flush()

    @property
    def output_of_others(self) -> int | None:
        """Where a program we run writes its output, if not to ours: that may be for JSON only."""
        return None if self.output is Output.TEXT else sys.stderr.fileno()

    # --- progress ---

    def line(self, text: str) -> None:
        """One line of progress."""
        self._waits.say("")
        self._show(text)

    def waiting(self, text: str) -> None:
        """What is waited for from now on; a line of progress if that takes over a second."""
        self._waits.say(_one_line(text))

    def _show(self, text: str) -> None:
        if self.output is Output.JSONL:
            self.emit("progress", {"text": text})
        else:
            self.console.print(fitted(text, columns(self._progress)), markup=False)

    def detail(self, text: str) -> None:
        """A line that only `--verbose` shows."""
        if self.verbose:
            self.line(text)

    def emit(self, event: str, data: Mapping[str, Any]) -> None:
        """A structured event; only `--output jsonl` carries it."""
        if self.output is Output.JSONL:
            body = {"schema": SCHEMA, "event": event, "at": time.time(), "data": dict(data)}
            write_json(body, self._out)

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """A piece of work that may take over a second.

        Yields a function for lines about what it is doing just now: shown beside a spinner on a
        terminal, else if it waits there for over a second, and with `--verbose` all of them.
        """
        began = time.monotonic()
        if self.output is Output.JSONL:
            self.emit("step", {"name": name, "state": "begun"})
        try:
            if self.output is Output.TEXT and self.console.is_terminal and not self.verbose:
                with self.console.status(name) as status:
                    yield lambda text: status.update(f"{name}: {_one_line(text.strip())}")
            else:
                if self.output is not Output.JSONL:
                    self.line(f"{name} ...")
                yield self.line if self.verbose else lambda text: self.waiting(f"  {text.strip()}")
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt) or (
                isinstance(error, BackendctlError) and error.code == "interrupted"
            )
            ended = "stopped" if stopped else "failed"
            self._step_ended(name, ended, time.monotonic() - began)
            raise
        self._step_ended(name, "done", time.monotonic() - began)

    def _step_ended(self, name: str, state: str, seconds: float) -> None:
        self._waits.say("")
        if self.output is Output.JSONL:
            self.emit("step", {"name": name, "state": state, "seconds": round(seconds, 3)})
        else:
            mark = {"done": "ok", "failed": "FAILED"}.get(state, state)
            self.line(f"{name}: {mark} ({seconds:.1f} s)")

    # --- questions ---

    def confirm(self, question: str) -> None:
        """Go on only if a person, or `--yes`, says so. Raises `usage.confirmation` or Abort."""
        if self.yes:
            return
        if not self.interactive:
            raise BackendctlError(
                "usage.confirmation",
                f"{question} Nobody is there to answer.",
                state="nothing was changed",
                next=("--yes",),
            )
        if not typer.confirm(question, err=True):
            raise typer.Abort

    def confirm_typed(self, question: str, word: str, given: str | None) -> None:
        """Go on only if `word` itself is typed, or given by an option; `--yes` is not enough."""
        if given is None and self.interactive:
            given = typer.prompt(f"{question} Type {word!r} to go on", err=True)
        if given != word:
            said = "nothing was typed" if given is None else f"{given!r} was typed"
            raise BackendctlError(
                "usage.confirmation",
                f"{question} It must be confirmed with {word!r}; {said}.",
                state="nothing was changed",
                next=(f"--confirm {word}",),
            )

    # --- the project ---

    def check_directory(self) -> None:
        """Raises `usage` when --directory names no folder: no command makes it."""
        if not self.directory.is_dir():
            raise BackendctlError(
                "usage",
                f"--directory: there is no folder {self.directory}",
                state="nothing was done",
            )

    def open(self, *, changes: bool) -> "Opened":
        """The environment meant; what to type next then names it, where there are several."""
        from backendctl.workflows.environment import open_environment

        opened = open_environment(self.directory, self.environment, changes=changes)
        if len(opened.spec.environments) > 1:
            self.environment = opened.environment.name
        return opened

    # --- the end ---

    def completed(self, lines: Sequence[str]) -> tuple[str, ...]:
        """Commands to type next, about the environment and the folder that this one is about."""
        return completed(lines, self.environment, self._elsewhere)

    def give(self, answer: Answer) -> None:
        """Write the answer and leave with its exit status."""
        if answer.error is not None:
            answer.error.next = self.completed(answer.error.next)
        if self.output is Output.TEXT:
            if callable(answer.text):
                answer.text(_console(self._out, soft_wrap=not self._out.isatty()))
            elif answer.text:
                self._out.write(fitted(answer.text.rstrip("\n"), columns(self._out)) + "\n")
            self._out.flush()
            if answer.error is not None:
                print_error(answer.error)
        else:
            write_json(envelope(self.command, answer), self._out)
        if self._out.trouble is not None:
            print_error(unwritten(self._out.trouble))
            raise typer.Exit(int(answer.exit) or Exit.MISSING)
        raise typer.Exit(int(answer.exit))


def _console(outlet: Outlet, *, soft_wrap: bool) -> "Console":
    from rich.console import Console

    # rich itself leaves bold, dim and the moves of its spinner in, whatever NO_COLOR says.
    plain = False if os.environ.get("NO_COLOR") else None
    return Console(
        file=cast(TextIO, outlet), highlight=False, soft_wrap=soft_wrap, force_terminal=plain
    )


# --- the decorator ----------------------------------------------------------------------------

EnvOption = Annotated[
    str | None,
    typer.Option(
        "--env",
        "-e",
        metavar="NAME",
        envvar="BACKENDCTL_ENV",
        help="Environment of backend.toml; local if none is named.",
    ),
]
OutputOption = Annotated[
    Output,
    typer.Option(
        "--output",
        "-o",
        envvar="BACKENDCTL_OUTPUT",
        help="Form of the answer; jsonl adds events on the way.",
    ),
]
YesOption = Annotated[
    bool,
    typer.Option("--yes", "-y", envvar="BACKENDCTL_YES", help="Answer yes to plain questions."),
]
VerboseOption = Annotated[
    bool,
    typer.Option("--verbose", "-v", envvar="BACKENDCTL_VERBOSE", help="Say more on the way."),
]
DirectoryOption = Annotated[
    Path | None,
    typer.Option(
        "--directory",
        "-C",
        metavar="FOLDER",
        envvar="BACKENDCTL_DIRECTORY",
        help="The folder to work in, if not the present one; other paths are relative to it.",
    ),
]

COMMON = {
    "environment": (EnvOption, None),
    "output": (OutputOption, Output.TEXT),
    "yes": (YesOption, False),
    "verbose": (VerboseOption, False),
    "directory": (DirectoryOption, None),
}

F = TypeVar("F", bound=Callable[..., Answer])


def command(*, examples: tuple[str, ...] = (), name: str | None = None) -> Callable[[F], F]:
    """Make a function `(session, ...) -> Answer` a command under the contract above."""

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        own = list(signature.parameters.values())[1:]
        common = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for key, (kind, default) in COMMON.items()
        ]
        own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]

        @functools.wraps(function)
        def run(**arguments: Any) -> None:
            shared = {key: arguments.pop(key) for key in COMMON}
            session = Session(spoken_name(), **shared)
            try:
                session.check_directory()
                answer = function(session, **arguments)
            except BackendctlError as error:
                error.next = session.completed(error.next)
                raise
            except KeyboardInterrupt as signal:  # Typer would leave without an answer
                raise interrupted() from signal
            except BrokenPipeError as error:  # likewise; some server's connection, not our output
                raise ConnectionError(f"a connection broke: {error}") from error
            session.give(answer)

        run.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*own, *common], return_annotation=None
        )
        run.__annotations__ = {p.name: p.annotation for p in [*own, *common]}
        run.__doc__ = _help_text(inspect.getdoc(function) or "", examples)
        run.__dict__["command_name"] = name or function.__name__.replace("_", "-")
        return run  # type: ignore[return-value]

    return decorate


def register(app: typer.Typer, *functions: Callable[..., Any]) -> None:
    """Add commands made by `command` to an application or group."""
    for function in functions:
        app.command(function.__dict__["command_name"])(function)


def group(help: str) -> typer.Typer:
    """A group of commands such as `rollout`."""
    return typer.Typer(help=help, no_args_is_help=True, rich_markup_mode=None)


def _help_text(body: str, examples: tuple[str, ...]) -> str:
    if not examples:
        return body
    return body + "\n\n\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples)


def fail(error: BackendctlError) -> int:
    """Report an error in the form that was asked for; returns the exit status."""
    if requested_output() in (Output.JSON, Output.JSONL):
        answer = Answer(data=error.data, exit=error.exit, error=error)
        write_json(envelope(spoken_name(), answer), Outlet(sys.stdout))
    else:
        print_error(error)
    return int(error.exit)


def interrupted() -> BackendctlError:
    """What a command says that a signal stopped, if it has nothing better to say."""
    return BackendctlError(
        "interrupted",
        "stopped before it was done",
        state="it stopped where it was; the same command can be typed again",
        next=(f"backendctl {'infra preview' if spoken_name().startswith('infra ') else 'status'}",),
    )


def _one_line(text: str) -> str:
    return text.rstrip().splitlines()[0][:100] if text.strip() else ""
