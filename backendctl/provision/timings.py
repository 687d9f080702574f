"""How long things took, so that the next run can say what to expect. Pure but for `load`/`save`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from backendctl.filesystem import atomic_write
from backendctl.provision.changes import Action


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds, by what was done to what."""

    resources: Mapping[str, float] = field(default_factory=dict)
    """`ACTION URN` -> seconds when that was last done."""
    operations: Mapping[str, float] = field(default_factory=dict)
    """`OPERATION STACK COUNT` -> seconds of the last one with that many changes."""

    def of_resource(self, urn: str, action: Action) -> float | None:
        return self.resources.get(f"{action.value} {urn}")

    def of_operation(self, operation: str, stack: str, changes: int) -> float | None:
        return self.operations.get(f"{operation} {stack} {changes}")

    def with_run(
        self,
        operation: str,
        stack: str,
        seconds: float,
        took: Mapping[tuple[str, Action], float],
    ) -> "Timings":
        """These and what one run took."""
        added = {f"{action.value} {urn}": round(s, 1) for (urn, action), s in took.items()}
        run = {f"{operation} {stack} {len(took)}": round(seconds, 1)}
        return replace(
            self,
            resources={**self.resources, **added},
            operations={**self.operations, **run},
        )


def load(path: Path) -> Timings:
    """What was kept; nothing where nothing was, or where it cannot be read: it is only a hint."""
    try:
        body = json.loads(path.read_bytes())
        return Timings(dict(body["resources"]), dict(body["operations"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Timings()


def save(path: Path, timings: Timings) -> None:
    body = {"resources": dict(timings.resources), "operations": dict(timings.operations)}
    atomic_write(path, json.dumps(body).encode())
