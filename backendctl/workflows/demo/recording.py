"""What happened in the demo, as it happened: the report's raw material."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from backendctl.loadtest.traffic import TrafficReport
from backendctl.rollout.events import Began, BlockObserved, Event, Shifted
from backendctl.workflows.rollouts import Outcome


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the story."""

    name: str
    seconds: float
    result: str


@dataclass(slots=True)
class ReleaseStory:
    """One release under users: what they saw, and what the gateway counted."""

    title: str
    outcome: Outcome | None = None
    candidate: int = 0
    began: float = 0.0
    seconds: float = 0.0
    traffic: TrafficReport | None = None
    weights: list[tuple[float, int]] = field(default_factory=list)
    """Seconds since the beginning, the candidate's share in percent."""
    blocks: list[BlockObserved] = field(default_factory=list)
    promised: float = math.inf
    """Seconds within which 99 of 100 requests are to be answered."""

    def record(self, event: Event) -> None:
        """Take in a rollout's event."""
        match event:
            case Began():
                self.candidate = event.plan.candidate
            case Shifted():
                share = event.weights.get(self.candidate, 0)
                self.weights.append((event.at - self.began, share))
            case BlockObserved():
                self.blocks.append(event)
            case _:
                pass

    @property
    def candidate_requests(self) -> int:
        """Requests that the candidate answered in observed blocks."""
        arms = [each.block.candidate for each in self.blocks]
        return sum(arm.requests for arm in arms if arm is not None)

    @property
    def candidate_failed(self) -> int:
        """Of those, the ones that it failed, whoever answered them then."""
        arms = [each.block.candidate for each in self.blocks]
        return sum(arm.errors for arm in arms if arm is not None)

    @property
    def users_in_words(self) -> str:
        """What users saw fail, what they did not see because stable answered it, what was slow."""
        return self._failed_in_words + self._slow_in_words

    @property
    def _failed_in_words(self) -> str:
        failed = self.traffic.failed if self.traffic else 0
        count = self.traffic.count if self.traffic else 0
        text = f"{failed:,} of {count:,} user requests failed"
        kinds = _kinds(self.traffic.statuses) if self.traffic and failed else ""
        lost = self.candidate_failed
        if lost <= failed:
            return f"{text} ({kinds})" if kinds else text
        if failed == 0:
            seen, rest = "none", "it" if lost == 1 else "them"
        else:
            seen, rest = f"{failed:,}", "the others"
        return (
            f"{text} ({kinds and f'{kinds}; '}the new release failed {lost:,}, "
            f"of which users saw {seen}: stable answered {rest})"
        )

    @property
    def _slow_in_words(self) -> str:
        seconds = self.traffic.seconds.values() if self.traffic else ()
        limit = 1000.0 * self.promised
        slow = sum(each > limit for second in seconds for each in second.latencies_ms)
        return f"; {slow:,} took longer than {self.promised:g} s" if slow else ""

    def data(self) -> dict[str, object]:
        """For the JSON answer."""
        traffic, outcome = self.traffic, self.outcome
        return {
            "result": outcome.result if outcome else "not run",
            "user_requests": traffic.count if traffic else 0,
            "failed_requests": traffic.failed if traffic else 0,
            "statuses": dict(traffic.statuses) if traffic else {},
            "candidate_requests": self.candidate_requests,
            "candidate_failed": self.candidate_failed,
            "seconds": round(self.seconds, 2),
            "reason": outcome.reason if outcome else "",
        }


def _kinds(statuses: Mapping[str, int]) -> str:
    """Failed requests by what users got: `20 answered 5xx, 2 not at all`."""
    kinds: Counter[str] = Counter()
    for status, count in statuses.items():
        if not status.isdigit():
            kinds["not at all"] += count
        elif int(status) >= 400:
            kinds[f"answered {status[0]}xx"] += count
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
