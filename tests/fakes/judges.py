"""A verdict that decides what the test says, after so many blocks."""

from dataclasses import dataclass
from typing import Any

from backendctl.rollout.verdict import Block, Decision, Judgement


@dataclass(frozen=True)
class Seen:
    step: int
    blocks: int = 0


@dataclass(frozen=True)
class ScriptedJudge:
    """Passes every step after `after` whole blocks; `says` overrides it for a step's index."""

    after: int = 2
    says: tuple[tuple[int, Decision], ...] = ()

    def begin(self, plan: Any) -> Any:
        return Seen(-1)

    def begin_step(self, plan: Any, evidence: Any, step: int, at: float | None = None) -> Any:
        return Seen(step)

    def update(self, plan: Any, evidence: Any, block: Block) -> Any:
        whole = block.candidate is not None
        return Seen(evidence.step, evidence.blocks + int(whole))

    def judge(self, plan: Any, evidence: Any, elapsed_in_step: float) -> Judgement:
        decision = Decision.CONTINUE
        if evidence.blocks >= self.after:
            decision = dict(self.says).get(evidence.step, Decision.PASS)
        return Judgement(decision, f"scripted: {decision}", {"blocks": evidence.blocks})
