"""`backendctl dev`: the working tree, restarted at each change, on the environment's servers."""

import subprocess
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Invocation
from backendctl.platforms.local.lifeline import guarded
from backendctl.workflows.environment import Opened
from backendctl.workflows.progress import Progress
from backendctl.workflows.release import configuration

IGNORED = {".backendctl", ".venv", "node_modules", "__pycache__", ".git", ".pytest_cache"}


def dev(opened: Opened, progress: Progress, output: int | None = None) -> int:
    """Run until interrupted; returns how often it was restarted.

    A process that dies is started again at the next change, as its output says why it died.
    `output` is the file descriptor that takes its standard output, if not ours. Raises
    `release.start` when a development command of the project's own (`service.dev`) fails.
    """
    from watchfiles import DefaultFilter, watch

    platform, service = opened.platform, opened.spec.service
    with progress.step("Starting the servers") as say:
        platform.foundation.ensure(say)
    port = platform.runtime.development_port()
    with progress.step("Dependencies") as say:
        invocation = platform.runtime.in_tree(
            opened.project,
            service.dev or service.start,
            configuration(opened),
            {"PORT": str(port)},
            say,
        )
    progress.line(f"The working tree serves at http://127.0.0.1:{port}; Ctrl-C ends it")
    restarts = 0
    process = _start(invocation, output)
    try:
        # A command of the project's own for development reloads by itself.
        if service.dev:
            status = process.wait()
            if status != 0:
                raise _ended(status)
            return restarts
        changes = watch(
            opened.project,
            watch_filter=DefaultFilter(ignore_dirs=tuple(IGNORED)),
            raise_interrupt=True,
        )
        for changed in changes:
            names = sorted({Path(path).name for _, path in changed})
            progress.line(f"changed: {', '.join(names[:3])}; restarting")
            _stop(process)
            process = _start(invocation, output)
            restarts += 1
    except KeyboardInterrupt:
        pass  # the ordinary way to end it
    finally:
        _stop(process)
    return restarts


def _ended(status: int) -> BackendctlError:
    return BackendctlError(
        "release.start",
        f"the development command ended with status {status}",
        cause="its own output says why",
        state="the environment's servers and releases go on running",
        next=("backendctl dev",),
    )


def _start(invocation: Invocation, output: int | None) -> "subprocess.Popen[bytes]":
    """Start it so that it ends with us, also when we are killed outright."""
    return subprocess.Popen(
        guarded(invocation.argv),
        cwd=invocation.directory,
        env=dict(invocation.environment),
        stdin=subprocess.PIPE,
        stdout=output,
        start_new_session=True,
    )


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the process and all it started; it has its grace."""
    if process.stdin is not None:
        process.stdin.close()
    process.wait()
