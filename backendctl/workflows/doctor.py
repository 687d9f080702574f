"""`backendctl doctor`: what on this machine, or in this project, would get in the way."""

import os
import platform as machine
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Holder, Platform, ServiceStatus, Store
from backendctl.spec.model import PlatformName
from backendctl.workflows import rollouts
from backendctl.workflows.doctor_check import Check, Level, guarded

DISK_WANTED = 2 << 30
"""Bytes: a database, a few releases and their dependencies."""


DISK_NEEDED = 64 << 20
"""Bytes: with less, journals and databases cannot be written, and nothing can be changed."""


FIRST = ("cluster", "credentials", "gateway api", "namespace")
"""Without one of these nothing in a cluster can be asked for."""


def examine(directory: Path, environment: str | None) -> Sequence[Check]:
    """Look at everything; a check that cannot be made is itself a finding.

    What is well asks for nothing: only the others say what to type.
    """
    checks: list[Check] = []
    checks += _python()
    checks += _disk(directory)
    checks += _tools(directory)
    checks += _project(directory, environment)
    return [replace(each, next="") if each.level is Level.OK else each for each in checks]


def _python() -> Iterator[Check]:
    version = machine.python_version()
    level = Level.OK if sys.version_info >= (3, 11) else Level.FAILED
    yield Check("python", level, f"{version} on {machine.platform()}", "install Python 3.11+")


def _disk(directory: Path) -> Iterator[Check]:
    free = shutil.disk_usage(directory).free
    level = Level.OK if free >= DISK_WANTED else Level.WARNING
    level = Level.FAILED if free < DISK_NEEDED else level
    found = f"{free / (1 << 30):.1f} GiB free at {directory}"
    ours = directory / ".backendctl"
    mend = f"du -sh {shlex.quote(str(ours))}/*/*" if ours.exists() else "free some space"
    yield Check("disk", level, found, mend)
    writable = os.access(directory, os.W_OK)
    yield Check(
        "folder",
        Level.OK if writable else Level.FAILED,
        f"{directory} is {'writable' if writable else 'read-only for this user'}",
        "" if writable else f"ls -ld {directory}",
    )


def _tools(directory: Path) -> Iterator[Check]:
    yield _tool("git", "what a release is made of follows .gitignore only with git")
    if (directory / "package.json").exists():
        yield _tool("node", "this project needs Node.js", Level.FAILED)
        yield _tool("npm", "this project needs npm", Level.FAILED)


def _tool(name: str, why: str, missing: Level = Level.WARNING) -> Check:
    found = shutil.which(name)
    if found is None:
        return Check(name, missing, f"not on PATH; {why}", f"install {name}")
    try:
        done = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check(name, missing, f"{found} --version: {error}", f"install {name} again")
    said = (done.stdout or done.stderr).strip()
    return Check(name, Level.OK, said.partition("\n")[0] or found)


def _servers() -> Iterator[Check]:
    try:
        from backendctl.platforms.local.support import checks
    except ImportError as missing:
        yield Check(
            "embedded servers",
            Level.FAILED,
            f"not installed ({missing.name})",
            "pip install 'backendctl[local]'",
        )
        return
    for each in checks():
        yield Check(each.name, Level.OK if each.ok else Level.FAILED, each.detail, each.next)


def _project(directory: Path, environment: str | None) -> Iterator[Check]:
    from backendctl.workflows.environment import DEFAULT, open_environment

    try:
        opened = open_environment(directory, environment, changes=False)
    except BackendctlError as error:
        if environment in (None, DEFAULT):
            yield from _servers()
        level = Level.WARNING if error.code == "spec.missing" else Level.FAILED
        said = f"{error.message}: {error.cause}" if error.cause else error.message
        yield Check("project", level, said, next(iter(error.next), ""))
        return
    local = opened.environment.platform is PlatformName.LOCAL
    if local:
        yield from _servers()
    where = f"{opened.spec.service.name} at {opened.project}, environment {opened.environment.name}"
    yield Check("project", Level.OK, where)
    platform = opened.platform
    if local:
        yield guarded("servers", lambda: _running(platform.foundation.status()))
    else:
        from backendctl.workflows.doctor_cluster import look_at_cluster, look_at_tools

        reached = True
        for each in look_at_cluster(opened):
            reached = reached and not (each.name in FIRST and each.level is Level.FAILED)
            yield each
        yield from look_at_tools(opened.spec, opened.environment)
        if not reached:
            return
    for name, look in {
        "lock": lambda: _lock(platform.store.holder()),
        "rollouts": lambda: _journals(platform.store),
        "in flight": lambda: _driven(platform),
    }.items():
        yield guarded(name, look)


def _running(statuses: Sequence[ServiceStatus]) -> Check:
    down = [s.name for s in statuses if not s.running and not s.alive and s.needed]
    silent = [s for s in statuses if not s.running and s.alive]
    if not statuses or len(down) == len(statuses):
        return Check("servers", Level.OK, "the environment is not up")
    if silent:
        said = "; ".join(f"{s.name}: {s.detail}" for s in silent)
        return Check("servers", Level.FAILED, said, next(iter(silent[0].next), ""))
    if down:
        return Check("servers", Level.FAILED, f"not running: {', '.join(down)}", "backendctl up")
    return Check("servers", Level.OK, "all running")


def _lock(holder: Holder | None) -> Check:
    if holder is None:
        return Check("lock", Level.OK, "free")
    owner, command = holder.owner, holder.command
    if holder.alive is False:
        return Check(
            "lock",
            Level.WARNING,
            f"left behind by {owner} ({command}), which is dead",
            "backendctl rollout recover",
        )
    return Check("lock", Level.OK, f"held by {owner} ({command})")


def _journals(store: Store) -> Check:
    names = store.rollouts()
    for name in names:
        store.records(name)
    return Check("rollouts", Level.OK, f"{len(names)} journals, all readable")


def _driven(platform: Platform) -> Check:
    found = rollouts.status(platform)
    name = found.serving.rollout_in_flight
    if name is None:
        return Check("in flight", Level.OK, "no rollout")
    if found.stranded:
        said = f"nobody drives rollout {name}: its process is gone"
        return Check("in flight", Level.FAILED, said, "backendctl rollout recover")
    waits = "a living process drives" if found.driver_lives else "waits for a person"
    return Check("in flight", Level.OK, f"rollout {name}, which {waits}")
