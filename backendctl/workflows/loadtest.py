"""`backendctl loadtest`: from an environment, or a URL, to a judged and kept load test."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.loadtest.conductor import OnEvent
from backendctl.loadtest.discovery import scenario_of
from backendctl.loadtest.elsewhere import MOST_WORKERS, InEnvironment
from backendctl.loadtest.place import Here, Place, Token
from backendctl.loadtest.private import write_private
from backendctl.loadtest.profile import Durations, Extra, Loop, Profile, derive
from backendctl.loadtest.reports.html import html
from backendctl.loadtest.reports.junit import junit
from backendctl.loadtest.results import (
    HTML_FILE,
    JUNIT_FILE,
    LoadTestResult,
    kept,
    load,
    new_id,
)
from backendctl.loadtest.runner import run_load_test
from backendctl.loadtest.scenario import Scenario, plain_paths
from backendctl.loadtest.target import checked, is_this_machine
from backendctl.platforms.base import OnLine, unheard
from backendctl.platforms.local.issuer import mint_token
from backendctl.platforms.local.layout import Layout
from backendctl.spec.model import PlatformName
from backendctl.workflows.environment import Opened
from backendctl.workflows.preconditions import must_serve

TOKEN_VARIABLE = "BACKENDCTL_LOADTEST_TOKEN"  # noqa: S105 - a name, not a token
TOKEN_TTL = 900.0
"""Seconds a minted token is valid; the runner asks for a new one well before that."""
OWN_LOCUSTFILE = Path("loadtests/locustfile.py")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked for beyond what follows from the promises."""

    target: str = ""
    """Instead of the environment's own address."""
    durations: Durations | None = None
    extras: frozenset[Extra] = frozenset()
    loops: frozenset[Loop] = frozenset(Loop)
    locustfile: Path | None = None
    paths: tuple[str, ...] = ()
    seed: int = 1
    workers: int | None = None
    """Processes that send; as many as the rate needs when None."""
    here: bool = False
    """From this machine, though pods of the environment could send."""


@dataclass(frozen=True, slots=True)
class Aim:
    """Where the load would go and how much of it; nothing has been sent there yet."""

    target: str
    host: str
    """What requests name as their Host; that of the target if empty."""
    environment: str
    profile: Profile
    needs_confirmation: bool
    """Whether it would reach anything but a local environment on this machine."""
    from_there: bool
    """Whether pods of the environment send it, not this machine."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be sent where."""

    target: str
    host: str
    environment: str
    profile: Profile
    scenario: Scenario
    locustfile: Path | None
    token: Token | None
    needs_confirmation: bool
    from_there: bool


def aim(opened: Opened, wishes: Wishes) -> Aim:
    """Work out target and load without sending anything. Raises `usage` for a bad URL."""
    target = checked(wishes.target or opened.platform.router.url)
    local = opened.environment.platform is PlatformName.LOCAL and is_this_machine(target)
    there = bool(opened.environment.driver_image) and not wishes.here
    profile = derive(
        opened.spec.load,
        opened.spec.slo,
        wishes.durations,
        wishes.extras,
        seed=wishes.seed,
        loops=wishes.loops,
        cores=MOST_WORKERS if there else None,
    )
    return Aim(
        target=target,
        host=opened.platform.router.host if _is_own(opened, target) else "",
        environment=opened.environment.name,
        profile=replace(profile, workers=wishes.workers) if wishes.workers else profile,
        needs_confirmation=not local,
        from_there=there,
    )


def plan(opened: Opened, wishes: Wishes) -> Plan:
    """`aim`, and what to send: asks the target what it serves, and sends no load.

    Raises `loadtest.target` if it does not answer, `missing.environment` if that is because the
    environment is not up, `usage` for a missing locustfile.
    """
    aimed = aim(opened, wishes)
    target = aimed.target
    token = _token(opened, target)
    if wishes.paths:
        scenario = plain_paths(wishes.paths, "the paths given with --path")
    else:
        try:
            scenario = scenario_of(
                target, opened.spec, host=aimed.host, with_token=token is not None
            )
        except BackendctlError as error:
            if error.code == "loadtest.target" and not wishes.target:
                must_serve(opened)  # says more: the whole environment is down
            raise
    return Plan(
        target=target,
        host=aimed.host,
        environment=aimed.environment,
        profile=aimed.profile,
        scenario=scenario,
        locustfile=_locustfile(opened, wishes),
        token=token,
        needs_confirmation=aimed.needs_confirmation,
        from_there=aimed.from_there,
    )


