"""What the stacks' operations say on the way, to a person and to a program."""

from typing import Protocol

from backendctl.provision.changes import Action, type_of
from backendctl.provision.events import PROVIDER_TYPE, Step
from backendctl.provision.failures import title
from backendctl.provision.infrastructure import Listener
from backendctl.provision.live import duration
from backendctl.workflows.progress import Progress

PAST = {
    Action.CREATE: "created",
    Action.UPDATE: "changed",
    Action.REPLACE: "replaced",
    Action.DELETE: "deleted",
    Action.IMPORT: "taken into the picture",
    Action.READ: "read",
    Action.REFRESH: "compared",
    Action.FORGET: "forgotten",
    Action.SAME: "left as it is",
}
OF_REPLACEMENTS = {
    "create-replacement": "created anew",
    "delete-replaced": "replaced, the former one deleted",
}


STOPPING = (
    "stopping: what is in flight is finished first; Ctrl-C again gives it up",
    "giving up what is in flight; Ctrl-C again kills the engine, which leaves its lock",
    "killing the engine",
)
"""By how often somebody asked for it."""


class Waiting(Progress, Protocol):
    """Progress that also says what is waited for."""

    def waiting(self, text: str) -> None:
        """What is waited for from now on."""
        ...


def listener(progress: Waiting, *, acts: bool) -> Listener:
    """Tells each resource that is done (if the operation `acts`; else only programs hear of it),
    and what is under way."""

    def on_step(stack: str, step: Step) -> None:
        progress.emit(
            "resource",
            {
                "stack": stack,
                "urn": step.urn,
                "action": step.action.value,
                "state": step.state,
                "seconds": round(step.seconds, 3),
            },
        )
        if not acts or step.state == "begun" or step.operation == "replace":
            return
        if type_of(step.urn).startswith(PROVIDER_TYPE) and step.state == "done":
            return
        past = OF_REPLACEMENTS.get(step.operation) or PAST[step.action]
        done = past if step.state == "done" else f"FAILED ({step.operation})"
        text = f"  {stack}: {title(step.urn)} {done} ({duration(step.seconds)})"
        progress.detail(text) if step.action is Action.READ else progress.line(text)

    def on_stop(asked: int) -> None:
        if acts:
            progress.line(STOPPING[min(asked, len(STOPPING)) - 1])

    return Listener(on_step, lambda line: progress.waiting(f"  {line}"), on_stop)
