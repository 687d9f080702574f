"""A command written as one line, as argv: no shell is ever started for it."""

import re
import shlex

EXAMPLE = '"uvicorn app.main:app --port $PORT"'
_SCRIPT = "put it into a script of the project and name the script here"
_OUTPUT = "leave it out: output is kept and rotated already (`backendctl logs`)"
_INSTEAD = {
    "|": _SCRIPT,
    "||": _SCRIPT,
    ";": _SCRIPT,
    "(": _SCRIPT,
    ")": _SCRIPT,
    "$(": _SCRIPT,
    "`": _SCRIPT,
    "&&": "one command: migrations go into service.migrate, installing into service.install, "
    "anything else into a script",
    "&": "leave it out: backendctl itself keeps the process running",
    ">": _OUTPUT,
    ">>": _OUTPUT,
    "<": "let the program open the file itself, named by an argument",
}
ONE_COMMAND = f"one command with its arguments, such as {EXAMPLE}"

# What a shell would see: quoted stretches and escapes first, so that operators inside them pass.
_TOKEN = re.compile(
    r"""(?P<single>'[^']*')|(?P<escape>\\.)|(?P<double>"(?:[^"\\]|\\.)*")"""
    r"""|(?P<operator>&&|\|\||>>|\$\(|[|&;<>()`])|.""",
    re.DOTALL,
)
_IN_DOUBLE = re.compile(r"(?<!\\)(\$\(|`)")


class CommandError(ValueError):
    """A line that is not one plain command; `accepted` says what to write instead."""

    def __init__(self, message: str, accepted: str) -> None:
        super().__init__(message)
        self.accepted = accepted


def parse_command(line: str) -> tuple[str, ...]:
    """The line's argv, by the quoting rules of a POSIX shell. Raises CommandError."""
    try:
        argv = shlex.split(line)
    except ValueError as error:
        raise CommandError("a quotation mark or backslash is not closed", ONE_COMMAND) from error
    if not argv:
        raise CommandError("the command is empty", ONE_COMMAND)
    operator = _operator(line)
    if operator:
        raise CommandError(
            f"{operator!r} is a shell operator, and no shell is started", _INSTEAD[operator]
        )
    if re.match(r"[A-Za-z_][A-Za-z0-9_]*=", argv[0]):
        raise CommandError(
            f"{argv[0]!r} sets a variable, which is a shell's work",
            "put it under [environments.NAME.variables]; a secret goes into "
            "`backendctl secrets set`",
        )
    return tuple(argv)


def write_command(argv: tuple[str, ...]) -> str:
    """The line that `parse_command` reads as `argv`; `$NAME` stays bare where it can."""
    return " ".join(
        word if re.fullmatch(r"[\w@%+=:,./$-]+", word, re.ASCII) else shlex.quote(word)
        for word in argv
    )


def _operator(line: str) -> str | None:
    for token in _TOKEN.finditer(line):
        if token["operator"]:
            return token["operator"]
        if token["double"] and (found := _IN_DOUBLE.search(token["double"])):
            return found[1]
    return None
