"""`infra preview` and `infra up`: what would be done, the approval, and the doing within it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.filesystem import atomic_write
from backendctl.provision import plan as plans
from backendctl.provision.changes import MARKS, Action, ResourceChange
from backendctl.provision.engine import Applied, Preview
from backendctl.provision.infrastructure import Infrastructure
from backendctl.provision.plan import Plan
from backendctl.provision.target import Target
from backendctl.spec.model import PlatformName
from backendctl.spec.reasons_aws import Reason, reasons
from backendctl.spec.tiers_aws import given_up
from backendctl.workflows.identity import person
from backendctl.workflows.infra.cost import Difference, difference
from backendctl.workflows.infra.meant import require_gateway
from backendctl.workflows.infra.opened import Opened
from backendctl.workflows.infra.outcomes import results
from backendctl.workflows.infra.telling import PAST, Waiting, listener

QUIET = ("pulumi:pulumi:Stack", "pulumi:providers:", "backendctl:")
"""Types whose coming and going is nobody's business: the engine's own, and those that only group
others."""


@dataclass(frozen=True, slots=True)
class Previewed:
    """What `up` would do."""

    environment: str
    stacks: Sequence[Preview]
    plan: Plan
    cost: Difference | None = None
    """Of the bill; None where no cloud bills it."""
    reasons: Sequence[Reason] = ()
    """Why what is derived from backend.toml is as it is."""
    given_up: Sequence[str] = ()
    """What the environment does without because it is small."""
    target: Target | None = None

    @property
    def changes(self) -> int:
        return sum(len(telling(each.changes)) for each in self.stacks)

    def counts(self) -> Mapping[str, int]:
        """Stack -> resources that change: what progress is measured by."""
        return {each.stack: len(telling(each.changes)) for each in self.stacks}

    def data(self) -> Mapping[str, Any]:
        return {
            "environment": self.environment,
            "changes": self.changes,
            "cluster": target_data(self.target),
            "cost": None if self.cost is None else self.cost.data(),
            "given_up": list(self.given_up),
            "stacks": [
                {
                    "name": each.stack,
                    "unchanged": len(each.changes) - len(each.changed),
                    "changes": [
                        change_data(change, self.reasons) for change in telling(each.changes)
                    ],
                    "unknown": list(each.unknown),
                    "warnings": list(each.warnings),
                }
                for each in self.stacks
            ],
        }

    def lines(self) -> Iterator[str]:
        """A tree for a person."""
        if self.target is not None:
            yield f"cluster: {self.target.in_words()}"
        for each in self.stacks:
            yield from _stack_lines(each, self.reasons)
        yield from (f'size = "small": {each}' for each in self.given_up)
        if self.cost is not None:
            yield self.cost.line()
        if self.plan.unknown:
            yield "Known only while it runs, and so not held by the plan:"
            yield from (f"  {path}" for path in self.plan.unknown[:20])
            if len(self.plan.unknown) > 20:
                yield f"  and {len(self.plan.unknown) - 20} more (--output json lists all)"


def target_data(target: Target | None) -> Mapping[str, str] | None:
    """The cluster that is meant, for a program."""
    if target is None:
        return None
    return {"uid": target.uid, "server": target.server, "context": target.context}


def telling(changes: Sequence[ResourceChange]) -> Sequence[ResourceChange]:
    """Those changes that a person wants to hear of."""
    return [
        each
        for each in changes
        if each.action is not Action.SAME and not each.type.startswith(QUIET)
    ]


def change_data(change: ResourceChange, reasons: Sequence[Reason] = ()) -> Mapping[str, Any]:
    about = [each for each in reasons if each.about(change.type, change.name)]
    return {
        "urn": change.urn,
        "type": change.type,
        "name": change.name,
        "action": change.action.value,
        "reason": change.reason(),
        "because": [{"path": each.property, "words": each.words} for each in about],
        "protected": change.protected,
        "properties": [
            {
                "path": each.path,
                "kind": each.kind,
                "before": each.before,
                "after": each.after,
                "replaces": each.replaces,
            }
            for each in change.properties
        ],
    }


def _stack_lines(preview: Preview, reasons: Sequence[Reason]) -> Iterator[str]:
    told = telling(preview.changes)
    same = len(preview.changes) - len(preview.changed)
    if not told:
        yield f"{preview.stack}: no changes ({same} resources)"
        return
    counts: dict[str, int] = {}
    for change in told:
        counts[change.action.value] = counts.get(change.action.value, 0) + 1
    said = ", ".join(f"{count} to {action}" for action, count in counts.items())
    yield f"{preview.stack}: {said}, {same} stay as they are"
    for change in told:
        yield from change_lines(change, reasons)
    yield from (f"  warning: {text}" for text in preview.warnings)


def change_lines(change: ResourceChange, reasons: Sequence[Reason] = ()) -> Iterator[str]:
    """One resource: what is done to it, and each reason on a line of its own."""
    about = [each for each in reasons if each.about(change.type, change.name)]
    shield = "  [protected]" if change.protected else ""
    head = f"  {MARKS[change.action]} {change.title} ({change.action.value}){shield}"
    if not change.properties:
        yield f"{head}: {change.reason()}"
        if change.action is Action.CREATE:
            yield from (f"      {each.line()}" for each in about)
        return
    yield head
    for each in change.properties:
        yield f"      {each.in_words()}"
        yield from (f"        {why.line()}" for why in about if each.path == why.property)


def preview(opened: Opened, progress: Waiting) -> Previewed:
    """Look at what `up` would do; nothing is changed. Raises what the stacks' failures say."""
    infrastructure = opened.infrastructure(listener(progress, acts=False))
    with progress.step("Looking at what would change"):
        require_gateway(opened.spec, opened.environment)
        return _previewed(opened, infrastructure)


