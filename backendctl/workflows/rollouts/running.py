"""Running a rollout or a rollback in this process."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from backendctl.clock import Clock, SystemClock
from backendctl.platforms.base import Platform, Release
from backendctl.rollout.driver import Driver
from backendctl.rollout.effects import Effects
from backendctl.rollout.events import Event, Forecasted
from backendctl.rollout.history import next_identifier
from backendctl.rollout.judge import Judge, shipped
from backendctl.rollout.lease import Lease
from backendctl.rollout.observations import Command
from backendctl.rollout.outcome import Outcome, outcome_of
from backendctl.rollout.planning import (
    Baseline,
    expected,
    judging,
    look_at_traffic,
    plan_rollout,
)
from backendctl.rollout.smoke import Probe, probe
from backendctl.rollout.states import Kind, Word
from backendctl.spec.model import Spec, Strategy
from backendctl.workflows.rollouts.refusals import no_rollout_in_flight, unjudgeable

OnEvent = Callable[[Event], None]

FRESH = 10.0
"""Seconds for which a look at the traffic holds: building an image may take minutes."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a rollout works with besides the platform; tests put their own in."""

    clock: Clock = field(default_factory=SystemClock)
    probe: Probe = probe
    judge: Judge = field(default_factory=shipped)
    on_line: Callable[[str], None] = lambda _: None
    """Lines of a migration's output."""
    notify: OnEvent = lambda _: None
    """Also told each event, but only of what this process itself drives."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a rollout that begins now would be judged by."""

    kind: Kind
    baseline: Baseline
    looked: float
    """When, by the monotonic clock."""


def look_ahead(
    platform: Platform,
    spec: Spec,
    strategy: Strategy,
    on_event: OnEvent,
    *,
    override: Word | None = None,
    means: Means | None = None,
) -> Outlook:
    """Say how long judging will take at the present traffic; nothing is needed of the candidate.

    Raises `rollout.locked` while another rollout is in flight, and `rollout.unjudgeable` when
    traffic is too low for a verdict and there is no `override`.
    """
    means = means or Means()
    now = no_rollout_in_flight(platform)
    if now.stable is None:
        kind = Kind.FIRST
    else:
        kind = Kind.CANARY if strategy is Strategy.CANARY else Kind.BLUE_GREEN
    baseline = look_at_traffic(platform, means.clock, now.stable)
    ahead = expected(judging(spec, kind, now, baseline), baseline, override)
    if ahead is not None:
        rollout = next_identifier(platform.store)
        on_event(Forecasted(means.clock.now(), rollout, baseline.rps, ahead))
        if not ahead.possible and override is None:
            raise unjudgeable(platform, spec, ahead, baseline)
    return Outlook(kind, baseline, means.clock.monotonic())


def run_rollout(
    platform: Platform,
    spec: Spec,
    candidate: Release,
    strategy: Strategy,
    on_event: OnEvent,
    *,
    lease: Lease,
    by: str,
    override: Word | None = None,
    exempt: Word | None = None,
    outlook: Outlook | None = None,
    means: Means | None = None,
) -> Outcome:
    """Bring `candidate` into service as the strategy says; returns once it serves, was undone or
    waits for a person.

    `override` promotes without a verdict, on the word of the person it names; `exempt` is whose
    word it is that this begins outside the windows for deploys. `outlook`: from
    before there was a candidate; looked at (again) where it is not fresh. The release is
    recorded here, once nothing speaks against rolling it out. Raises as `look_ahead` (nothing was
    changed or recorded then), and what `Driver.run` raises.
    """
    means = means or Means()
    if outlook is None or means.clock.monotonic() - outlook.looked > FRESH:
        outlook = look_ahead(platform, spec, strategy, on_event, override=override, means=means)
    now = no_rollout_in_flight(platform)
    plan = plan_rollout(spec, outlook.kind, candidate, now, outlook.baseline, by)
    rollout = next_identifier(platform.store)
    if candidate not in platform.store.releases():
        platform.store.add_release(lease.grant, candidate)
    driver = make_driver(platform, lease, rollout, on_event, means)
    driver.begin(replace(plan, exempt=exempt))
    if override is not None:
        driver.hear(Command("promote", override.by, override.reason))
    return outcome_of(rollout, driver.run())


def make_driver(
    platform: Platform,
    lease: Lease,
    rollout: str,
    on_event: OnEvent,
    means: Means,
    *,
    stay: bool = False,
) -> Driver:
    effects = Effects(platform, means.clock, means.probe, means.on_line, lease.confirm)

    def tell(event: Event) -> None:
        on_event(event)
        means.notify(event)

    return Driver(
        platform,
        lease,
        rollout,
        effects=effects,
        judge=means.judge,
        clock=means.clock,
        on_event=tell,
        stay=stay,
    )
