"""The environment's watchdog as a program under its supervisor."""

import os
import sys

from backendctl import __version__
from backendctl.platforms import variables
from backendctl.platforms.base import WATCHDOG, ServiceStatus
from backendctl.platforms.local import recorded
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.supervisor import Program, ProgramStatus
from backendctl.spec.model import Spec

_MODULE = "backendctl.workflows.watchdog"
_STOP_GRACE = 5.0


class Watchdog:
    """The watchdog of one environment."""

    def __init__(self, layout: Layout, spec: Spec) -> None:
        self._layout = layout
        self._spec = spec

    def prepare(self) -> Program:
        """Write down what it works from and say how to run it. Other promises, or another version
        of backendctl, make another program of it, so that it is started anew.

        Raises BackendctlError `platform.disk-full`, `platform.permission`.
        """
        digest = recorded.record(self._layout, self._spec)
        argv = (sys.executable, "-I", "-m", _MODULE, str(self._layout.home), __version__, digest)
        # Where it starts a stable release again, that must find what `up` would give it.
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            **variables.inherited(os.environ),
        }
        return Program(WATCHDOG, argv, self._layout.home, environment, stop_grace=_STOP_GRACE)

    @staticmethod
    def look(program: ProgramStatus | None) -> ServiceStatus:
        """What `status` says of it: it answers nobody, so to run is all that it can be seen to."""
        if program is None:
            return ServiceStatus(WATCHDOG, False, "", "not started")
        runs = program.pid is not None
        return ServiceStatus(
            WATCHDOG,
            runs,
            "",
            "" if runs else program.detail,
            alive=runs,
            restarts=program.restarts,
            last_restart=program.last_restart,
        )
