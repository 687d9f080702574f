"""Rollouts as commands need them: run one, roll back, speak to one that runs, recover, tell."""

from backendctl.rollout.outcome import Outcome
from backendctl.workflows.rollouts.commands import (
    Recovered,
    Verb,
    check_command,
    check_recover,
    post_command,
    recover,
)
from backendctl.workflows.rollouts.refusals import (
    driver_lives,
    refuse_a_second,
    refuse_while_driven,
)
from backendctl.workflows.rollouts.reports import (
    Status,
    explain_rollout,
    find,
    history,
    outcome,
    past_events,
    replay_rollout,
    status,
    watch,
    watching_stopped,
)
from backendctl.workflows.rollouts.rollback import run_rollback
from backendctl.workflows.rollouts.running import (
    Means,
    OnEvent,
    Outlook,
    look_ahead,
    run_rollout,
)
from backendctl.workflows.rollouts.supersede import check_supersede, supersede

__all__ = [
    "Means",
    "OnEvent",
    "Outcome",
    "Outlook",
    "Recovered",
    "Status",
    "Verb",
    "check_command",
    "check_recover",
    "check_supersede",
    "driver_lives",
    "explain_rollout",
    "find",
    "history",
    "look_ahead",
    "outcome",
    "past_events",
    "post_command",
    "recover",
    "refuse_a_second",
    "refuse_while_driven",
    "replay_rollout",
    "run_rollback",
    "run_rollout",
    "status",
    "supersede",
    "watch",
    "watching_stopped",
]