def run(
    opened: Opened, planned: Plan, on_event: OnEvent, on_line: OnLine = unheard
) -> LoadTestResult:
    """Run the planned test and write its reports; raises what `run_load_test` raises."""
    layout = Layout(opened.project, opened.environment.name)
    folder = layout.make(results_root(opened)) / new_id()
    began = time.time()
    try:
        result = run_load_test(
            planned.target,
            opened.spec,
            planned.profile,
            planned.token,
            on_event,
            folder,
            host=planned.host,
            environment=planned.environment,
            scenario=planned.scenario,
            locustfile=planned.locustfile,
            project=opened.project,
            place=_place(opened, planned, on_line),
        )
    except BackendctlError as error:
        if error.code == "interrupted":
            write_reports(load(folder))
        raise
    finally:
        if _is_own(opened, planned.target):
            # Rollouts compare with how users are served, not with how this was.
            opened.platform.meter.leave_out(began, time.time())
    write_reports(result)
    return result


def _place(opened: Opened, planned: Plan, on_line: OnLine) -> Place:
    away = opened.platform.away
    return InEnvironment(away, on_line) if planned.from_there and away is not None else Here()


def _is_own(opened: Opened, target: str) -> bool:
    """Whether the target is the environment's own gateway."""
    try:
        return target.rstrip("/") == opened.platform.router.url
    except BackendctlError:
        return False


def write_reports(result: LoadTestResult) -> None:
    """The page and the JUnit file beside the kept numbers."""
    write_private(result.folder / HTML_FILE, html(result))
    write_private(result.folder / JUNIT_FILE, junit(result))


def results_root(opened: Opened) -> Path:
    """Where the environment's load tests are kept."""
    return Layout(opened.project, opened.environment.name).home / "loadtests"


def find(opened: Opened, wanted: str | None) -> LoadTestResult:
    """A kept test by its id, or the newest. Raises `missing.data`."""
    root = results_root(opened)
    ids = kept(root)
    if not ids:
        raise BackendctlError(
            "missing.data",
            f"{opened.environment.name} has no load test yet",
            next=("backendctl loadtest run",),
        )
    if wanted is None:
        return load(root / ids[-1])
    if wanted not in ids:
        raise BackendctlError(
            "missing.data",
            f"{opened.environment.name} has no load test {wanted!r}",
            cause=f"kept: {', '.join(ids[-10:])}",
            next=(f"backendctl loadtest report {ids[-1]}",),
        )
    return load(root / wanted)


def _token(opened: Opened, target: str) -> Token | None:
    """Given tokens go anywhere, those of the test issuer to this machine only."""
    given = os.environ.get(TOKEN_VARIABLE)
    if given:
        return lambda: given
    local = opened.environment.platform is PlatformName.LOCAL and is_this_machine(target)
    if not opened.spec.auth.issuer or not local:
        return None
    layout = Layout(opened.project, opened.environment.name)
    mint: Callable[[], str] = lambda: mint_token(layout, {}, TOKEN_TTL)  # noqa: E731
    return mint


def _locustfile(opened: Opened, wishes: Wishes) -> Path | None:
    given = wishes.locustfile
    if given is None and opened.spec.loadtest.locustfile:
        given = opened.project / opened.spec.loadtest.locustfile
    if given is None:
        own = opened.project / OWN_LOCUSTFILE
        return own if own.is_file() else None
    if not given.is_file():
        raise BackendctlError("usage", f"there is no locustfile {given}", state="nothing was sent")
    return given
