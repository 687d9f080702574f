"""A release out of the working tree: code, configuration and commands under one number."""

import time

from backendctl.platforms.base import Configuration, Grant, Processes, Release
from backendctl.spec import derive
from backendctl.workflows.environment import Opened
from backendctl.workflows.identity import person
from backendctl.workflows.progress import Progress


def make_release(opened: Opened, grant: Grant, progress: Progress, note: str = "") -> Release:
    """Package the working tree and record it as the environment's next release.

    Raises `release.package` when its dependencies cannot be installed; nothing is recorded then.
    """
    platform, spec, environment = opened.platform, opened.spec, opened.environment
    with progress.step("Packaging the working tree") as say:
        package = platform.runtime.package(opened.project, say)
    release = Release(
        number=len(platform.store.releases()) + 1,
        package=package,
        configuration=Configuration(
            values=environment.variables, secrets=platform.secrets.current()
        ),
        processes=Processes(
            start=spec.service.start,
            migrate=spec.service.migrate,
            ready_path=spec.service.health.ready,
            replicas=derive.replicas(spec, environment),
        ),
        created=time.time(),
        created_by=person(),
        note=note,
    )
    platform.store.add_release(grant, release)
    return release
