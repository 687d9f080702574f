"""Take secrets out of log lines before they are kept in a journal or shown."""

import re
from collections.abc import Iterable, Mapping

HIDDEN = "***"

_IN_URL = re.compile(r"(?<=://)([^\s:/@]*):([^\s@]+)(?=@)")
_NAMED = re.compile(
    r"(?i)\b([\w-]*(?:password|passwd|secret|token|api[_-]?key|authorization)[\w-]*)"
    r"(\"?\s*[=:]\s*\"?)(?:bearer\s+)?[^\s\"',;]+"
)
_SECRET_NAME = re.compile(r"(?i)password|passwd|secret|token|key|url|dsn")
MAX_LINE = 400
"""Characters kept of one line."""
CLIPPED = " ... "


def redact(lines: Iterable[str], bindings: Mapping[str, str]) -> tuple[str, ...]:
    """The lines without credentials in URLs, values of telling names, or secret bindings."""
    secrets = sorted(
        (v for name, v in bindings.items() if _SECRET_NAME.search(name) and len(v) >= 6),
        key=len,
        reverse=True,
    )
    return tuple(_line(line, secrets) for line in lines)


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
