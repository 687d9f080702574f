"""Where an environment's stacks keep their state, and how the engine is told so.

Each stack works in a folder of its own: commands for two stacks in one folder would overwrite each
other's settings. Nothing in these folders is needed again: they are written anew each time.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from backendctl.errors import BackendctlError
from backendctl.filesystem import PRIVATE_FILE, atomic_write, make_folder
from backendctl.provision.process import EngineProcess
from backendctl.provision.tool import Tool, home

if TYPE_CHECKING:
    from backendctl.provision.stack import NamedStack

BY_PHRASE = "passphrase"
"""Pulumi's name for secrets encrypted with a phrase."""


@dataclass(frozen=True, slots=True)
class Backend:
    """Where the state of one service's environment is, and what encrypts the secrets in it."""

    service: str
    environment: str
    folder: Path
    """`.backendctl/ENVIRONMENT/infra`: work folders, backups, and the state itself if local."""
    url: str
    """Pulumi's backend URL."""
    secrets_provider: str
    pulumi_home: Path = field(default_factory=home)

    @property
    def state_folder(self) -> Path | None:
        """The folder of a state on this machine; None where it is shared."""
        prefix = "file://"
        return Path(self.url.removeprefix(prefix)) if self.url.startswith(prefix) else None

    def project(self, stack: str) -> str:
        """Pulumi's project: the service's name and the stack's."""
        return f"{self.service}-{stack}"

    def variables(self) -> Mapping[str, str]:
        """What the engine's environment says of this backend; no secret is in it."""
        found = {
            "PULUMI_BACKEND_URL": self.url,
            "PULUMI_HOME": str(self.pulumi_home),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # Fields that the stack sets are its own, whoever changed them behind its back.
            "PULUMI_K8S_ENABLE_PATCH_FORCE": "true",
        }
        stated = {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & {*os.environ}
        if self.secrets_provider == BY_PHRASE and not stated:
            found["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(self.folder / "passphrase")
        return found


def backend(
    project: Path, service: str, environment: str, state: str = "", secrets_provider: str = ""
) -> Backend:
    """The state of an environment: `state` as a backend URL, else a folder in the project.

    Raises BackendctlError `spec.contradiction` for a shared state whose secrets would be encrypted
    with a phrase that only this machine has.
    """
    folder = project / ".backendctl" / environment / "infra"
    provider = secrets_provider or BY_PHRASE
    shared = bool(state) and not state.startswith("file://")
    known = {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & {*os.environ}
    if shared and provider == BY_PHRASE and not known:
        raise BackendctlError(
            "spec.contradiction",
            f"the state of {environment!r} is shared ({state}), but not the key to its secrets",
            cause="a phrase generated here would be unknown to everybody else",
            state="nothing was changed",
            next=(
                f'in [environments.{environment}]: secrets_provider = "awskms://alias/NAME"',
                "or set PULUMI_CONFIG_PASSPHRASE_FILE to a file with the phrase all of you use",
            ),
        )
    url = state or f"file://{(folder / 'state').resolve()}"
    return Backend(service, environment, folder, url, provider)


def prepare(where: Backend) -> None:
    """Make the folders and, for a phrase of our own, the file that holds it (0600)."""
    make_folder(where.folder)
    if where.state_folder is not None:
        make_folder(where.state_folder)
        _forget_cut_off_notes(where.state_folder)
    named = where.variables().get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if named is None or Path(named).exists():
        return
    if where.state_folder is not None and any(where.state_folder.rglob("*.json")):
        raise BackendctlError(
            "missing.data",
            f"the phrase that encrypts the state's secrets is gone: {named}",
            cause="there is a state, so it was there before; a new one could not read it",
            state="nothing was changed",
            next=("put the file back from a backup, or set PULUMI_CONFIG_PASSPHRASE_FILE",),
        )
    atomic_write(Path(named), secrets.token_urlsafe(32).encode(), PRIVATE_FILE)


def _forget_cut_off_notes(state: Path) -> None:
    """The engine keeps a note (`.attrs`: a type and a checksum) beside each file of its state, and
    reads no file whose note is cut off, as one of an engine that was killed may be. It does
    without a note."""
    for note in state.rglob("*.attrs"):
        try:
            json.loads(note.read_bytes())
        except ValueError:
            note.unlink(missing_ok=True)
        except FileNotFoundError:
            continue


def open_stack(
    where: Backend, name: str, process: EngineProcess, variables: Mapping[str, str] | None = None
) -> "NamedStack":
    """The stack of that name, whether it exists or not; `variables` are added to the engine's
    environment. Runs nothing."""
    from pulumi.automation import LocalWorkspace, ProjectBackend, ProjectSettings

    from backendctl.provision.stack import NamedStack

    work = make_folder(where.folder / "work" / name)
    settings = ProjectSettings(
        name=where.project(name), runtime="python", backend=ProjectBackend(where.url)
    )
    workspace = LocalWorkspace(
        work_dir=str(work),
        pulumi_home=str(where.pulumi_home),
        env_vars={**where.variables(), **(variables or {})},
        secrets_provider=where.secrets_provider,
        project_settings=settings,
        pulumi_command=process,
    )
    return NamedStack(where.environment, workspace)


def new_process(tool: Tool) -> EngineProcess:
    """A runner for one stack's commands."""
    from semver import VersionInfo

    return EngineProcess(tool.program, VersionInfo.parse(tool.version))
