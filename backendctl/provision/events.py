"""The engine's events of one operation on one stack, folded as they come. Pure but for the clock.

The engine masks secrets in what it sends; `scrub.py` takes out what a provider put in a message.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backendctl.provision.changes import (
    Action,
    PropertyChange,
    ResourceChange,
    action_of,
    differences,
    shown,
    type_of,
)

if TYPE_CHECKING:
    from pulumi.automation.events import EngineEvent, StepEventMetadata

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_TYPE = "pulumi:providers:"


@dataclass(frozen=True, slots=True)
class Step:
    """One resource's way through an operation, as far as it has come."""

    urn: str
    action: Action
    operation: str
    """The engine's own word: a replacement comes as several steps."""
    state: str
    """begun | done | failed"""
    seconds: float
    """Since it began."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing the engine or a provider complained of."""

    message: str
    urn: str = ""


@dataclass
class Record:
    """What one operation on one stack has done so far. Only its own stack's thread writes it;
    whoever reads it from another meanwhile reads a copy of a mapping, not the mapping."""

    clock: Callable[[], float]
    """Seconds that only ever rise."""
    on_step: Callable[[Step], None] = lambda _step: None
    acts: bool = False
    """Whether what the events tell of really happens, or is only looked at."""
    began: float = 0.0
    running: dict[str, tuple[Action, float]] = field(default_factory=dict)
    """URN -> what is being done to it, and when that began."""
    finished: dict[str, tuple[Action, float]] = field(default_factory=dict)
    """URN -> what was done to it, and the seconds it took; those left as they were too."""
    changes: dict[str, ResourceChange] = field(default_factory=dict)
    """URN -> what becomes of it, in the order in which the engine came to it."""
    found: dict[str, ResourceChange] = field(default_factory=dict)
    """URN -> how what is really there differs from the state, where that was looked at."""
    failed: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """The stack's own, secrets masked; in a preview some are unknown."""
    ended: bool = False
    cancelled: bool = False

    def __post_init__(self) -> None:
        self.began = self.clock()
        self._compared: set[str] = set()
        """URNs that are being compared with what is really there: the step that ends that says
        what was found, not what is done."""

    def heard(self, event: "EngineEvent") -> None:
        """Take one event in."""
        if event.resource_pre_event is not None:
            self._begun(event.resource_pre_event.metadata)
        elif event.res_outputs_event is not None:
            self._done(event.res_outputs_event.metadata)
        elif event.res_op_failed_event is not None:
            self._failed(event.res_op_failed_event.metadata)
        elif event.diagnostic_event is not None:
            said = event.diagnostic_event
            problem = Problem(plain(said.message), said.urn or "")
            if said.severity == "error":
                self.problems.append(problem)
            elif said.severity == "warning":
                self.warnings.append(problem)
        elif event.summary_event is not None:
            self.ended = True

    def applied(self) -> tuple[tuple[str, Action], ...]:
        """What was really changed, in order: URN and how."""
        if not self.acts:
            return ()
        return tuple(
            (urn, action)
            for urn, (action, _seconds) in self.finished.items()
            if action is not Action.SAME and not type_of(urn).startswith(PROVIDER_TYPE)
        )

    def slowest(self) -> tuple[str, Action, float] | None:
        """The resource that has been under way longest, what is done to it, and for how many
        seconds."""
        now = self.clock()
        own = {u: did for u, did in self.running.copy().items() if type_of(u) != STACK_TYPE}
        if not own:
            return None
        urn = min(own, key=lambda each: own[each][1])
        action, since = own[urn]
        return urn, action, now - since

    def _begun(self, step: "StepEventMetadata") -> None:
        action = action_of(step.op.value)
        if step.type == STACK_TYPE:
            return
        if action is Action.REFRESH:
            self._compared.add(step.urn)
            self.running[step.urn] = (action, self.clock())
            return
        self._remember(step, action)
        if action is not Action.SAME:
            self.running[step.urn] = (action, self.clock())
            self.on_step(Step(step.urn, action, step.op.value, "begun", 0.0))

    def _done(self, step: "StepEventMetadata") -> None:
        action = action_of(step.op.value)
        if step.type == STACK_TYPE:
            self.outputs = dict((step.new.outputs if step.new else None) or {})
            return
        _was, since = self.running.pop(step.urn, (action, self.clock()))
        if step.urn in self._compared:
            self._compared.discard(step.urn)
            self.found[step.urn] = change_of(step, action)
            return
        self._remember(step, action)
        before = self.finished.get(step.urn, (action, 0.0))
        seconds = before[1] + self.clock() - since
        self.finished[step.urn] = (_stronger(before[0], action), seconds)
        if action is not Action.SAME:
            self.on_step(Step(step.urn, action, step.op.value, "done", self.clock() - since))

    def _failed(self, step: "StepEventMetadata") -> None:
        action = action_of(step.op.value)
        _was, since = self.running.pop(step.urn, (action, self.clock()))
        self.failed.append(step.urn)
        self.on_step(Step(step.urn, action, step.op.value, "failed", self.clock() - since))

    def _remember(self, step: "StepEventMetadata", action: Action) -> None:
        """A replacement comes as several steps: the one that says why is kept."""
        former = self.changes.get(step.urn)
        if former is not None and former.action is not Action.SAME:
            if action is not former.action:
                return
            if former.properties and not step.detailed_diff:
                return
        self.changes[step.urn] = change_of(step, action)


