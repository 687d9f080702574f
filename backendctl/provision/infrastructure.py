"""All stacks of one environment: an operation on each, in order, and what came of it."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from backendctl.provision import timings as kept
from backendctl.provision.changes import Action, ResourceChange
from backendctl.provision.definition import StackDefinition
from backendctl.provision.engine import Applied, Preview, StackEngine
from backendctl.provision.events import Record, Step
from backendctl.provision.live import Expected, standing
from backendctl.provision.locks import StackLock
from backendctl.provision.order import Outcome, beneath, layers, run
from backendctl.provision.plan import Plan, base_digest
from backendctl.provision.target import Target
from backendctl.provision.tool import Tool
from backendctl.provision.upstream import Outputs
from backendctl.provision.workspace import Backend, prepare
from backendctl.spec.model import Environment, Spec

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listener:
    """Whoever wants to know how it goes on."""

    on_step: Callable[[str, Step], None] = lambda _stack, _step: None
    """Called from the stacks' threads: the stack, and what begins, is done or failed in it."""
    on_standing: Callable[[str], None] = lambda _line: None
    """Called a few times a second: one line on what is under way."""
    on_stop: Callable[[int], None] = lambda _asked: None
    """Called when the engines were asked to end, for the first, second or third time."""


@dataclass
class Infrastructure:
    """The stacks of one environment."""

    backend: Backend
    tool: Tool
    definitions: Sequence[StackDefinition]
    spec: Spec
    environment: Environment
    variables: Mapping[str, str] = field(default_factory=dict)
    """For the engines' environment, such as KUBECONFIG."""
    listener: Listener = field(default_factory=Listener)
    target: Target | None = None
    """The cluster that is meant: stacks of another one are refused. None where nobody asked."""

    def __post_init__(self) -> None:
        self._engines: dict[str, StackEngine] = {}
        self._guard = threading.Lock()
        self._timings = kept.load(self.backend.folder / "timings.json")

    # --- operations ---

    def preview(self) -> Mapping[str, Outcome[Preview]]:
        """What `up` would do to each stack; downstream ones see what upstream ones will export."""
        prepare(self.backend)
        outputs: dict[str, Outputs] = {}

        def work(name: str) -> Preview:
            found = self._engine(name).preview(self._upstream(name, outputs))
            outputs[name] = found.outputs
            return found

        return self._run("preview", work)

    def plan(self, previews: Sequence[Preview], made_by: str) -> Plan:
        """What these previews allow, and against which state."""
        return Plan(
            service=self.backend.service,
            environment=self.backend.environment,
            made=time.time(),
            made_by=made_by,
            bases={each.stack: each.base for each in previews},
            stacks={each.stack: each.plan for each in previews},
            unknown=tuple(f"{each.stack}: {path}" for each in previews for path in each.unknown),
        )

    def bases(self) -> Mapping[str, str]:
        """Stack -> digest of its present state."""
        prepare(self.backend)
        found = self._run("read", lambda name: base_digest(self._engine(name).state() or {}))
        return {name: each.result for name, each in found.items() if each.result is not None}

    def up(
        self, plan: Plan, changes: Mapping[str, int] | None = None
    ) -> Mapping[str, Outcome[Applied]]:
        """Bring every stack up within the plan; those that need a failed one are left alone."""
        prepare(self.backend)
        outputs: dict[str, Outputs] = {}

        def work(name: str) -> Applied:
            done = self._engine(name).up(self._upstream(name, outputs), plan.stacks[name])
            outputs[name] = done.outputs
            return done

        found = self._run("up", work, changes)
        self._remember("up", found)
        return found

    def drift(self, names: Sequence[str]) -> Mapping[str, Outcome[tuple[ResourceChange, ...]]]:
        """What differs between each of these stacks' state and what is really there."""
        prepare(self.backend)
        return self._run("drift", lambda name: self._engine(name).drift(), named=names)

    def destroy(
        self,
        names: Sequence[str],
        changes: Mapping[str, int] | None = None,
        *,
        keep_protected: bool = False,
    ) -> Mapping[str, Outcome[Applied]]:
        """Delete these stacks, those that others need last."""
        prepare(self.backend)

        def work(name: str) -> Applied:
            return self._engine(name).destroy(keep_protected=keep_protected)

        found = self._run("destroy", work, changes, reverse=True, named=names)
        self._remember("destroy", found)
        return found

    def beneath(self, kept: Collection[str]) -> frozenset[str]:
        """The stacks that these cannot do without."""
        return beneath(layers(self.definitions), kept)

    def release(
        self, urns: Mapping[str, Sequence[str]], outputs: Mapping[str, Outputs]
    ) -> Mapping[str, Outcome[Applied]]:
        """Take the protection off these resources of each stack, and change nothing else."""

        def work(name: str) -> Applied:
            return self._engine(name).release(self._upstream(name, outputs), urns[name])

        return self._run("release", work, named=list(urns))

    def on_each(
        self, operation: str, names: Sequence[str], work: Callable[[StackEngine], T]
    ) -> Mapping[str, Outcome[T]]:
        """Something else with each of these stacks."""
        prepare(self.backend)
        return self._run(operation, lambda name: work(self._engine(name)), named=names)

    def states(self) -> Mapping[str, Outcome[Mapping[str, Any]]]:
        """The state of each stack, secrets in clear, for memory only; empty if there is none."""
        prepare(self.backend)
        return self._run("read", lambda name: self._engine(name).state() or {})

    def told_locks(self, name: str) -> Sequence[StackLock]:
        """The locks on a stack whose state is not on this machine: the engine is asked for
        something that needs the lock, and changes nothing."""
        return self._engine(name).told_locks()

    # --- how ---

    def _engine(self, name: str) -> StackEngine:
        definition = next(each for each in self.definitions if each.name == name)
        engine = StackEngine(
            self.backend,
            self.tool,
            definition,
            self.spec,
            self.environment,
            self.variables,
            lambda step: self.listener.on_step(name, step),
            self.target,
        )
        with self._guard:
            self._engines[name] = engine
        return engine

    def _upstream(self, name: str, outputs: Mapping[str, Outputs]) -> Mapping[str, Outputs]:
        definition = next(each for each in self.definitions if each.name == name)
        return {need: outputs[need] for need in definition.needs}

    def _run(
        self,
        operation: str,
        work: Callable[[str], T],
        changes: Mapping[str, int] | None = None,
        *,
        reverse: bool = False,
        named: Sequence[str] | None = None,
    ) -> Mapping[str, Outcome[T]]:
        self._engines.clear()
        needs = layers(self.definitions, reverse)
        if named is not None:
            needs = {name: needs[name] & set(named) for name in named}
        expected = {
            name: Expected(count, self._timings.of_operation(operation, name, count))
            for name, count in (changes or {}).items()
        }

        def tick() -> None:
            line = standing(operation, self._records(), expected, self._timings)
            if line:
                self.listener.on_standing(line)

        return run(needs, work, self._running, tick, self.listener.on_stop)

    def _running(self) -> Sequence[StackEngine]:
        with self._guard:
            return tuple(self._engines.values())

    def _records(self) -> Mapping[str, Record]:
        with self._guard:
            return {n: e.record for n, e in self._engines.items() if e.pid is not None}

    def _remember(self, operation: str, outcomes: Mapping[str, Outcome[Applied]]) -> None:
        for name, outcome in outcomes.items():
            done = outcome.result
            if done is not None:
                took: dict[tuple[str, Action], float] = {
                    (urn, action): done.durations[urn] for urn, action in done.changed
                }
                self._timings = self._timings.with_run(operation, name, done.seconds, took)
        kept.save(self.backend.folder / "timings.json", self._timings)
