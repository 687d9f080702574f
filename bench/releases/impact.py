"""What users saw, out of their log."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bench.releases.users import Seen

BASE = "base"
PARTNER = "the delivery partner did not answer"
"""What every release fails with now and then; the base release, in 6 % of these calls."""
MOMENT = 1.0
"""Seconds."""
SLOW = 6.0
"""Seconds: the promised p99."""


@dataclass
class Impact:
    """Of the requests that were due in one stretch of time."""

    requests: int = 0
    candidate: int = 0
    """Answered by the release that is tried."""
    lost: int = 0
    """Failed or wrong, and not for the partner's sake."""
    lost_by_nobody: int = 0
    """Those among them that no release had answered."""
    lost_by_base: int = 0
    """Those among them that the base release failed, though it is good."""
    partner: int = 0
    """Failed because the delivery partner did, by any release."""
    partner_candidate: int = 0
    """Those among them that the release that is tried answered."""
    slow: int = 0
    """Right, but after more than the promised p99."""
    slow_base: int = 0
    """Those among them that the base release answered."""
    base: int = 0
    last: list[str] = field(default_factory=list)
    """Who answered the requests of the last moment."""
    problems: dict[str, int] = field(default_factory=dict)
    """The commonest problems of lost ones."""


class Log:
    """The users' log, read on from where it was read last."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0

    def read(self, release: str) -> Impact:
        """Since the last reading."""
        with self._path.open() as log:
            log.seek(self._at)
            text = log.read()
        whole = text[: text.rfind("\n") + 1]
        self._at += len(whole.encode())
        return impact([Seen(**json.loads(line)) for line in whole.splitlines()], release)


def impact(seen: list[Seen], release: str) -> Impact:
    """Of these requests, for the release that was tried meanwhile."""
    found, problems = Impact(requests=len(seen)), Counter[str]()
    for each in seen:
        found.candidate += each.version == release
        found.base += each.version == BASE
        if PARTNER in each.problem:
            found.partner += 1
            found.partner_candidate += each.version == release
        elif each.problem:
            found.lost += 1
            found.lost_by_nobody += not each.version
            found.lost_by_base += each.version == BASE
            problems[f"{each.version or 'nobody'}, {each.kind}: {each.problem}"[:120]] += 1
        elif each.seconds > SLOW:
            found.slow += 1
            found.slow_base += each.version == BASE
    end = max((each.due for each in seen), default=0.0) - MOMENT
    found.last = sorted({each.version for each in seen if each.due >= end})
    found.problems = dict(problems.most_common(5))
    return found
