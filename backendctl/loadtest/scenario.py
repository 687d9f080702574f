"""Which requests a load test sends, as plain data that travels to the workers as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

TOKEN_VARIABLE = "BACKENDCTL_LOADTEST_TOKEN_FILE"  # noqa: S105 - a name, not a token
"""Environment variable that names the 0600 file with the bearer token."""


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    where: str
    """path | query | header"""
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request."""

    method: str
    path: str
    """With {parameters}, as the OpenAPI document writes it."""
    weight: float
    expected: tuple[str, ...] = ("2XX", "3XX")
    """Statuses that are described: numbers, ranges such as 4XX, or `default`."""
    parameters: tuple[Parameter, ...] = ()
    body: Mapping[str, Any] | None = None
    """JSON Schema of the body."""
    media_type: str = ""
    secured: bool = False
    creates: str = ""
    """The collection this operation adds to: its own path, when its answer carries an id."""
    lists: str = ""
    """The collection whose ids this operation's answer shows."""
    uses: str = ""
    """The collection whose ids fill the path's parameters."""
    own_only: bool = False
    """Changes what it is given: only ever given what this test created."""
    consumes: bool = False
    """Afterwards the id is gone."""

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """All operations, and what they refer to."""

    operations: tuple[Operation, ...]
    components: Mapping[str, Any] = field(default_factory=dict)
    """The part of the OpenAPI document that schemas point into."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Operation -> why it is not sent."""
    source: str = ""
    """Where the operations come from, for a person."""

    def to_data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        operations = []
        for each in data["operations"]:
            parameters = tuple(Parameter(**p) for p in each["parameters"])
            fields = {**each, "parameters": parameters, "expected": tuple(each["expected"])}
            operations.append(Operation(**fields))
        rest = {k: v for k, v in data.items() if k != "operations"}
        return cls(operations=tuple(operations), **rest)


def plain_paths(paths: Sequence[str], source: str) -> Scenario:
    """GET on each path, all alike, for a service without an OpenAPI document."""
    unique = dict.fromkeys(paths)
    return Scenario(tuple(Operation("GET", path, 1.0) for path in unique), source=source)


def is_described(status: int, expected: Sequence[str]) -> bool:
    """Whether the document lists this status, by number or by range.

    `default` describes every error that is not listed otherwise (OpenAPI 3.1, 4.8.16).
    """
    return (
        str(status) in expected
        or f"{status // 100}XX" in expected
        or f"{status // 100}xx" in expected
        or "default" in expected
    )
