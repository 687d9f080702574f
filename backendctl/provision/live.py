"""What an operation is doing just now, in words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from backendctl.provision.changes import Action, type_of
from backendctl.provision.events import PROVIDER_TYPE, Record
from backendctl.provision.failures import title
from backendctl.provision.timings import Timings


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a stack's part before it begins."""

    changes: int | None = None
    seconds: float | None = None


def duration(seconds: float) -> str:
    """`42 s`, `3 min 05 s`, `1 h 02 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def standing(
    operation: str,
    records: Mapping[str, Record],
    expected: Mapping[str, Expected],
    timings: Timings,
) -> str:
    """One line on all stacks that are under way: how far, how long, what keeps them."""
    parts = []
    for name, record in records.items():
        if record.ended:
            continue
        known = expected.get(name, Expected())
        done = sum(
            1
            for urn, (action, _seconds) in record.finished.copy().items()
            if action is not Action.SAME and not type_of(urn).startswith(PROVIDER_TYPE)
        )
        part = f"{name} {done}"
        if known.changes is not None:
            part += f" of {known.changes}"
        part += f", {duration(record.clock() - record.began)}"
        if known.seconds is not None:
            part += f" of about {duration(known.seconds)}"
        parts.append(part + _slowest(record, timings))
    return f"{operation}: " + "; ".join(parts) if parts else ""


def _slowest(record: Record, timings: Timings) -> str:
    slowest = record.slowest()
    if slowest is None:
        return ""
    urn, action, seconds = slowest
    last = timings.of_resource(urn, action)
    before = "" if last is None else f", took {duration(last)} last time"
    return f" (longest: {title(urn)} {duration(seconds)}{before})"
