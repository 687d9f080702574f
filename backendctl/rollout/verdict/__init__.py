"""Judging a candidate release: pure, anytime-valid, replayable.

A caller makes a `Plan` once (`plan_for`), then `begin`s, and for each step calls `begin_step`,
`update` with each block of counts, and `judge` as often as it likes. The same plan and blocks
always give the same judgements.
"""

from backendctl.rollout.verdict.blocks import ArmBlock, Block
from backendctl.rollout.verdict.evidence import Evidence, begin, begin_step, update
from backendctl.rollout.verdict.forecast import Forecast, forecast
from backendctl.rollout.verdict.history import Reference, reference_from
from backendctl.rollout.verdict.judge import Decision, Judgement, judge
from backendctl.rollout.verdict.plan import Limits, Metric, Own, Plan, Step, plan_for, steps_for
from backendctl.rollout.verdict.records import from_json, to_json

__all__ = [
    "ArmBlock",
    "Block",
    "Decision",
    "Evidence",
    "Forecast",
    "Judgement",
    "Limits",
    "Metric",
    "Own",
    "Plan",
    "Reference",
    "Step",
    "begin",
    "begin_step",
    "forecast",
    "from_json",
    "judge",
    "plan_for",
    "reference_from",
    "steps_for",
    "to_json",
    "update",
]
