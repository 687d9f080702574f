"""What people say about a migration in a comment of its own line.

-- backendctl: expand: the table was never used
# backendctl: contract: release 12, which serves, reads `name` no more
// backendctl: allow require-concurrent-index-creation until 2027-03-01: the table is tiny
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from backendctl.migrations.revisions import Effect

_MARKER = re.compile(r"^[ \t]*(?:--|#|//|\*)[ \t]*backendctl:[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_EFFECT = re.compile(r"(expand|contract)\b[ \t]*[:,-]?[ \t]*(.*)")
_ALLOW = re.compile(r"allow[ \t]+([a-z-]+)[ \t]+until[ \t]+(\d{4}-\d\d-\d\d)[ \t]*[:,-]?[ \t]*(.*)")

FORMS = "`expand: REASON`, `contract: REASON` or `allow RULE until YYYY-MM-DD: REASON`"


class MarkerError(Exception):
    """A marker that says nothing that is understood; `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Waiver:
    """A finding that somebody answers for, up to and including a day."""

    until: date
    reason: str


@dataclass(frozen=True, slots=True)
class Markers:
    """All that one file says of itself."""

    effect: Effect | None = None
    reason: str = ""
    waivers: Mapping[str, Waiver] = field(default_factory=dict)
    """By rule."""


def read(text: str) -> Markers:
    """The markers of a migration's file. Raises MarkerError: a typo must not pass for none."""
    effect, reason = None, ""
    waivers: dict[str, Waiver] = {}
    for found in _MARKER.finditer(text):
        line = text[: found.start()].count("\n") + 1
        if said := _EFFECT.fullmatch(found[1]):
            effect, reason = Effect(said[1]), said[2]
        elif said := _ALLOW.fullmatch(found[1]):
            reason_of_it = said[3]
            waivers[said[1]] = Waiver(_day(said[2], line), reason_of_it)
            _need_reason(reason_of_it, line)
            continue
        else:
            raise MarkerError(f"{found[1]!r} is none of {FORMS}", line)
        _need_reason(reason, line)
    return Markers(effect, reason, waivers)


def _need_reason(reason: str, line: int) -> None:
    if not re.search(r"\w", reason):
        raise MarkerError("a reason is missing after the colon", line)


def _day(text: str, line: int) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise MarkerError(f"{text} is no day: {error}", line) from None
