"""One stack through the engine: preview, up, drift, destroy, outputs."""

import json
import logging
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backendctl.filesystem import atomic_write
from backendctl.provision.changes import Action, ResourceChange, unknown_paths
from backendctl.provision.definition import Inputs, StackDefinition
from backendctl.provision.events import STACK_TYPE, Record, Step
from backendctl.provision.failures import Context, Stop, failed
from backendctl.provision.locks import StackLock, cut_off, pending, read_locks, told_locks
from backendctl.provision.plan import base_digest
from backendctl.provision.scrub import Scrubber
from backendctl.provision.target import Target, parting, refuse_another, taken_over
from backendctl.provision.tool import Tool, require_plugins
from backendctl.provision.upstream import (
    Outputs,
    as_outputs,
    opened_secrets,
    present,
    previewed,
)
from backendctl.provision.workspace import Backend, new_process, open_stack
from backendctl.spec.model import Environment, Spec

if TYPE_CHECKING:
    from backendctl.provision.stack import NamedStack

_ONE_AT_A_TIME = threading.Lock()
"""Programs only register resources, in a moment; the provider packages load their modules when they
are first looked at, and two threads that do so at once find half of one."""
Upstream = Mapping[str, Outputs]
"""By stack name, the outputs of the stacks that one needs."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What `up` would do to one stack."""

    stack: str
    changes: tuple[ResourceChange, ...]
    """Of every resource, those that stay as they are included."""
    unknown: tuple[str, ...]
    """Inputs whose values are known only while `up` runs: `resource: path`."""
    outputs: Outputs = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The engine's own plan; secrets in it are encrypted."""
    base: str = ""
    """Digest of the state it was made against."""
    warnings: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[ResourceChange, ...]:
        return tuple(each for each in self.changes if each.action is not Action.SAME)


@dataclass(frozen=True, slots=True)
class Applied:
    """What an operation did to one stack."""

    stack: str
    changed: tuple[tuple[str, Action], ...]
    """URN and what was done to it, in order."""
    unchanged: int
    outputs: Outputs = field(default_factory=dict)
    seconds: float = 0.0
    durations: Mapping[str, float] = field(default_factory=dict)
    """URN -> seconds, of what was changed."""


def quiet_abandoned_programs() -> None:
    """When the engine ends early, the program that it was asking is left where it stood. What
    gRPC and Python say of that tells nobody anything: the engine's end is reported by itself."""
    logging.getLogger("grpc").setLevel(logging.CRITICAL + 1)
    former = sys.unraisablehook

    def heard(unraisable: "sys.UnraisableHookArgs") -> None:
        if getattr(unraisable.object, "__name__", "") != "run_in_stack":
            former(unraisable)

    sys.unraisablehook = heard


