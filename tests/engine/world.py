"""A project whose stacks are the test's own, on the real engine."""

import json
import os
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from backendctl.provision.definition import StackDefinition
from backendctl.provision.engine import Applied, Preview
from backendctl.provision.events import Step
from backendctl.provision.infrastructure import Infrastructure, Listener
from backendctl.provision.order import Outcome
from backendctl.provision.target import Target
from backendctl.provision.tool import Tool
from backendctl.provision.workspace import Backend, backend
from backendctl.spec.model import Environment, Load, PlatformName, Service, Spec
from backendctl.workflows.infra import meant
from backendctl.workflows.infra.opened import Opened
from tests.cluster import pulumi_plugin
from tests.fakes.echo_provider import plugin

T = TypeVar("T")
AWS = {"aws": plugin.VERSION}


class Silent:
    """A listener of workflows who wants nothing."""

    def line(self, text: str) -> None: ...

    def detail(self, text: str) -> None: ...

    def waiting(self, text: str) -> None: ...

    def emit(self, event: str, data: Mapping[str, Any]) -> None: ...

    def step(self, name: str) -> AbstractContextManager[Callable[[str], None]]:
        return nullcontext(lambda _text: None)


@dataclass
class World:
    """One project, its cloud, and everything that was heard of it."""

    project: Path
    home: Path
    stacks: Sequence[StackDefinition]
    platform: PlatformName = PlatformName.AWS
    namespace: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    heard: list[tuple[str, Step]] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    """Set when the resource named by `awaited` is being worked on."""
    awaited: str = ""
    promised: Spec | None = None
    """Instead of the few promises of `spec`, where the stacks look at more."""

    def __post_init__(self) -> None:
        self.project.mkdir(parents=True, exist_ok=True)
        echo = plugin.surroundings(self.cloud, self.rules)
        self.variables = {**echo, **self.variables}

    @property
    def cloud(self) -> Path:
        return self.project / "cloud"

    @property
    def rules(self) -> Path:
        return self.project / "rules"

    def rule(self, name: str, text: str = "") -> Path:
        """Ask the echo provider for something; see its docstring."""
        file = self.rules / name
        file.write_text(text)
        return file

    @property
    def environment(self) -> Environment:
        if self.promised is not None:
            return self.promised.environments["prod"]
        return Environment(name="prod", platform=self.platform, namespace=self.namespace)

    @property
    def spec(self) -> Spec:
        if self.promised is not None:
            return self.promised
        return Spec(
            service=Service(name="shop", start=("serve",)),
            load=Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1),
            environments={"prod": self.environment},
        )

    def backend(self) -> Backend:
        found = backend(self.project, "shop", "prod")
        return Backend(
            found.service, found.environment, found.folder, found.url, "passphrase", self.home
        )

    def infrastructure(
        self, stacks: Sequence[StackDefinition] | None = None, listener: Listener | None = None
    ) -> Infrastructure:
        return Infrastructure(
            self.backend(),
            Tool(Path(os.environ["BACKENDCTL_TEST_PULUMI"]), "3.259.0"),
            stacks or self.stacks,
            self.spec,
            self.environment,
            self.variables,
            listener or Listener(self.hear),
            target=self.target(),
        )

    def target(self) -> Target | None:
        """The test cluster, for stacks that are made in it."""
        on_cluster = self.platform is PlatformName.KUBERNETES
        return meant.look(self.spec, self.environment) if on_cluster else None

    def hear(self, stack: str, step: Step) -> None:
        self.heard.append((stack, step))
        if self.awaited and step.urn.endswith(f"::{self.awaited}") and step.state == "begun":
            self.begun.set()

    def opened(self) -> Opened:
        """For workflows; they find their engine through the environment variables."""
        target = self.target()
        return _Here(self.project, self.spec, self.environment, self.stacks, target, world=self)

    # --- operations ---

    def preview(self) -> tuple[Infrastructure, Sequence[Preview]]:
        infrastructure = self.infrastructure()
        return infrastructure, [sound(each) for each in infrastructure.preview().values()]

    def up(self) -> Mapping[str, Outcome[Applied]]:
        """Preview, and up within that plan."""
        infrastructure, previews = self.preview()
        self.heard.clear()
        return infrastructure.up(infrastructure.plan(previews, "a test"))

    def files(self) -> Mapping[Path, bytes]:
        """Everything that was written on the way, but the cloud and the key."""
        ours = self.project / ".backendctl"
        return {
            file: file.read_bytes()
            for file in ours.rglob("*")
            if file.is_file() and file.name != "passphrase"
        }

    def locks(self) -> Sequence[Path]:
        return list(self.backend().folder.glob("state/.pulumi/locks/**/*.json"))


@dataclass(frozen=True)
class _Here(Opened):
    world: World = field(kw_only=True)

    def backend(self) -> Backend:
        return self.world.backend()

    def infrastructure(
        self, listener: Listener | None = None, *, adopted: StackDefinition | None = None
    ) -> Infrastructure:
        stacks = self.definitions if adopted is None else (*self.definitions, adopted)
        return self.world.infrastructure(stacks)


def kubernetes_home(folder: Path) -> Path:
    """A folder of Pulumi's own with the Kubernetes provider in it; skips where there is none."""
    found = pulumi_plugin.find()
    if found is None:
        pytest.skip("Pulumi's Kubernetes provider is not here")
    target = folder / "plugins" / f"resource-kubernetes-v{pulumi_plugin.VERSION}"
    target.mkdir(parents=True)
    same_disk = found.stat().st_dev == target.stat().st_dev
    (os.link if same_disk else shutil.copy)(found, target / pulumi_plugin.PROGRAM)
    return folder


def sound(outcome: Outcome[T]) -> T:
    """Its result; fails with its error."""
    if outcome.error is not None:
        error = outcome.error
        raise AssertionError(f"{error.message}\n{error.cause}\n{error.state}") from error
    assert not outcome.skipped, outcome.skipped
    assert outcome.result is not None
    return outcome.result


def in_flight(state: Path) -> Sequence[tuple[str, str]]:
    """Kind and name of what is being worked on, as a stack's state on the disk says."""
    try:
        latest = json.loads(state.read_bytes())["checkpoint"]["latest"]
    except (OSError, ValueError):  # not there yet, or being written
        return ()
    urns = [each["resource"]["urn"].split("::") for each in latest.get("pending_operations") or ()]
    return [(urn[2].rpartition(":")[2], urn[3]) for urn in urns]
