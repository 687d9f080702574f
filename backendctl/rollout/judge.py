"""What the machine asks of a verdict. `backendctl.rollout.verdict` is the one that ships."""

from typing import Protocol

from backendctl.rollout import verdict
from backendctl.rollout.verdict import Block, Evidence, Judgement
from backendctl.rollout.verdict import Plan as VerdictPlan


class Judge(Protocol):
    """Pure functions from blocks to a decision; a module or an object."""

    def begin(self, plan: VerdictPlan) -> Evidence:
        """Evidence before anything was seen."""
        ...

    def begin_step(
        self, plan: VerdictPlan, evidence: Evidence, step: int, at: float | None = None
    ) -> Evidence:
        """The gateway serves the weights of step number `step` (from 0) since `at`."""
        ...

    def update(self, plan: VerdictPlan, evidence: Evidence, block: Block) -> Evidence:
        """Take one block in."""
        ...

    def judge(self, plan: VerdictPlan, evidence: Evidence, elapsed_in_step: float) -> Judgement:
        """What the evidence says, `elapsed_in_step` seconds after the step began."""
        ...


def shipped() -> Judge:
    """The verdict of this version."""
    return verdict