class StackEngine:
    """One operation on one stack. Made anew for each; `stop` ends it from another thread."""

    def __init__(
        self,
        backend: Backend,
        tool: Tool,
        definition: StackDefinition,
        spec: Spec,
        environment: Environment,
        variables: Mapping[str, str] | None = None,
        on_step: Callable[[Step], None] = lambda _step: None,
        target: Target | None = None,
    ) -> None:
        self.name = definition.name
        self.record = Record(time.monotonic, on_step)
        self._backend, self._definition = backend, definition
        self._spec, self._environment = spec, environment
        self._variables, self._target = dict(variables or {}), target
        self._process = new_process(tool)
        self._scrub = Scrubber()

    def stop(self) -> None:
        """See EngineProcess.stop."""
        self._process.stop()

    @property
    def pid(self) -> int | None:
        """The engine's process id while it runs."""
        return self._process.pid

    # --- operations ---

    def preview(self, upstream: Upstream) -> Preview:
        """What `up` would do, to what is really there now. Raises BackendctlError."""
        require_plugins(dict(self._definition.plugins), self._backend.pulumi_home)
        with failed(self._context("previewed")):
            stack = self._open()
            state = self._learned(stack.ensure())
            if pending(state):
                raise cut_off(self.name, pending(state))
            with tempfile.TemporaryDirectory(dir=self._backend.folder) as folder:
                plan = Path(folder) / "plan.json"
                stack.preview(
                    program=self._program(upstream, state),
                    plan=str(plan),
                    refresh=True,
                    on_event=self.record.heard,
                    color="never",
                )
                body = json.loads(plan.read_bytes())
        changes = tuple(sorted(self.record.changes.values(), key=lambda each: each.urn))
        return Preview(
            stack=self.name,
            changes=changes,
            unknown=tuple(_unknown(changes)),
            outputs=previewed(self.record.outputs, present(state)),
            plan=body,
            base=base_digest(state),
            warnings=tuple(self._scrub(each.message) for each in self.record.warnings),
        )

    def up(self, upstream: Upstream, plan: Mapping[str, Any]) -> Applied:
        """Make it so, within the plan. Raises BackendctlError."""
        require_plugins(dict(self._definition.plugins), self._backend.pulumi_home)
        self.record.acts = True
        with failed(self._context("brought up")):
            stack = self._open()
            before = self._learned(stack.ensure())
            with tempfile.TemporaryDirectory(dir=self._backend.folder) as folder:
                path = Path(folder) / "plan.json"
                atomic_write(path, json.dumps(plan).encode())
                stack.up(
                    program=self._program(upstream, before),
                    plan=str(path),
                    refresh=True,
                    on_event=self.record.heard,
                    color="never",
                    show_secrets=False,
                )
            state = self._learned(stack.ensure())
        return self._applied(present(state))

    def drift(self) -> tuple[ResourceChange, ...]:
        """What differs between the state and what is really there; nothing is changed."""
        require_plugins(dict(self._definition.plugins), self._backend.pulumi_home)
        with failed(self._context("compared")):
            stack = self._open()
            stack.preview_refresh(
                on_event=self.record.heard, color="never", run_program=False, show_secrets=False
            )
        return tuple(self.record.found.values())

    def release(self, upstream: Upstream, urns: Sequence[str]) -> Applied:
        """Take the protection off these resources, in the state and in the cloud; nothing else is
        changed. Raises BackendctlError."""
        require_plugins(dict(self._definition.plugins), self._backend.pulumi_home)
        self.record.acts = True
        with failed(self._context("released")):
            stack = self._open()
            stack.up(
                program=self._program(upstream, {}, releasing=True),
                target=list(urns),
                on_event=self.record.heard,
                color="never",
                show_secrets=False,
            )
        return self._applied({})

    def destroy(self, *, keep_protected: bool = False) -> Applied:
        """Delete everything in the stack, and then the stack; with `keep_protected` all but what
        is protected and what that needs. Raises BackendctlError."""
        require_plugins(dict(self._definition.plugins), self._backend.pulumi_home)
        self.record.acts = True
        with failed(self._context("destroyed")):
            stack = self._open()
            stack.destroy(
                on_event=self.record.heard,
                color="never",
                show_secrets=False,
                run_program=False,
                exclude_protected=keep_protected,
            )
            left = self._learned(stack.ensure())
            if not left.get("resources"):
                stack.workspace.remove_stack(stack.name)
        return self._applied({})

    def told_locks(self) -> Sequence[StackLock]:
        """Whose locks are on the stack, as the engine says when it is asked for the preview of a
        destruction: that takes the lock, looks at no cloud and changes nothing."""
        from pulumi.automation import ConcurrentUpdateError

        with failed(self._context("read")):
            try:
                self._open().preview_destroy(run_program=False)
            except ConcurrentUpdateError as error:
                return told_locks(str(error))
        return ()

    def unprotect(self, urns: Sequence[str]) -> None:
        """Take the protection of these resources out of the state; nobody else has any."""
        with failed(self._context("released")):
            self._open().unprotect(urns)

    def unlock(self) -> None:
        """Take away whatever lock is on the stack."""
        with failed(self._context("unlocked")):
            self._open().cancel()

    def backup(self) -> bytes:
        """The state as it is kept, secrets encrypted."""
        with failed(self._context("read")):
            return self._open().exported()

    def repair(self, existing: Mapping[str, str]) -> None:
        """See NamedStack.repair."""
        require_plugins(dict(self._definition.plugins), self._backend.pulumi_home)
        with failed(self._context("repaired")):
            stack = self._open()
            self._learned(stack.deployment() or {})
            stack.repair(existing)

    def adopt(self, urns: Sequence[str]) -> Applied:
        """Run the program for these resources alone, which brings in what exists."""
        require_plugins(dict(self._definition.plugins), self._backend.pulumi_home)
        self.record.acts = True
        with failed(self._context("adopted")):
            stack = self._open()
            state = self._learned(stack.ensure())
            stack.up(
                program=self._program({}, state),
                target=list(urns),
                on_event=self.record.heard,
                color="never",
                show_secrets=False,
            )
        return self._applied({})

    def forget(self) -> None:
        """Drop the stack and what it knows; the things themselves stay as they are."""
        with failed(self._context("forgotten")):
            stack = self._open()
            stack.workspace.remove_stack(stack.name, force=True)

    def state(self) -> Mapping[str, Any] | None:
        """The stack's deployment, secrets in clear: for memory only. None if there is none."""
        with failed(self._context("read")):
            found = self._open().deployment()
        return None if found is None else self._learned(found)

    # --- how ---

    def _open(self) -> "NamedStack":
        return open_stack(self._backend, self.name, self._process, self._variables)

    def _program(
        self, upstream: Upstream, state: Mapping[str, Any], releasing: bool = False
    ) -> Callable[[], None]:
        cluster = "" if self._target is None else self._target.uid
        occupied = taken_over(state, self._target)
        for outputs in upstream.values():
            for value in outputs.values():
                if value.secret:
                    self._scrub.add(value.value)

        def program() -> None:
            self._scrub.listen()
            given = {name: as_outputs(outputs) for name, outputs in upstream.items()}
            with _ONE_AT_A_TIME:
                self._definition.program(
                    Inputs(self._spec, self._environment, given, cluster, occupied, releasing)
                )

        return program

    def _learned(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """The state, once its secrets are known. Raises `infra.cluster` if it is of a cluster
        that is not meant."""
        if self._target is not None:
            leave = parting(self._backend.state_folder, self._full_name())
            refuse_another(self._target, self.name, state, self._environment.name, leave)
        secrets: list[Any] = []
        opened_secrets(state, secrets)
        for each in secrets:
            self._scrub.add(each)
        return state

    def _full_name(self) -> str:
        """As the program `pulumi` takes it."""
        return f"organization/{self._backend.project(self.name)}/{self._backend.environment}"

    def _applied(self, outputs: Outputs) -> Applied:
        changed = self.record.applied()
        took = {urn: self.record.finished[urn][1] for urn, _action in changed}
        return Applied(
            stack=self.name,
            changed=changed,
            unchanged=sum(a is Action.SAME for a, _seconds in self.record.finished.values()),
            outputs=outputs,
            seconds=time.monotonic() - self.record.began,
            durations=took,
        )

    def _context(self, doing: str) -> Context:
        return Context(self.name, doing, self.record, self._scrub, self._stop)

    def _stop(self) -> Stop | None:
        if not self._process.stopped:
            return None
        asked = self._process.stopped if self.record.acts else 1
        folder = self._backend.state_folder
        if folder is None:
            return Stop(asked, None if self._process.killed else False)
        project = self._backend.project(self.name)
        return Stop(asked, bool(read_locks(folder, project, self._backend.environment)))


def _unknown(changes: tuple[ResourceChange, ...]) -> list[str]:
    return [
        f"{each.title}: {path}"
        for each in changes
        if each.action is not Action.SAME and each.type != STACK_TYPE
        for path in unknown_paths(each.inputs or {})
    ]
