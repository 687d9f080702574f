"""A plan: what was previewed and approved, in one file, and what it was made against.

The engine's own plans are in it, one a stack; it holds `up` to them. What the engine does not look
at is checked here: that the plan is for this environment, and that its state is the one that was
previewed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backendctl.errors import BackendctlError

SCHEMA = "backendctl/infra-plan/v1"


@dataclass(frozen=True, slots=True)
class Plan:
    """What may be done to an environment's stacks."""

    service: str
    environment: str
    made: float
    """Seconds since the epoch."""
    made_by: str
    bases: Mapping[str, str]
    """Stack -> digest of the state it was previewed against."""
    stacks: Mapping[str, Mapping[str, Any]] = field(repr=False)
    """Stack -> the engine's plan, secrets encrypted."""
    unknown: tuple[str, ...] = ()
    """Inputs whose values were not known, which the plan therefore does not hold."""

    def to_bytes(self) -> bytes:
        body = {
            "schema": SCHEMA,
            "service": self.service,
            "environment": self.environment,
            "made": self.made,
            "made_by": self.made_by,
            "bases": dict(self.bases),
            "unknown": list(self.unknown),
            "stacks": {name: dict(each) for name, each in self.stacks.items()},
        }
        return json.dumps(body, indent=1).encode()

    @classmethod
    def from_bytes(cls, body: bytes, where: str) -> "Plan":
        """Raises BackendctlError `infra.stale-plan` when it is no plan of this version."""
        try:
            read = json.loads(body)
            if read["schema"] != SCHEMA:
                raise ValueError(f"its schema is {read['schema']!r}, not {SCHEMA!r}")
            return cls(
                service=read["service"],
                environment=read["environment"],
                made=float(read["made"]),
                made_by=read["made_by"],
                bases=read["bases"],
                stacks=read["stacks"],
                unknown=tuple(read["unknown"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise _stale(f"{where} is no plan that this version can read", str(error)) from error


def base_digest(deployment: Mapping[str, Any] | None) -> str:
    """Digest of what a state says exists; the same for no stack and an empty one."""
    held = [(deployment or {}).get(key) or [] for key in ("resources", "pending_operations")]
    held[0] = [each for each in held[0] if each.get("type") != "pulumi:pulumi:Stack"]
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()[:16]


def check(plan: Plan, service: str, environment: str, bases: Mapping[str, str]) -> None:
    """Raises BackendctlError `infra.stale-plan` unless the plan fits what is there now."""
    if (plan.service, plan.environment) != (service, environment):
        raise _stale(
            f"the plan is for {plan.environment} of {plan.service}",
            f"this is {environment} of {service}",
        )
    if set(plan.bases) != set(bases):
        raise _stale(
            "the plan is for other stacks than this environment has",
            f"planned: {', '.join(sorted(plan.bases))}; there are: {', '.join(sorted(bases))}",
        )
    moved = sorted(name for name in bases if bases[name] != plan.bases[name])
    if moved:
        raise _stale(
            f"the plan was made before {', '.join(moved)} changed",
            "somebody brought it up, destroyed it or repaired it since",
        )


def _stale(message: str, cause: str) -> BackendctlError:
    return BackendctlError(
        "infra.stale-plan",
        message,
        cause=cause,
        state="nothing was changed",
        next=("backendctl infra preview",),
    )
