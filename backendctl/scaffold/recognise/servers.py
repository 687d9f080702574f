"""Start commands made to listen where the platform says: 127.0.0.1, on $PORT."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

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
RUN_BY_ENVIRONMENT = frozenset({"node", "npm", "pnpm", "yarn", "bun", "npx"})
"""Programs whose service reads PORT itself."""
SHELL = re.compile(r"&&|\|\||[|;<>`]|\$\(|\$\{[^}]*[^A-Za-z0-9_}]")


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
    line = line.removeprefix("exec ")
    inner = shlex.split(line)
    if len(inner) == 3 and inner[0].rpartition("/")[2] in ("sh", "bash") and inner[1] == "-c":
        return listening(inner[2])
    if SHELL.search(line):
        return StartCommand(f"sh -c {shlex.quote(line)}", "", "$PORT" in line)
    argv = shlex.split(line)
    assignments = 0
    while assignments < len(argv) and re.match(r"[A-Za-z_]\w*=", argv[assignments]):
        assignments += 1
    if assignments:
        argv = ["env", *argv]
    at = _server_position(argv)
    if at is None:
        program = argv[assignments + (1 if assignments else 0)] if argv else ""
        listens = "$PORT" in line or program.rpartition("/")[2] in RUN_BY_ENVIRONMENT
        return StartCommand(join(argv), "", listens)
    name = argv[at].rpartition("/")[2]
    if name == "fastapi" and argv[at + 1 : at + 2] == ["dev"]:
        argv[at + 1] = "run"
    argv = [*argv[: at + 1], *adjusted(argv[at + 1 :], SERVERS[name])]
    return StartCommand(join(argv), name, True)


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


def join(argv: Sequence[str]) -> str:
    """One line that `shlex` splits into `argv`, with `$PORT` left to be read as such."""
    return " ".join(
        word if re.fullmatch(r"[\w@%+=:,./$-]+", word, re.ASCII) else shlex.quote(word)
        for word in argv
    )
