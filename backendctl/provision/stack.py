"""The Automation API's stack, without what it does beside the one thing it is asked for.

Its own constructor selects the stack, which writes to a file that parallel runs share, and each
operation ends with three more commands for outputs and history, one of them with secrets in clear.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pulumi.automation import (
    LocalWorkspace,
    OutputMap,
    Stack,
    StackNotFoundError,
    UpdateSummary,
)

from backendctl.filesystem import atomic_write
from backendctl.provision.locks import with_created


class NamedStack(Stack):
    """A stack by its name; every command says which one it means."""

    def __init__(self, name: str, workspace: LocalWorkspace) -> None:
        self.name = name
        self.workspace = workspace

    def outputs(self) -> OutputMap:
        """Not asked for: `deployment` has them."""
        return {}

    def info(self, show_secrets: bool = False) -> UpdateSummary:  # noqa: ARG002 (the API's)
        """Not asked for: the events have it."""
        return UpdateSummary(
            kind="", start_time=datetime.now(UTC), message="", environment={}, config={}, result=""
        )

    def deployment(self) -> Mapping[str, Any] | None:
        """The state, secrets in clear, to be kept in memory only; None if there is no stack."""
        arguments = ["stack", "export", "--show-secrets"]
        try:
            said = self._run_pulumi_cmd_sync(arguments)
        except StackNotFoundError:
            return None
        found: Mapping[str, Any] = json.loads(said.stdout)["deployment"] or {}
        return found

    def exported(self) -> bytes:
        """The state as it is kept, secrets encrypted: for a backup."""
        return self._run_pulumi_cmd_sync(["stack", "export"]).stdout.encode()

    def repair(self, existing: Mapping[str, str]) -> None:
        """Settle operations that were cut off, by looking at what is really there.

        `existing`: URN -> id of creations that may have succeeded; those that are not found, and
        all other creations, are forgotten. They are put into the state here: the engine's own
        `--import-pending-creates` forgot them all, with the version that is pinned.
        """
        if existing:
            state = json.loads(self.exported())
            state["deployment"] = with_created(state["deployment"], existing)
            with tempfile.TemporaryDirectory(dir=self.workspace.work_dir) as folder:
                file = Path(folder) / "state.json"
                atomic_write(file, json.dumps(state).encode())
                self._run_pulumi_cmd_sync(["stack", "import", "--file", str(file)])
        arguments = ["refresh", "--yes", "--skip-preview", "--color=never"]
        self._run_pulumi_cmd_sync([*arguments, "--clear-pending-creates"])

    def unprotect(self, urns: Sequence[str]) -> None:
        """Take the protection out of the state alone."""
        for urn in urns:
            self._run_pulumi_cmd_sync(["state", "unprotect", urn, "--yes"])

    def ensure(self) -> Mapping[str, Any]:
        """The state, of a stack made now if there was none."""
        found = self.deployment()
        if found is None:
            self.workspace.create_stack(self.name)
        return found or {}
