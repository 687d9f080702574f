"""`infra install`: the pulumi program and the plugins that an environment's stacks need."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.provision import install, tool
from backendctl.workflows.infra.opened import Opened
from backendctl.workflows.progress import Progress


@dataclass(frozen=True, slots=True)
class Installed:
    """What is there now."""

    program: tool.Tool
    fresh: bool
    """Whether the program was installed just now."""
    plugins: Mapping[str, str] = field(default_factory=dict)
    """Those installed just now, with their versions."""

    def data(self) -> Mapping[str, Any]:
        return {
            "program": str(self.program.program),
            "version": self.program.version,
            "installed": self.fresh,
            "plugins": dict(self.plugins),
        }


def install_tools(
    opened: Opened, progress: Progress, sources: install.Sources | None = None
) -> Installed:
    """Install what is missing; what is there and will do is left alone.

    Raises `infra.download`, `platform.unsupported`.
    """
    try:
        found, fresh = tool.find(), False
    except BackendctlError as error:
        if error.code != "missing.tool" or os.environ.get(tool.VARIABLE):
            raise  # another program than the one that is named would change nothing
        with progress.step(f"Installing pulumi {tool.PINNED}"):
            install.install_program(sources=sources)
        found, fresh = tool.find(), True
    wanted = {n: v for each in opened.definitions for n, v in each.plugins.items()}
    plugins: Mapping[str, str] = {}
    if tool.missing_plugins(wanted):
        with progress.step("Installing plugins"):
            plugins = install.install_plugins(found, wanted, sources)
    return Installed(found, fresh, plugins)
