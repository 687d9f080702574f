"""`backendctl deploy` and `rollback`: the working tree as a new release, or an old one again."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from backendctl.errors import BackendctlError
from backendctl.rollout.events import Event
from backendctl.rollout.history import serving
from backendctl.rollout.lease import held
from backendctl.rollout.states import Word
from backendctl.spec.model import Spec, Strategy
from backendctl.workflows import rollouts
from backendctl.workflows.environment import Opened
from backendctl.workflows.identity import person
from backendctl.workflows.progress import Progress
from backendctl.workflows.release import make_release
from backendctl.workflows.synthetic import SETTLE, synthetic_users

OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Changes:
    """What one deploy does otherwise than backend.toml says. Durations in seconds."""

    strategy: Strategy | None = None
    warm_up: float | None = None
    step_time: float | None = None
    bake: float | None = None
    synthetic_rps: float | None = None
    unjudged: str | None = None
    """A person's reason to promote without a verdict; health and smoke checks still count."""
    note: str = ""

    def applied_to(self, spec: Spec) -> Spec:
        """The promises with these changes."""
        changed = {
            name: value
            for name in ("strategy", "warm_up", "step_time", "bake")
            if (value := getattr(self, name)) is not None
        }
        return spec.model_copy(update={"rollout": spec.rollout.model_copy(update=changed)})


def deploy(
    opened: Opened, changes: Changes, progress: Progress, on_event: OnEvent
) -> rollouts.Outcome:
    """Package the working tree, record it as a release and roll it out.

    Raises `missing.environment` if the environment is not up, and what packaging and
    `rollouts.run_rollout` raise.
    """
    platform, by = opened.platform, person()
    spec = changes.applied_to(opened.spec)
    with held(platform.store, by, "deploy") as lease:
        _must_serve(opened)
        release = make_release(opened, lease.grant, progress, changes.note)
        progress.line(f"Release {release.number}: code {release.package.code_digest[:12]}")
        with synthetic_users(opened, changes.synthetic_rps) as traffic:
            if traffic is not None:
                progress.line(f"{changes.synthetic_rps:g} synthetic requests per second")
                time.sleep(SETTLE)
            return rollouts.run_rollout(
                platform,
                spec,
                release,
                spec.rollout.strategy,
                on_event,
                lease=lease,
                by=by,
                override=Word(by, changes.unjudged) if changes.unjudged else None,
                means=rollouts.Means(on_line=progress.detail),
            )


def rollback(opened: Opened, to: int | None, reason: str, on_event: OnEvent) -> rollouts.Outcome:
    """Back to release `to`, or to the one that served before; code and configuration together."""
    _must_serve(opened)
    return rollouts.run_rollback(
        opened.platform, opened.spec, on_event, by=person(), to=to, reason=reason
    )


def _must_serve(opened: Opened) -> None:
    platform = opened.platform
    stopped = [each.name for each in platform.foundation.status() if not each.running]
    name = opened.environment.name
    if stopped or serving(platform.store).stable is None:
        why = f"not running: {', '.join(stopped)}" if stopped else "no release serves yet"
        raise BackendctlError(
            "missing.environment",
            f"environment {name!r} is not up",
            cause=why,
            state="nothing was changed",
            next=(f"backendctl up --env {name}",),
        )
