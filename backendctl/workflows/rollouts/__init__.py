"""Rollouts as commands need them: run one, roll back, speak to one that runs, recover, tell."""

from backendctl.rollout.outcome import Outcome
from backendctl.workflows.rollouts.commands import Recovered, driver_lives, post_command, recover
from backendctl.workflows.rollouts.reports import (
    Status,
    explain_rollout,
    history,
    outcome,
    status,
    watch,
)
from backendctl.workflows.rollouts.rollback import run_rollback
from backendctl.workflows.rollouts.running import Means, OnEvent, run_rollout

__all__ = [
    "Means",
    "OnEvent",
    "Outcome",
    "Recovered",
    "Status",
    "driver_lives",
    "explain_rollout",
    "history",
    "outcome",
    "post_command",
    "recover",
    "run_rollback",
    "run_rollout",
    "status",
    "watch",
]