def _stronger(one: Action, other: Action) -> Action:
    """Of two steps on one resource, the one that says what became of it."""
    return other if one is Action.SAME else one


def change_of(step: "StepEventMetadata", action: Action) -> ResourceChange:
    """What a step of the engine does, with the properties that differ."""
    old, new = step.old, step.new
    before = dict((old.inputs if old else None) or {})
    after = dict((new.inputs if new else None) or {})
    holder = new or old
    return ResourceChange(
        urn=step.urn,
        action=action,
        properties=tuple(_differing(step, action, before, after)),
        protected=bool(old.protect if old else False) or bool(new.protect if new else False),
        retained=bool(holder.retain_on_delete) if holder else False,
        inputs=after or None,
        former=before or None,
    )


def _differing(
    step: "StepEventMetadata",
    action: Action,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> list[PropertyChange]:
    """The properties behind an update or a replacement, by the provider's own account if it gave
    one; its words alone where our inputs do not differ there."""
    if action not in (Action.UPDATE, Action.REPLACE, Action.REFRESH):
        return []
    detailed = step.detailed_diff or {}
    replacing = frozenset(
        [p for p, d in detailed.items() if d.diff_kind.value.endswith("replace")]
        + list(step.keys or [])
    )
    found = list(differences(before, after, replacing))
    if detailed:
        told = [change for change in found if _told(change.path, detailed)]
        silent = [path for path in detailed if not any(_related(c.path, path) for c in found)]
        return told + [_of_provider(path, step, detailed[path].diff_kind.value) for path in silent]
    return found


def _of_provider(path: str, step: "StepEventMetadata", kind: str) -> PropertyChange:
    """A difference that only the provider sees: between what it reports and what is asked for."""
    old = shown(_at(step.old.outputs if step.old else None, path))
    new = shown(_at(step.new.outputs if step.new else None, path))
    return PropertyChange(path, kind.removesuffix("-replace"), old, new, kind.endswith("-replace"))


def _at(value: Any, path: str) -> Any:
    """The value at `spec.template[0].name`; None if there is none."""
    for step in path.replace("[", ".").replace("]", "").replace('"', "").split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _told(path: str, detailed: Mapping[str, Any]) -> bool:
    return any(_related(path, each) for each in detailed)


def _related(one: str, other: str) -> bool:
    return (
        one == other
        or one.startswith((f"{other}.", f"{other}["))
        or other.startswith((f"{one}.", f"{one}["))
    )


def plain(message: str) -> str:
    """Without the engine's colour marks (`<{%reset%}>`)."""
    import re

    return re.sub(r"<\{%[^%]*%\}>", "", message).strip()
