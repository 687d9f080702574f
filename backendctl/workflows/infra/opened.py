"""From a folder and an environment's name to the stacks that are meant."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from backendctl.errors import BackendctlError
from backendctl.provision import tool as tools
from backendctl.provision.definition import StackDefinition
from backendctl.provision.registry import definitions
from backendctl.provision.target import Target
from backendctl.spec.load import find_project, load_spec
from backendctl.spec.model import Environment, PlatformName, Spec
from backendctl.workflows.environment import DEFAULT
from backendctl.workflows.infra import meant

if TYPE_CHECKING:
    from typing import Self

    from backendctl.provision.infrastructure import Infrastructure, Listener
    from backendctl.provision.workspace import Backend


@dataclass(frozen=True, slots=True)
class Opened:
    """One environment's stacks."""

    project: Path
    spec: Spec
    environment: Environment
    definitions: Sequence[StackDefinition]
    target: Target | None = None
    """The cluster that the kubeconfig leads to; None where nobody asked it, or the stacks say
    which it is."""

    def targeted(self, *, always: bool = False) -> "Self":
        """With the cluster meant looked at, if a kubeconfig says which it is, or `always`.

        Raises `missing.cluster`, `platform.credentials`, `platform.forbidden`.
        """
        if self.environment.platform is PlatformName.AWS and not always:
            return self
        return replace(self, target=meant.look(self.spec, self.environment))

    def confirm_target(self) -> None:
        """After a question that was answered when somebody liked: raises `infra.cluster` when the
        kubeconfig leads to another cluster than the one that was shown."""
        if self.target is None:
            return
        now = meant.look(self.spec, self.environment)
        if now.uid != self.target.uid:
            raise BackendctlError(
                "infra.cluster",
                f"the kubeconfig leads to another cluster than the one that was shown: "
                f"{now.in_words()}",
                cause=f"shown was {self.target.in_words()}",
                state="nothing was changed",
                next=("kubectl config get-contexts",),
            )

    def backend(self) -> "Backend":
        """Where their state is. Raises `missing.extra`, `spec.contradiction`."""
        _require_pulumi(self.environment.platform)
        from backendctl.provision.workspace import backend

        return backend(
            self.project,
            self.spec.service.name,
            self.environment.name,
            self.environment.state,
            self.environment.secrets_provider,
        )

    def infrastructure(
        self, listener: "Listener | None" = None, *, adopted: StackDefinition | None = None
    ) -> "Infrastructure":
        """Ready to be worked with; with the stack of what was adopted, where that is meant too.

        Raises `missing.tool`, `missing.extra`.
        """
        where = self.backend()
        from backendctl.provision.engine import quiet_abandoned_programs
        from backendctl.provision.infrastructure import Infrastructure, Listener

        quiet_abandoned_programs()
        return Infrastructure(
            where,
            tools.find(),
            (*self.definitions, *([] if adopted is None else [adopted])),
            self.spec,
            self.environment,
            listener=listener or Listener(),
            target=self.target,
        )


def open_stacks(directory: Path, name: str | None, *, changes: bool) -> Opened:
    """Find the project and the environment meant; touches nothing.

    Raises `spec.*` errors; `spec.environment` for one on `local`, which has no stacks.
    """
    project = find_project(directory)
    spec = load_spec(project)
    environment = _chosen(spec, name, changes)
    return Opened(
        project,
        spec,
        environment,
        definitions(environment),
    )


def _chosen(spec: Spec, name: str | None, changes: bool) -> Environment:
    with_stacks = [
        each.name for each in spec.environments.values() if each.platform is not PlatformName.LOCAL
    ]
    if name is None and len(with_stacks) == 1 and not changes:
        name = with_stacks[0]
    if name is not None and name in spec.environments and name in with_stacks:
        return spec.environments[name]
    problem = (
        f"backend.toml has no environment {name!r}"
        if name is not None and name not in spec.environments
        else f"environment {name or DEFAULT!r} is on this machine: it has no stacks"
    )
    if name is None and with_stacks:
        problem = "name the environment whose stacks are meant"
    raise BackendctlError(
        "spec.environment",
        problem,
        cause=f"with stacks there are: {', '.join(sorted(with_stacks)) or 'none'}",
        state="nothing was changed",
        next=tuple(f"--env {each}" for each in sorted(with_stacks)) or ("backendctl up",),
    )


def _require_pulumi(platform: PlatformName) -> None:
    from importlib.util import find_spec

    wanted = ["pulumi"] + (["pulumi_aws"] if platform is PlatformName.AWS else [])
    missing = [each for each in wanted if find_spec(each) is None]
    if missing:
        raise BackendctlError(
            "missing.extra",
            "what works with stacks is not installed",
            cause=f"not found: {', '.join(missing)}",
            state="nothing was changed",
            next=(f"pip install 'backendctl[{platform.value}]'",),
        )
