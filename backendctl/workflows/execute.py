"""`backendctl exec`: a command where the serving release runs."""

import subprocess
from collections.abc import Sequence

from backendctl.errors import BackendctlError
from backendctl.rollout.history import serving
from backendctl.workflows.environment import Opened
from backendctl.workflows.up import find_release


def execute(opened: Opened, argv: Sequence[str], output: int | None = None) -> tuple[int, int]:
    """Run `argv` in the serving release's surroundings, on this terminal.

    `output` is the file descriptor that takes its standard output, if not ours.

    Returns the release and the command's exit status (128 + signal when killed by one, as a shell
    says it). Raises `missing.environment` when no release serves.
    """
    stable = serving(opened.platform.store).stable
    if stable is None:
        raise BackendctlError(
            "missing.environment",
            f"no release serves in environment {opened.environment.name!r}",
            state="nothing was run",
            next=(f"backendctl up --env {opened.environment.name}",),
        )
    release = find_release(opened, stable)
    invocation = opened.platform.runtime.in_release(release, argv)
    done = subprocess.run(
        invocation.argv,
        cwd=invocation.directory,
        env=dict(invocation.environment),
        stdout=output,
    )
    status = done.returncode
    return stable, status if status >= 0 else 128 - status
