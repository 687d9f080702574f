"""Which of the tools is there, and works."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence

from backendctl.errors import BackendctlError
from backendctl.platforms.images.tools import TOOLS, Command, Tool

PROBE_DEADLINE = 60.0
"""Seconds: Docker asks its daemon, which may be starting, on a machine that may be busy."""
_LATE = f"it did not answer within {PROBE_DEADLINE:.0f} s"

Probe = Callable[[Command], str]
"""Runs a tool's probe; "" if it works, else why not."""


def find_tool(wanted: str = "", tools: Sequence[Tool] = TOOLS, probe: Probe | None = None) -> Tool:
    """The first tool that works here; with `wanted`, only one of that name counts.

    Raises BackendctlError `usage` for an unknown name, `missing.tool` with what was looked for.
    """
    names = list(dict.fromkeys(tool.name for tool in tools))
    if wanted and wanted not in names:
        raise BackendctlError(
            "usage",
            f"--tool: there is no tool {wanted!r}",
            cause=f"accepted: {', '.join(names)}",
            state="nothing was built",
        )
    problems: dict[str, str] = {}
    for tool in tools:
        if wanted and tool.name != wanted:
            continue
        # Slow is not unable: with another storage it would not find what it has built before.
        if problems.get(tool.name) == _LATE:
            continue
        problem = (probe or _probe)(tool.probe())
        if not problem:
            return tool
        problems.setdefault(tool.name, problem)
    raise BackendctlError(
        "missing.tool",
        f"{wanted} cannot build images here" if wanted else "nothing here can build an image",
        cause="; ".join(f"{name}: {problem}" for name, problem in problems.items()),
        state="nothing was built; what runs goes on running",
        next=("install Docker, Podman or Buildah, or start Docker", "backendctl build"),
    )


def _probe(command: Command) -> str:
    program = command.argv[0]
    if shutil.which(program) is None:
        return "not installed (not on PATH)"
    try:
        done = subprocess.run(
            command.argv,
            env={**os.environ, **command.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_DEADLINE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _LATE
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return ""
    lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it ended with status {done.returncode}"
