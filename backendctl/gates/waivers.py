"""Exceptions to findings, in `waivers.toml` beside backend.toml: dated, reasoned, expiring.

[[waiver]]
rule = "no-open-ingress"
subject = "network/bastion-*"          # one thing, or several by * and ?
environment = "staging"                # every environment when absent
reason = "partner connects until their VPN is up (ticket OPS-311)"
by = "ana@example.com"
made = 2026-11-21
until = 2027-01-31                     # at most a year after `made`
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from backendctl.errors import BackendctlError

FILE = "waivers.toml"
LONGEST = timedelta(days=366)
SHORTEST_REASON = 15
"""Characters; less is no reason."""
_TEXTS = ("rule", "subject", "reason", "by")
_DATES = ("made", "until")
_KEYS = frozenset((*_TEXTS, *_DATES, "environment"))


@dataclass(frozen=True, slots=True)
class Waiver:
    """One exception."""

    rule: str
    subject: str
    reason: str
    by: str
    made: date
    until: date
    """The last day on which it holds."""
    environment: str = ""

    def covers(self, rule: str, subject: str, environment: str, today: date) -> bool:
        """Whether a finding is excused today."""
        return (
            rule == self.rule
            and self.environment in ("", environment)
            and fnmatchcase(subject, self.subject)
            and self.made <= today <= self.until
        )

    def to_data(self) -> dict[str, Any]:
        """As the JSON answer shows it."""
        return {
            "reason": self.reason,
            "by": self.by,
            "made": self.made.isoformat(),
            "until": self.until.isoformat(),
        }


def load_waivers(project: Path, rules: Iterable[str]) -> Sequence[Waiver]:
    """Those of the project; none without a file. `rules` are the names there are.

    Raises BackendctlError `gate.waivers` that names every mistake.
    """
    file = project / FILE
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _refused(file, [str(error)]) from error
    return parse_waivers(document, file, frozenset(rules))


def parse_waivers(
    document: Mapping[str, Any], file: Path, rules: frozenset[str]
) -> Sequence[Waiver]:
    """The waivers of a document. Raises as `load_waivers`."""
    listed = document.get("waiver", [])
    problems = [f"{key!r} is not known; accepted: waiver" for key in document if key != "waiver"]
    if not isinstance(listed, list):
        raise _refused(file, [*problems, "waivers are written as [[waiver]]"])
    waivers = []
    for number, entry in enumerate(listed, 1):
        wrong = [f"waiver {number}: {problem}" for problem in _problems(entry, rules)]
        problems += wrong
        if not wrong:
            waivers.append(Waiver(**entry))
    if problems:
        raise _refused(file, problems)
    return tuple(waivers)


def _problems(entry: object, rules: frozenset[str]) -> list[str]:
    if not isinstance(entry, dict):
        return ["it is no table"]
    found = [f"{key!r} is not known; accepted: {', '.join(sorted(_KEYS))}" for key in entry
             if key not in _KEYS]  # fmt: skip
    found += [
        f"`{key}` is missing or no text"
        for key in _TEXTS
        if not isinstance(entry.get(key), str) or not entry[key].strip()
    ]
    if not isinstance(entry.get("environment", ""), str):
        found.append("`environment` is no text")
    found += [
        f"`{key}` is missing or no date, such as 2027-01-31"
        for key in _DATES
        if type(entry.get(key)) is not date
    ]
    if found:
        return found
    if entry["rule"] not in rules:
        found.append(f"there is no rule {entry['rule']!r}; there are: {', '.join(sorted(rules))}")
    if len(entry["reason"].strip()) < SHORTEST_REASON:
        found.append(f"the reason is shorter than {SHORTEST_REASON} characters")
    if entry["until"] < entry["made"]:
        found.append("it ends before it was made")
    if entry["until"] - entry["made"] > LONGEST:
        found.append(f"it holds for longer than {LONGEST.days} days")
    return found


def _refused(file: Path, problems: Sequence[str]) -> BackendctlError:
    return BackendctlError(
        "gate.waivers",
        f"{file} is not accepted",
        cause="; ".join(problems),
        state="nothing was checked",
        data={"problems": list(problems)},
    )
