"""Runs a load test from its first process to its kept result."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.filesystem import make_folder
from backendctl.loadtest.conductor import Conductor, OnEvent
from backendctl.loadtest.discovery import scenario_of
from backendctl.loadtest.generator import GeneratorPlan
from backendctl.loadtest.measurement import Measurement
from backendctl.loadtest.private import write_private
from backendctl.loadtest.processes import Processes
from backendctl.loadtest.profile import Profile
from backendctl.loadtest.results import LoadTestResult, save
from backendctl.loadtest.scenario import Scenario
from backendctl.loadtest.verdict import judge
from backendctl.spec.model import Spec

TOKEN_FILE = "token"  # noqa: S105 - a file's name

Token = Callable[[], str]


def run_load_test(
    target: str,
    spec: Spec,
    profile: Profile,
    token: Token | None,
    on_event: OnEvent,
    folder: Path,
    *,
    environment: str = "local",
    scenario: Scenario | None = None,
    locustfile: Path | None = None,
    project: Path | None = None,
) -> LoadTestResult:
    """Offer `profile` to the service at `target` and judge it; keeps the result in `folder`.

    `token` gives a fresh bearer token each time it is called. `locustfile` replaces the users of
    the closed loop by the project's own. Raises `loadtest.target` if the target does not answer,
    `loadtest.invalid` if the generator itself fails, and `interrupted` (the partial result is
    kept) on KeyboardInterrupt. No process is left behind however it ends.
    """
    make_folder(folder)
    chosen = scenario or scenario_of(target, spec, with_token=token is not None)
    plan = _generator_plan(target, profile, chosen, locustfile)
    plan.write(folder)
    began = time.time()
    measurement = Measurement()
    carried_out = _offer(
        profile, measurement, token, on_event, folder=folder, project=project or Path.cwd()
    )
    result = LoadTestResult(
        id=folder.name,
        target=plan.target,
        environment=environment,
        began=began,
        seconds=time.time() - began,
        profile=carried_out,
        measurement=measurement,
        verdict=judge(carried_out.stages, measurement, profile.limits),
        folder=folder,
        source=chosen.source + (f" and {locustfile.name}" if locustfile else ""),
        left_out=chosen.left_out,
    )
    save(result)
    if result.interrupted:
        raise _stopped(result)
    return result


def _generator_plan(
    target: str, profile: Profile, scenario: Scenario, locustfile: Path | None
) -> GeneratorPlan:
    return GeneratorPlan(
        target=target.rstrip("/"),
        scenario=scenario,
        think_time=profile.think_time,
        request_timeout=profile.request_timeout,
        workers=profile.workers,
        seed=profile.seed,
        locustfile=str(locustfile.resolve()) if locustfile else "",
    )


def _offer(
    profile: Profile,
    measurement: Measurement,
    token: Token | None,
    on_event: OnEvent,
    *,
    folder: Path,
    project: Path,
) -> Profile:
    """Send what the plan in `folder` says and count it in `measurement`, to its end or to Ctrl-C.

    Returns the profile as it was carried out.
    """
    with _token_file(folder, token) as token_file:
        processes = Processes(folder, profile.workers, token_file, project)
        renew = _renewal(token, token_file)
        conductor = Conductor(processes, profile, measurement, on_event, renew)
        try:
            conductor.conduct()
        except KeyboardInterrupt:
            measurement.interrupted = True
        finally:
            processes.end()
    return conductor.profile


def _stopped(result: LoadTestResult) -> BackendctlError:
    return BackendctlError(
        "interrupted",
        "the load test was stopped before it was done",
        state=f"every process of it has ended; {result.requests} requests were measured",
        next=(f"backendctl loadtest report {result.id}",),
    )


@contextlib.contextmanager
def _token_file(folder: Path, token: Token | None) -> Iterator[Path | None]:
    """A file with the token for the workers, gone afterwards."""
    if token is None:
        yield None
        return
    path = folder / TOKEN_FILE
    write_private(path, token())
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _renewal(token: Token | None, path: Path | None) -> Callable[[], None]:
    if token is None or path is None:
        return lambda: None
    return lambda: write_private(path, token())
