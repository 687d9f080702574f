"""What a command answers, and how an answer and an error are written for a person and a program."""

import errno
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backendctl.cli.outlet import Outlet
from backendctl.cli.wrapping import columns, fitted
from backendctl.errors import BackendctlError, Exit

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA = "backendctl/v1"


Text = str | Callable[["Console"], None]


@dataclass(frozen=True)
class Answer:
    """What a command found or did."""

    data: Mapping[str, Any] = field(default_factory=dict)
    text: Text = ""
    exit: int = Exit.OK
    error: BackendctlError | None = None
    """Why the exit status is not 0, where the command still has data to give."""


def envelope(command: str, answer: Answer) -> dict[str, Any]:
    """The one form of every JSON answer."""
    return {
        "schema": SCHEMA,
        "command": command,
        "ok": answer.exit == Exit.OK,
        "exit": int(answer.exit),
        "data": dict(answer.data),
        "error": None if answer.error is None else error_body(answer.error),
    }


def error_body(error: BackendctlError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "cause": error.cause,
        "state": error.state,
        "next": list(error.next),
    }


def unwritten(trouble: OSError) -> BackendctlError:
    return BackendctlError(
        "platform.disk-full" if trouble.errno == errno.ENOSPC else "platform.permission",
        "the answer could not be written to standard output",
        cause=str(trouble),
        state="the command itself was carried out",
    )


def print_error(error: BackendctlError) -> None:
    first, *rest = error.message.splitlines() or [""]
    lines = [f"error: {first}  [{error.code}]", *rest]
    if error.cause:
        lines.append(f"  cause: {_indent(error.cause)}")
    if error.state:
        lines.append(f"  state: {_indent(error.state)}")
    lines += [f"  {'next: ' if i == 0 else '      '} {what}" for i, what in enumerate(error.next)]
    outlet = Outlet(sys.stderr)
    outlet.write(fitted("\n".join(lines), columns(outlet)) + "\n")
    outlet.flush()


def write_json(body: Mapping[str, Any], outlet: Outlet) -> None:
    outlet.write(json.dumps(body, ensure_ascii=False, allow_nan=False) + "\n")
    outlet.flush()


def _indent(text: str) -> str:
    return text.replace("\n", "\n         ")
