"""What a rule of advice is: named, with its inputs, its source, and what would change it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backendctl.spec.fields import unit_at
from backendctl.spec.model import Environment, PlatformName, Spec


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says about one spec."""

    result: str
    """What to do, in a line."""
    reason: str
    """Why, with the numbers that led to it."""
    changes: str
    """Which input would have to become what for another result."""


Decide = Callable[[Spec], Finding | None]
"""None where the rule has nothing to say."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table of advice."""

    topic: str
    name: str
    inputs: tuple[str, ...]
    """Dotted keys of backend.toml."""
    source: str
    decide: Decide


@dataclass(frozen=True, slots=True)
class Input:
    """One value that led to a result."""

    key: str
    value: str
    """As it is written in backend.toml."""
    stated: bool
    """False: derived from other keys, or the default."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One piece of advice on one spec."""

    topic: str
    name: str
    result: str
    reason: str
    changes: str
    source: str
    inputs: tuple[Input, ...]


def rule(topic: str, inputs: tuple[str, ...], source: str) -> Callable[[Decide], Rule]:
    """Make a function a rule under its own name, `read_replicas` as "read replicas"."""

    def decorate(decide: Decide) -> Rule:
        return Rule(topic, decide.__name__.replace("_", " "), inputs, source, decide)

    return decorate


def apply(each: Rule, spec: Spec) -> Iterator[Recommendation]:
    """The rule's advice on `spec`, if it has any."""
    finding = each.decide(spec)
    if finding is not None:
        inputs = tuple(input_of(spec, key) for key in each.inputs)
        yield Recommendation(
            each.topic,
            each.name,
            finding.result,
            finding.reason,
            finding.changes,
            each.source,
            inputs,
        )


def input_of(spec: Spec, key: str) -> Input:
    """The value of a dotted key and whether the file states it."""
    holder: Any = spec
    *tables, last = key.split(".")
    for part in tables:
        holder = getattr(holder, part)
    value = getattr(holder, last)
    unit = unit_at(type(holder).model_fields[last])
    text = _short(unit.render(value)) if unit is not None and value is not None else _words(value)
    stated = any(each == key or each.startswith(f"{key}.") for each in spec.stated)
    return Input(key, text, stated)


def _short(text: str) -> str:
    """A rendered quantity without digits that nobody wrote."""
    head = text.rstrip("%/s")
    try:
        number = float(head)
    except ValueError:
        return text
    return text if len(head) <= 6 or number == int(number) else f"{number:.4g}{text[len(head) :]}"


def _words(value: Any) -> str:
    if value is None or value == "" or (not isinstance(value, bool | int) and not value):
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(sorted(value))
    if isinstance(value, frozenset | tuple):
        return ", ".join(
            sorted(
                str(getattr(each, "name", each)) if hasattr(each, "url") else str(each)
                for each in value
            )
        )
    return str(value).lower() if isinstance(value, bool) else str(value)


def production(spec: Spec) -> Environment:
    """The environment that advice on size and place is about.

    The one called prod or production, else the first that is not `local`, else a cluster that
    the file does not name yet.
    """
    others = [e for e in spec.environments.values() if e.platform is not PlatformName.LOCAL]
    named = [e for e in others if e.name.startswith("prod")]
    return next(iter(named or others), Environment(name="prod", platform=PlatformName.KUBERNETES))


def number(value: float) -> str:
    """A number for a person: three digits, with separators from a thousand on."""
    if value >= 1e6:
        return f"{value / 1e6:.3g} million"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
