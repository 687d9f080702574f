"""Start commands made to listen where the platform says: 127.0.0.1, on $PORT."""

import contextlib
import itertools
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from backendctl.spec.command import CommandError, parse_command, write_command

GRACEFUL = "25"
"""Seconds for requests in flight after SIGTERM; below the 30 that a platform gives by default."""
KEEP_ALIVE = "75"
"""Seconds; above the gateway's idle time-out, so that only the gateway hangs up."""


@dataclass(frozen=True, slots=True)
class Server:
    """How one server program is told where to listen and how to end."""

    set: tuple[tuple[tuple[str, ...], str], ...]
    """Options that must have this value, by all names they go by (the first is written)."""
    default: tuple[tuple[tuple[str, ...], str], ...] = ()
    """Options that get this value if they are not there."""
    drop: tuple[str, ...] = ()
    """Flags without a value that have no place in production."""
    drop_valued: tuple[str, ...] = ()
    """Options with a value that contradict ours."""


_BIND = "127.0.0.1:$PORT"

SERVERS = {
    "uvicorn": Server(
        set=((("--host",), "127.0.0.1"), (("--port",), "$PORT")),
        default=(
            (("--timeout-graceful-shutdown",), GRACEFUL),
            (("--timeout-keep-alive",), KEEP_ALIVE),
        ),
        drop=("--reload",),
        drop_valued=("--uds", "--fd", "--reload-dir", "--reload-include", "--reload-exclude"),
    ),
    "gunicorn": Server(
        set=((("--bind", "-b"), _BIND),),
        default=((("--graceful-timeout",), GRACEFUL), (("--keep-alive",), KEEP_ALIVE)),
        drop=("--reload", "--daemon", "-D"),
        drop_valued=("--pid", "-p"),
    ),
    "hypercorn": Server(
        set=((("--bind", "-b"), _BIND),),
        default=((("--graceful-timeout",), GRACEFUL), (("--keep-alive",), KEEP_ALIVE)),
        drop=("--reload",),
    ),
    "daphne": Server(
        set=((("-b", "--bind"), "127.0.0.1"), (("-p", "--port"), "$PORT")),
        drop_valued=("-u", "--unix-socket", "-e", "--endpoint"),
    ),
    "granian": Server(set=((("--host",), "127.0.0.1"), (("--port",), "$PORT")), drop=("--reload",)),
    "waitress-serve": Server(
        set=((("--listen",), _BIND),), drop_valued=("--host", "--port", "--unix-socket")
    ),
    "fastapi": Server(set=((("--host",), "127.0.0.1"), (("--port",), "$PORT")), drop=("--reload",)),
    "flask": Server(
        set=((("--host", "-h"), "127.0.0.1"), (("--port", "-p"), "$PORT")), drop=("--reload",)
    ),
}
RUNNER = re.compile(r"^(poetry|pipenv|uv|pdm|rye|hatch) run (?!-)")
"""Finds an environment of its own; the platform has made one, and it is active."""
MIGRATES = re.compile(r"migrat|\balembic\s+upgrade\b", re.IGNORECASE)
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
RUN_BY_ENVIRONMENT = frozenset({"node", "npm", "pnpm", "yarn", "bun", "npx"})
"""Programs whose service reads PORT itself."""


@dataclass(frozen=True, slots=True)
class StartCommand:
    """A start command as one line, and whether we know that it listens on $PORT."""

    line: str
    server: str
    """The server program recognised; empty if none."""
    listens: bool


def listening(line: str) -> StartCommand:
    """`line` as it was written by people, made to listen on 127.0.0.1:$PORT where we know how."""
    line = re.sub(r"\$\{PORT(:?[-=][^}]*)?\}|\"\$PORT\"", "$PORT", line.strip())
    line = RUNNER.sub("", line.removeprefix("exec "))
    try:
        words = shlex.split(line)
    except ValueError:
        return _in_shell(line)
    if len(words) == 3 and words[0].rpartition("/")[2] in ("sh", "bash") and words[1] == "-c":
        return listening(words[2])
    assignments = list(itertools.takewhile(ASSIGNMENT.match, words))
    try:
        argv = list(parse_command(_without(line, len(assignments))))
    except CommandError:
        return _in_shell(line)
    prefix = ["env", *assignments] if assignments else []
    at = _server_position(argv)
    if at is None:
        listens = "$PORT" in line or argv[0].rpartition("/")[2] in RUN_BY_ENVIRONMENT
        return StartCommand(write_command((*prefix, *argv)), "", listens)
    name = argv[at].rpartition("/")[2]
    if name == "fastapi" and argv[at + 1 : at + 2] == ["dev"]:
        argv[at + 1] = "run"
    argv = [*argv[: at + 1], *adjusted(argv[at + 1 :], SERVERS[name])]
    return StartCommand(write_command((*prefix, *argv)), name, True)


def migration_apart(line: str) -> tuple[str, str]:
    """(migration, service) of a line such as `migrate && serve`; ("", the line) of any other.

    Every process of a release would migrate when it starts; the platform does it once before.
    """
    with contextlib.suppress(ValueError):
        words = shlex.split(line)
        if len(words) == 3 and words[0].rpartition("/")[2] in ("sh", "bash") and words[1] == "-c":
            line = words[2]
    before, joint, last = line.rpartition("&&")
    if joint and MIGRATES.search(before):
        return before.strip(), last.strip()
    return "", line


def _without(line: str, assignments: int) -> str:
    """The line behind its leading `NAME=value` words."""
    for _ in range(assignments):
        line = re.sub(r"""^\s*\w+=("[^"]*"|'[^']*'|\S)*\s*""", "", line)
    return line


def _in_shell(line: str) -> StartCommand:
    """A line that needs a shell, which then gives way to the service so that signals reach it."""
    before, joint, last = line.rpartition("&&")
    command = listening(last) if joint else StartCommand(line, "", "$PORT" in line)
    if joint:
        line = f"{before.strip()} && exec {command.line}"
    return StartCommand(write_command(("sh", "-c", line)), command.server, command.listens)


def _server_position(argv: Sequence[str]) -> int | None:
    """Where the server's name stands: also behind `poetry run`, `python -m`, `uv run`."""
    for position, word in enumerate(argv[:6]):
        if word.rpartition("/")[2] in SERVERS:
            return position
    return None


def adjusted(arguments: Sequence[str], server: Server) -> list[str]:
    """Arguments with the server's options set, those in the way dropped, the rest as it was."""
    replaced = {name for names, _ in server.set for name in names}
    valued = replaced | set(server.drop_valued)
    kept: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, _ = word.partition("=")
        if name in valued:
            if not equals and rest:
                rest.pop(0)
        elif _attached_short(word, valued):
            continue
        elif word not in server.drop:
            kept.append(word)
    for names, value in server.set:
        kept += [names[0], value]
    for names, value in server.default:
        if not any(word.partition("=")[0] in names for word in kept):
            kept += [names[0], value]
    return kept


def _attached_short(word: str, valued: set[str]) -> bool:
    """`-b0.0.0.0:80`: a short option with its value in one word."""
    return len(word) > 2 and word[0] == "-" and word[1] != "-" and word[:2] in valued
