"""Where a rollout stands, folded from its events: rates, evidence, and what is still needed."""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backendctl.rollout.events import BlockObserved, Event
    from backendctl.rollout.states import RolloutPlan
    from backendctl.rollout.verdict import ArmBlock, Block

RECENT_BLOCKS = 5
"""Blocks over which a rate is told: fewer flicker, more lag behind."""
SMOOTHING = 0.3
"""Weight of the newest estimate of what is still needed."""
GROWS_FROM = 1.25
"""What is still needed is told to have grown only once it has by this factor: estimates swing
with every error that comes or does not, and a number that jumps is believed by nobody."""


@dataclass(slots=True)
class ArmCount:
    """One arm since the last shift."""

    requests: int = 0
    errors: int = 0
    slow: int = 0
    """Requests over the threshold that most of them are over."""
    measured: bool = True
    """Whether the newest block knew of it."""
    recent: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=RECENT_BLOCKS))
    """Seconds and requests of the newest blocks."""

    def add(self, arm: "ArmBlock | None", seconds: float) -> None:
        self.measured = arm is not None
        if arm is None:
            return
        self.requests += arm.requests
        self.errors += arm.errors
        self.slow += max(arm.slow.values(), default=0)
        self.recent.append((seconds, arm.requests))

    @property
    def rps(self) -> float | None:
        """Requests per second of late; None before anything was measured."""
        seconds = math.fsum(each for each, _ in self.recent)
        return sum(n for _, n in self.recent) / seconds if seconds > 0 else None


class Remaining:
    """An amount that is still needed, told calmly: it falls, and grows only for a reason."""

    def __init__(self) -> None:
        self._smooth: float | None = None
        self.told: float | None = None

    def passed(self, amount: float) -> None:
        """So much of it came since."""
        if self._smooth is not None:
            self._smooth = max(0.0, self._smooth - amount)
        if self.told is not None:
            self.told = max(0.0, self.told - amount)

    def estimate(self, amount: float) -> None:
        """A fresh estimate of what is still needed."""
        old = self._smooth
        self._smooth = amount if old is None else old + SMOOTHING * (amount - old)
        if self.told is None or not self.told <= self._smooth <= self.told * GROWS_FROM:
            self.told = self._smooth


class Standing:
    """Takes events in and says where the rollout stands."""

    def __init__(self) -> None:
        self.plan: RolloutPlan | None = None
        self._begin(None, 0.0)

    def _begin(self, plan: "RolloutPlan | None", at: float) -> None:
        self.plan = plan
        self.phase = ""
        self.stage = 0
        self.weights: Mapping[int, int] = {}
        self.numbers: Mapping[str, Any] = {}
        """Of the newest judgement."""
        self.problem = ""
        self.copies = ""
        """What copies of requests came to so far, in words."""
        self.promoted_by_word = False
        self._restart(at)

    def _restart(self, at: float) -> None:
        self.since = at
        self.candidate, self.stable = ArmCount(), ArmCount()
        self.requests = Remaining()
        self._seconds = Remaining()
        self._estimated = at

    def take(self, event: "Event") -> None:
        """One more event."""
        from backendctl.rollout import events as e
        from backendctl.rollout.copying import copies_in_words

        match event:
            case e.Began():
                self._begin(event.plan, event.at)
            case e.PhaseChanged():
                self.phase, self.stage = str(event.phase), event.stage
                if self.phase != "hold":  # there it is watched as before
                    self.numbers = {}
                    self._restart(event.at)
            case e.Shifted():
                self.weights = event.weights
                self.numbers = {}
                self._restart(event.at)
            case e.Commanded(verb="promote"):
                self.promoted_by_word = True
            case e.CopiesCounted():
                self.copies = copies_in_words(event.copies)
            case e.BlockObserved():
                self._block(event)
            case _:
                pass

    def _block(self, event: "BlockObserved") -> None:
        block: Block = event.block
        self.problem = event.problem
        self.candidate.add(block.candidate, block.seconds)
        self.stable.add(block.stable, block.seconds)
        if event.judgement is not None:
            self.numbers = event.judgement.numbers
        self.requests.passed(block.candidate.requests if block.candidate else 0)
        self._seconds.passed(event.at - self._estimated)
        self._estimated = event.at
        needed = self.numbers.get("requests_needed")
        least = self.least_seconds(event.at)
        rps = self.candidate.rps
        if needed is None or self.phase != "step":
            if least is not None:
                self._seconds.estimate(least)
            return
        self.requests.estimate(needed)
        if rps:
            self._seconds.estimate(max(least or 0.0, (self.requests.told or 0.0) / rps))

    def least_seconds(self, at: float) -> float | None:
        """Seconds that the present stage lasts at least from `at`; None where it has no length."""
        plan = self.plan
        if plan is None:
            return None
        if self.phase == "mirror" and plan.mirror is not None:
            return max(0.0, plan.mirror.seconds - (at - self.since))
        if self.phase == "bake":
            return max(0.0, plan.bake - (at - self.since))
        if self.phase == "step" and plan.verdict is not None:
            return max(0.0, plan.verdict.warm_up + plan.verdict.step_time - (at - self.since))
        return None

    def seconds_left(self, at: float) -> float | None:
        """Seconds still needed for the present stage, about; None if that cannot be said."""
        if self.phase not in ("mirror", "step", "bake"):
            return None
        if self._seconds.told is None:
            return self.least_seconds(at)
        return max(0.0, self._seconds.told - max(0.0, at - self._estimated))

    @property
    def against(self) -> tuple[float, float] | None:
        """Evidence against the candidate and the limit at which it is undone."""
        if "evidence" not in self.numbers:
            return None
        return self.numbers["evidence"], self.numbers["evidence_limit"]

    @property
    def weakest(self) -> tuple[str, float, float] | None:
        """The metric furthest from its certificate, its certificate, and what is needed."""
        known = {
            name: each["certificate"]
            for name, each in self.numbers.get("metrics", {}).items()
            if each["certificate"] is not None
        }
        if not known or self.promoted_by_word:
            return None
        name = min(known, key=lambda each: known[each])
        return name, known[name], self.numbers["certificate_limit"]
