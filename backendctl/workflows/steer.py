"""`backendctl rollout pause|resume|approve|promote|abort|recover`, telling who is to be told."""

from typing import Literal

from backendctl.workflows import rollouts
from backendctl.workflows.environment import Opened
from backendctl.workflows.identity import person
from backendctl.workflows.notifications import notifying
from backendctl.workflows.progress import Progress
from backendctl.workflows.rollouts import Means, OnEvent, Outcome, Recovered, Verb


def speak(
    opened: Opened,
    verb: Verb,
    reason: str,
    progress: Progress,
    on_event: OnEvent,
    *,
    skip_judgement: bool = False,
) -> Outcome:
    """Tell the rollout in flight what this person wants; as `rollouts.post_command`."""
    with notifying(opened, progress) as notify:
        return rollouts.post_command(
            opened.platform,
            verb,
            on_event,
            by=person(),
            reason=reason or "no reason given",
            skip_judgement=skip_judgement,
            means=Means(notify=notify),
        )


def recover(
    opened: Opened,
    wish: Literal["abort", "promote"] | None,
    reason: str,
    progress: Progress,
    on_event: OnEvent,
    *,
    take_over: bool = False,
) -> Recovered:
    """Finish or undo what a dead driver left behind; as `rollouts.recover`."""
    with notifying(opened, progress) as notify:
        return rollouts.recover(
            opened.platform,
            on_event,
            by=person(),
            wish=wish,
            reason=reason,
            take_over=take_over,
            progress=progress,
            means=Means(notify=notify),
        )
