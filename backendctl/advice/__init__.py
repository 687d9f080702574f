"""What the promises of a `backend.toml` imply, each piece with its reason and its source."""

from dataclasses import asdict, dataclass
from typing import Any

from backendctl.advice import (
    architecture,
    compliance,
    database,
    identity,
    interface,
    operations,
    scaling,
)
from backendctl.advice.rules import Recommendation, Rule, apply
from backendctl.spec.model import Spec

RULES: tuple[Rule, ...] = (
    *architecture.RULES,
    *interface.RULES,
    *database.RULES,
    *scaling.RULES,
    *identity.RULES,
    *operations.RULES,
    *compliance.RULES,
)
"""The whole table, in the order in which it is read."""
TOPICS: tuple[str, ...] = tuple(dict.fromkeys(rule.topic for rule in RULES))


@dataclass(frozen=True, slots=True)
class Advice:
    """Everything the rules say about one spec."""

    service: str
    recommendations: tuple[Recommendation, ...]

    def to_data(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def advise(spec: Spec, topic: str | None = None) -> Advice:
    """Apply every rule, or those of one topic, in the order of the table."""
    chosen = (rule for rule in RULES if topic in (None, rule.topic))
    found = tuple(each for rule in chosen for each in apply(rule, spec))
    return Advice(spec.service.name, found)
