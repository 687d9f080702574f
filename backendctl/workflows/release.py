"""A release out of the working tree: code, configuration and commands under one number."""

import time

from backendctl.platforms.base import Configuration, Processes, Release
from backendctl.spec import derive
from backendctl.spec.model import PlatformName
from backendctl.workflows.environment import Opened
from backendctl.workflows.identity import person
from backendctl.workflows.migrations import checked
from backendctl.workflows.progress import Progress


def make_release(opened: Opened, progress: Progress, note: str = "") -> Release:
    """Package the working tree as what would be the environment's next release.

    The caller holds the environment, and records the release when its rollout begins. Raises
    `release.package` when its dependencies cannot be installed, and as `migrations.checked`.
    """
    platform, spec = opened.platform, opened.spec
    with progress.step("Packaging the working tree") as say:
        package = platform.runtime.package(opened.project, say)
    release = Release(
        number=len(platform.store.releases()) + 1,
        package=package,
        configuration=configuration(opened),
        processes=Processes(
            start=spec.service.start,
            migrate=spec.service.migrate,
            ready_path=spec.service.health.ready,
            live_path=spec.service.health.live if "service.health.live" in spec.stated else "",
            replicas=derive.replicas(spec, opened.environment),
        ),
        created=time.time(),
        created_by=person(),
        note=note,
    )
    if not release.processes.migrate:
        return release
    with progress.step("Checking its migrations") as say:
        rollout = spec.rollout
        return checked(
            platform,
            release,
            say,
            tests=rollout.compatibility,
            deadline=rollout.migrate_deadline,
        )


def configuration(opened: Opened) -> Configuration:
    """What processes of the service are run with: derived values, then the environment's own."""
    ours = {each.secret for each in opened.spec.notifications}
    secrets = opened.platform.secrets.current()
    return Configuration(
        values={**_derived(opened), **opened.environment.variables},
        secrets={name: version for name, version in secrets.items() if name not in ours},
    )


def _derived(opened: Opened) -> dict[str, str]:
    """Settings that follow from the promises, so that the service need not state them again."""
    spec, environment = opened.spec, opened.environment
    values: dict[str, str] = {}
    if spec.data.engine != "none":
        size = derive.sizing(spec, environment)
        values["DATABASE_POOL_SIZE"] = str(size.pool)
        values["DATABASE_POOL_OVERFLOW"] = str(size.overflow)
    if spec.cache.engine != "none":
        values["CACHE_TTL"] = f"{spec.cache.ttl:g}"
    if environment.platform is PlatformName.LOCAL:
        # The gateway has sent a release no more requests by the time it is stopped.
        values["DRAIN_DELAY"] = "0"
    return values
