"""Runs a load test from its first process to its kept result."""

import time
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.filesystem import make_folder
from backendctl.loadtest.conductor import OnEvent
from backendctl.loadtest.discovery import scenario_of
from backendctl.loadtest.generator import GeneratorPlan
from backendctl.loadtest.measurement import Measurement
from backendctl.loadtest.place import Here, Offer, Place, Token
from backendctl.loadtest.profile import Profile
from backendctl.loadtest.results import LoadTestResult, save
from backendctl.loadtest.scenario import Scenario
from backendctl.loadtest.verdict import judge
from backendctl.spec.model import Spec


def run_load_test(
    target: str,
    spec: Spec,
    profile: Profile,
    token: Token | None,
    on_event: OnEvent,
    folder: Path,
    *,
    host: str = "",
    environment: str = "local",
    scenario: Scenario | None = None,
    locustfile: Path | None = None,
    project: Path | None = None,
    place: Place | None = None,
) -> LoadTestResult:
    """Offer `profile` to the service at `target` and judge it; keeps the result in `folder`.

    `host`: what requests name as their Host, where that is not the target's. `token` gives a fresh
    bearer token each time it is called. `locustfile` replaces the users of the closed loop by the
    project's own. `place`: where the load comes from, this machine if None.
    Raises `loadtest.target` if the target does not answer,
    `loadtest.invalid` if the generator itself fails, and `interrupted` (the partial result is
    kept) on KeyboardInterrupt. No process is left behind however it ends.
    """
    make_folder(folder)
    chosen = scenario or scenario_of(target, spec, host=host, with_token=token is not None)
    plan = _generator_plan(target, host, profile, chosen, locustfile)
    began = time.time()
    measurement = Measurement()
    offer = Offer(plan, profile, token, folder, project or Path.cwd())
    carried_out = (place or Here()).carry_out(offer, measurement, on_event)
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
    target: str, host: str, profile: Profile, scenario: Scenario, locustfile: Path | None
) -> GeneratorPlan:
    return GeneratorPlan(
        target=target.rstrip("/"),
        scenario=scenario,
        think_time=profile.think_time,
        request_timeout=profile.request_timeout,
        workers=profile.workers,
        seed=profile.seed,
        host=host,
        locustfile=str(locustfile.resolve()) if locustfile else "",
    )


def _stopped(result: LoadTestResult) -> BackendctlError:
    return BackendctlError(
        "interrupted",
        "the load test was stopped before it was done",
        state=f"every process of it has ended; {result.requests} requests were measured",
        next=(f"backendctl loadtest report {result.id}",),
    )
