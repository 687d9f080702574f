"""Going back to a release that has served before."""

from collections.abc import Sequence

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Platform, Release
from backendctl.rollout.history import Serving, next_identifier, serving, summaries
from backendctl.rollout.lease import held
from backendctl.rollout.outcome import Outcome, outcome_of
from backendctl.rollout.planning import Baseline, plan_rollout
from backendctl.rollout.schema import Present, check_schema, present_schema
from backendctl.rollout.states import Kind, Result
from backendctl.spec.model import Spec
from backendctl.workflows.rollouts.commands import post_command
from backendctl.workflows.rollouts.refusals import in_flight, no_rollout_in_flight
from backendctl.workflows.rollouts.running import Means, OnEvent, make_driver


def run_rollback(
    platform: Platform,
    spec: Spec,
    on_event: OnEvent,
    *,
    by: str,
    to: int | None = None,
    reason: str = "",
    means: Means | None = None,
) -> Outcome:
    """Go back to release `to`, or to the one that served before the present one.

    While a rollout is in flight this is its abort, which only moves weights. Raises
    `missing.release`, `rollout.state` (it serves already, or never did), `release.schema`,
    `rollout.locked`; nothing is changed then.
    """
    means = means or Means()
    now = serving(platform.store)
    if now.rollout_in_flight is not None:
        if to is not None and to != now.stable:
            why = f"undoing it goes back to release {now.stable}, not to {to}"
            raise in_flight(platform, now.rollout_in_flight, why)
        return post_command(
            platform, "abort", on_event, by=by, reason=reason or "rollback", means=means
        )
    target = _target(platform, now, to)
    check_schema(target, platform.store.releases(), present_schema(platform))
    with held(platform.store, by, "rollback", clock=means.clock) as lease:
        now = no_rollout_in_flight(platform)
        ran = target.number in platform.runtime.running()
        nobody = Baseline(0.0, None)
        plan = plan_rollout(spec, Kind.ROLLBACK, target, now, nobody, by, candidate_ran=ran)
        rollout = next_identifier(platform.store)
        driver = make_driver(platform, lease, rollout, on_event, means)
        driver.begin(plan)
        return outcome_of(rollout, driver.run())


def _target(platform: Platform, now: Serving, to: int | None) -> Release:
    number = now.previous if to is None else to
    if number is None:
        raise _nowhere_back(platform, now)
    if number == now.stable:
        raise BackendctlError(
            "rollout.state",
            f"release {number} already serves",
            state="nothing was changed",
            next=("backendctl status",),
        )
    for release in platform.store.releases():
        if release.number == number:
            _refuse_what_never_served(platform, now, number)
            return release
    raise BackendctlError(
        "missing.release",
        f"there is no release {number}",
        state="nothing was changed",
        next=(*_choices(platform, now), "backendctl rollout history"),
    )


def _refuse_what_never_served(platform: Platform, now: Serving, number: int) -> None:
    """A rollback asks for no verdict, no approval and no window: it leads to nothing that no
    rollout has promoted. One whose journal is gone is taken at its word."""
    tried = [each for each in summaries(platform.store) if each.candidate == number]
    if not tried or any(each.result is Result.PROMOTED for each in tried):
        return
    last = tried[0]
    raise BackendctlError(
        "rollout.state",
        f"release {number} has never served: rollout {last.rollout} undid it",
        cause=last.why,
        state="nothing was changed",
        next=(*_choices(platform, now), f"backendctl rollout explain {last.rollout}"),
    )


def can_go_back(platform: Platform, now: Serving) -> bool:
    """Whether `rollback` without a number would find a release that works with the schema."""
    releases = platform.store.releases()
    target = next((each for each in releases if each.number == now.previous), None)
    return target is not None and _works(target, releases, present_schema(platform))


def _nowhere_back(platform: Platform, now: Serving) -> BackendctlError:
    """Release 1 serves, for the first time or again; another may be chosen by its number."""
    if now.stable is None:
        cause = "no release has served yet"
    else:
        cause = f"release {now.stable} serves, and none served before it"
        newest = next(iter(summaries(platform.store)), None)
        if newest is not None and newest.kind is Kind.ROLLBACK and newest.stable is not None:
            cause += f"; release {newest.stable} was undone by rollback {newest.rollout}"
    return BackendctlError(
        "missing.release",
        "there is no earlier release to go back to",
        cause=cause,
        state="nothing was changed",
        next=(*_choices(platform, now), "backendctl rollout history"),
    )


def _choices(platform: Platform, now: Serving) -> tuple[str, ...]:
    """A command for each release that has served, works with the schema and does not serve now."""
    served = {
        each.candidate for each in summaries(platform.store) if each.result is Result.PROMOTED
    }
    releases, present = platform.store.releases(), present_schema(platform)
    return tuple(
        f"backendctl rollback {each.number}"
        for each in releases
        if each.number in served and each.number != now.stable and _works(each, releases, present)
    )


def _works(release: Release, releases: Sequence[Release], present: Present | None) -> bool:
    try:
        check_schema(release, releases, present)
    except BackendctlError:
        return False
    return True
