"""Take secrets out of log lines before they are kept in a journal or shown."""

import re
from collections.abc import Iterable, Mapping

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Platform

HIDDEN = "***"

_IN_URL = re.compile(r"(?<=://)([^\s:/@]*):([^\s@]+)(?=@)")
_NAMED = re.compile(
    r"(?i)\b([\w-]*(?:password|passwd|secret|token|api[_-]?key|authorization)[\w-]*)"
    r"(\"?\s*[=:]\s*\"?)(?:bearer\s+)?[^\s\"',;]+"
)
_SECRET_NAME = re.compile(r"(?i)password|passwd|secret|token|key|url|dsn")
SHORTEST = 6
MAX_LINE = 400
"""Characters kept of one line."""
CLIPPED = " ... "


def without_secrets(platform: Platform, lines: Iterable[str]) -> tuple[str, ...]:
    """`redact` with all that the environment knows to be secret: what its servers are reached by,
    and the present values that people have set.

    Where those cannot be had, the lines are withheld, and one that says why stands for them: a
    rollout must not stop for want of words, least of all while its candidate fails.
    """
    known = tuple(lines)
    if not known:
        return ()
    try:
        values = [platform.secrets.reveal(name) for name in platform.secrets.current()]
        bindings = platform.foundation.bindings()
    except BackendctlError as error:
        return (f"(withheld: what is secret in it cannot be had: {error.message})",)
    return redact(known, bindings, [each for each in values if each])


def redact(
    lines: Iterable[str], bindings: Mapping[str, str], secrets: Iterable[str] = ()
) -> tuple[str, ...]:
    """The lines without credentials in URLs, values of telling names, secret bindings or any of
    `secrets`; a value of less than `SHORTEST` characters could be anything, and stays."""
    named = (value for name, value in bindings.items() if _SECRET_NAME.search(name))
    hidden = sorted({v for v in (*named, *secrets) if len(v) >= SHORTEST}, key=len, reverse=True)
    return tuple(_line(line, hidden) for line in lines)


def _line(line: str, secrets: Iterable[str]) -> str:
    for value in secrets:
        line = line.replace(value, HIDDEN)
    line = _IN_URL.sub(rf"\1:{HIDDEN}", line)
    line = _NAMED.sub(rf"\1\2{HIDDEN}", line)
    return _clipped(line.rstrip("\n"))


def _clipped(line: str) -> str:
    """Without its middle: a traceback inside a JSON line says at its end what went wrong."""
    if len(line) <= MAX_LINE:
        return line
    half = (MAX_LINE - len(CLIPPED)) // 2
    return line[: MAX_LINE - len(CLIPPED) - half] + CLIPPED + line[-half:]