def _previewed(opened: Opened, infrastructure: Infrastructure) -> Previewed:
    found = results(infrastructure.preview())
    stacks = [found[each.name] for each in opened.definitions]
    plan = infrastructure.plan(stacks, person())
    cost = difference(opened, stacks)
    spec, environment = opened.spec, opened.environment
    if environment.platform is not PlatformName.AWS:
        return Previewed(environment.name, stacks, plan, cost, target=opened.target)
    return Previewed(
        environment.name,
        stacks,
        plan,
        cost,
        reasons(spec, environment),
        given_up(environment),
        opened.target,
    )


def save_plan(previewed: Previewed, path: Path) -> None:
    """Write the plan file, for this user's eyes only."""
    atomic_write(path, previewed.plan.to_bytes())


def load_plan(opened: Opened, infrastructure: Infrastructure, path: Path) -> Plan:
    """A plan file that fits what is there now. Raises `usage`, `infra.stale-plan`."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise BackendctlError(
            "usage", f"the plan {path} cannot be read", cause=str(error), state="nothing was done"
        ) from error
    plan = Plan.from_bytes(body, str(path))
    plans.check(plan, opened.spec.service.name, opened.environment.name, infrastructure.bases())
    return plan


@dataclass(frozen=True, slots=True)
class BroughtUp:
    """What `up` did."""

    environment: str
    stacks: Sequence[Applied]

    def data(self) -> Mapping[str, Any]:
        return {
            "environment": self.environment,
            "stacks": [
                {
                    "name": each.stack,
                    "changed": [
                        {"urn": urn, "action": action.value, "seconds": each.durations[urn]}
                        for urn, action in each.changed
                    ],
                    "unchanged": each.unchanged,
                    "seconds": round(each.seconds, 1),
                }
                for each in self.stacks
            ],
        }

    def lines(self) -> Iterator[str]:
        for each in self.stacks:
            counts = Counter(action for _urn, action in each.changed)
            said = [f"{count} {PAST[action]}" for action, count in counts.items()]
            yield f"{each.stack}: {', '.join([*said, f'{each.unchanged} as before'])}"


def up(
    opened: Opened,
    progress: Waiting,
    approve: Callable[[Previewed], None],
    plan_file: Path | None = None,
) -> BroughtUp:
    """Preview, let `approve` raise or not, and bring the stacks up within that plan.

    With `plan_file`, what was previewed and approved elsewhere is done; there is no new preview.
    """
    infrastructure = opened.infrastructure(listener(progress, acts=True))
    if plan_file is None:
        found = preview(opened, progress)
        approve(found)
        opened.confirm_target()
        if found.changes == 0:
            return BroughtUp(opened.environment.name, ())
        plan, counts = found.plan, found.counts()
    else:
        require_gateway(opened.spec, opened.environment)
        plan, counts = load_plan(opened, infrastructure, plan_file), {}
    with progress.step("Bringing the stacks up"):
        done = results(infrastructure.up(plan, counts))
    return BroughtUp(opened.environment.name, [done[each.name] for each in opened.definitions])
