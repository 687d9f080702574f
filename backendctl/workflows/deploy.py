"""`backendctl deploy` and `rollback`: the working tree as a new release, or an old one again."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from backendctl.clock import SystemClock
from backendctl.errors import BackendctlError
from backendctl.rollout.events import Event
from backendctl.rollout.lease import held
from backendctl.rollout.states import Word
from backendctl.spec.calendar import Freeze, Window, closed
from backendctl.spec.model import PlatformName, Spec, Strategy
from backendctl.workflows import rollouts
from backendctl.workflows.environment import Opened
from backendctl.workflows.identity import person
from backendctl.workflows.notifications import notifying
from backendctl.workflows.preconditions import must_serve, rollout_first
from backendctl.workflows.progress import Progress
from backendctl.workflows.release import make_release
from backendctl.workflows.synthetic import SETTLE, check_synthetic, synthetic_users

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
    supersede: str | None = None
    """A person's reason to undo the rollout in flight, if there is one, and go on."""
    outside_window: str | None = None
    """A person's reason to deploy though a window or freeze says no."""
    note: str = ""

    def override(self, by: str) -> Word | None:
        """On whose word no verdict is asked for."""
        return Word(by, self.unjudged) if self.unjudged else None

    def applied_to(self, spec: Spec) -> Spec:
        """The promises with these changes."""
        changed = {
            name: value
            for name in ("strategy", "warm_up", "step_time", "bake")
            if (value := getattr(self, name)) is not None
        }
        return spec.model_copy(update={"rollout": spec.rollout.model_copy(update=changed)})


def check_deploy(
    opened: Opened,
    *,
    supersede: bool = False,
    outside_window: bool = False,
    synthetic_rps: float | None = None,
) -> str | None:
    """The rollout that a deploy would undo first; None if nothing is in its way.

    For whoever asks a person before deploying. Raises `missing.environment` if the environment is
    not up, `rollout.closed` outside the windows for deploys unless that is meant,
    `rollout.locked` while somebody holds the environment, or a rollout is in flight, and that is
    not to be superseded, and `usage` for synthetic traffic where there are real users.
    """
    if synthetic_rps is not None:
        check_synthetic(opened)
    shut = _closed(opened)
    if shut is not None and not outside_window:
        raise shut
    found = None
    if supersede:
        found = rollouts.check_supersede(opened.platform)
    else:
        try:
            rollouts.refuse_a_second(opened.platform, person(), SystemClock())
            rollouts.refuse_while_driven(opened.platform, person(), "deploy", SystemClock())
        except BackendctlError as error:
            raise rollout_first(opened.platform, error) from error
    must_serve(opened)
    return found


def deploy(
    opened: Opened, changes: Changes, progress: Progress, on_event: OnEvent
) -> rollouts.Outcome:
    """Package the working tree and roll it out as a new release, recorded unless it is refused.

    What can be refused without the package is refused before there is one: an image takes minutes.
    Raises as `check_deploy`, and what packaging and `rollouts.run_rollout` raise.
    """
    platform, by = opened.platform, person()
    spec = changes.applied_to(opened.spec)
    outside = changes.outside_window
    check_deploy(
        opened,
        supersede=changes.supersede is not None,
        outside_window=outside is not None,
        synthetic_rps=changes.synthetic_rps,
    )
    exempt = Word(by, outside) if outside is not None and _closed(opened) else None
    with notifying(opened, progress) as notify:
        means = rollouts.Means(on_line=progress.detail, notify=notify)
        if changes.supersede is not None:
            why = changes.supersede
            undone = rollouts.supersede(platform, on_event, by=by, reason=why, means=means)
            if undone is not None:
                said = f"Rollout {undone.rollout} of release {undone.candidate}: {undone.result}"
                progress.line(said)
        rps = _synthetic(opened, changes)
        with (
            held(platform.store, by, "deploy") as lease,
            synthetic_users(opened, rps) as traffic,
        ):
            if traffic is not None:
                progress.line(f"{rps:g} synthetic requests per second")
                time.sleep(SETTLE)
            strategy, override = spec.rollout.strategy, changes.override(by)
            outlook = rollouts.look_ahead(
                platform, spec, strategy, on_event, override=override, means=means
            )
            release = make_release(opened, progress, changes.note)
            progress.line(f"Release {release.number}: code {release.package.code_digest[:12]}")
            return rollouts.run_rollout(
                platform,
                spec,
                release,
                strategy,
                on_event,
                lease=lease,
                by=by,
                override=override,
                exempt=exempt,
                outlook=outlook,
                means=means,
            )


def _synthetic(opened: Opened, changes: Changes) -> float | None:
    """Requests per second to send by ourselves: as asked for, or on `local` by policy."""
    if changes.synthetic_rps is not None:
        return changes.synthetic_rps
    policy = opened.spec.rollout.synthetic
    return policy if policy and opened.environment.platform is PlatformName.LOCAL else None


def rollback(
    opened: Opened, to: int | None, reason: str, progress: Progress, on_event: OnEvent
) -> rollouts.Outcome:
    """Back to release `to`, or to the one that served before; code and configuration together.

    Windows and freezes never hold it up.
    """
    must_serve(opened)
    with notifying(opened, progress) as notify:
        return rollouts.run_rollback(
            opened.platform,
            opened.spec,
            on_event,
            by=person(),
            to=to,
            reason=reason,
            means=rollouts.Means(notify=notify),
        )


def _closed(opened: Opened) -> BackendctlError | None:
    """Why no deploy may begin now, if so. What makes the first release is `up`, not a deploy."""
    rollout = opened.spec.rollout
    found = closed(
        [Window.parse(each) for each in rollout.windows],
        [Freeze.parse(each) for each in rollout.freezes],
        datetime.now(UTC),
    )
    if found is None:
        return None
    opens = f"{found.opens:%Y-%m-%d %H:%M} UTC" if found.opens else "not within a year"
    return BackendctlError(
        "rollout.closed",
        f"deploys to {opened.environment.name!r} are closed now: {found.why}",
        cause=f"the next opening: {opens} (rollout.windows and rollout.freezes in backend.toml)",
        state="nothing was changed",
        next=("backendctl deploy --outside-window WHY",),
        data={"opens": found.opens.isoformat() if found.opens else None},
    )
