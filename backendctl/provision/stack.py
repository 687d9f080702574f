"""The Automation API's stack, without what it does beside the one thing it is asked for.

Its own constructor selects the stack, which writes to a file that parallel runs share, and each
operation ends with three more commands for outputs and history, one of them with secrets in clear.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pulumi.automation import (
    LocalWorkspace,
    OutputMap,
    Stack,
    StackNotFoundError,
    UpdateSummary,
)


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
        all other creations, are forgotten.
        """
        arguments = ["refresh", "--yes", "--skip-preview", "--color=never"]
        if existing:
            for urn, identifier in existing.items():
                arguments += ["--import-pending-creates", urn]
                arguments += ["--import-pending-creates", identifier]
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
