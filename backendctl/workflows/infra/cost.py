"""`infra cost`, and what a change would cost: list prices of what the stacks make."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backendctl.errors import BackendctlError
from backendctl.provision.changes import Action, ResourceChange
from backendctl.provision.engine import Preview
from backendctl.spec import derive_aws
from backendctl.spec.model import PlatformName
from backendctl.workflows.infra.opened import Opened

if TYPE_CHECKING:
    from backendctl.provision.cost.estimate import Estimate
    from backendctl.shipped.stacks.record import Record


@dataclass(frozen=True, slots=True)
class Difference:
    """What a change does to the bill, in US dollars a month, before what depends on use."""

    before: float
    after: float
    prices_of: str
    """The day of the prices."""
    unpriced: Sequence[str]
    too_old: str = ""
    """What to say of the prices' age, if they are old."""

    def line(self) -> str:
        change = self.after - self.before
        priced = f"${self.before:,.0f} -> ${self.after:,.0f} a month ({change:+,.0f})"
        missing = f"; not priced: {', '.join(self.unpriced)}" if self.unpriced else ""
        aged = f" ({self.too_old})" if self.too_old else ""
        return (
            f"cost: {priced}, list prices of {self.prices_of}{aged}, without what depends on "
            f"use{missing}"
        )

    def data(self) -> dict[str, object]:
        return {
            "monthly_usd_before": self.before,
            "monthly_usd_after": self.after,
            "prices_of": self.prices_of,
            "prices_too_old": self.too_old,
            "unpriced": list(self.unpriced),
        }


def difference(opened: Opened, previews: Sequence[Preview]) -> Difference | None:
    """Of what is there and what would be; None where nothing of it is billed by a cloud."""
    if opened.environment.platform is not PlatformName.AWS:
        return None
    from backendctl.provision.cost.estimate import estimate

    region = derive_aws.region(opened.spec, opened.environment)
    before = estimate(_records(previews, after=False), region)
    after = estimate(_records(previews, after=True), region)
    return Difference(
        before.monthly, after.monthly, after.read.isoformat(), after.unpriced, after.too_old
    )


def _records(previews: Sequence[Preview], *, after: bool) -> "Iterator[Record]":
    from backendctl.shipped.stacks.record import Record

    for preview in previews:
        for change in preview.changes:
            properties = change.inputs if after else change.former
            if properties is None or not _there(change, after):
                continue
            adopted = change.action is Action.READ
            yield Record(change.type, change.name, preview.stack, dict(properties), adopted=adopted)


def _there(change: ResourceChange, after: bool) -> bool:
    gone = (Action.DELETE, Action.FORGET) if after else (Action.CREATE,)
    return change.action not in gone


def cost(opened: Opened) -> "Estimate":
    """What the stacks of an environment on AWS cost, as backend.toml asks for them; nobody is
    asked. Raises `platform.unsupported` where no cloud of ours bills it."""
    if opened.environment.platform is not PlatformName.AWS:
        raise BackendctlError(
            "platform.unsupported",
            f"{opened.environment.name} runs in a cluster of yours: its owner knows what it costs",
            cause="only what the stacks make on AWS has a price here",
            state="nothing was done",
        )
    from backendctl.provision.cost.estimate import estimate
    from backendctl.provision.simulate import simulate

    on_aws = [each for each in opened.definitions if "aws" in each.plugins]
    made = simulate(opened.spec, opened.environment, on_aws)
    return estimate(made, derive_aws.region(opened.spec, opened.environment))
