"""What one stack tells the next: outputs, some secret, some not known yet."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backendctl.provision.changes import MASKED, UNKNOWN, WRAPPED
from backendctl.provision.events import STACK_TYPE

if TYPE_CHECKING:
    import pulumi


@dataclass(frozen=True, slots=True)
class Value:
    """One output of a stack."""

    value: Any = field(default=None, repr=False)
    secret: bool = False
    known: bool = True


Outputs = Mapping[str, Value]


def present(deployment: Mapping[str, Any]) -> Outputs:
    """What a state, exported with its secrets, says that the stack exports."""
    for each in deployment.get("resources") or ():
        if each["type"] == STACK_TYPE:
            return {name: _read(value) for name, value in (each.get("outputs") or {}).items()}
    return {}


def _read(value: Any) -> Value:
    inside: list[Any] = []
    opened = opened_secrets(value, inside)
    return Value(opened, secret=bool(inside))


def opened_secrets(value: Any, found: list[Any]) -> Any:
    """The value without the wrapping of its secrets, each of which is added to `found`."""
    if isinstance(value, Mapping):
        if value.get(WRAPPED) is not None and "plaintext" in value:
            plain = json.loads(value["plaintext"])
            found.append(plain)
            return plain
        return {key: opened_secrets(each, found) for key, each in value.items()}
    if isinstance(value, list):
        return [opened_secrets(each, found) for each in value]
    return value


def previewed(masked: Mapping[str, Any], present: Outputs) -> Outputs:
    """The outputs a stack will have, from a preview in which secrets are masked.

    A secret keeps its present value; one that is not there yet is unknown.
    """
    found: dict[str, Value] = {}
    for name, value in masked.items():
        if value == MASKED:
            now = present.get(name)
            found[name] = now if now is not None and now.secret else Value(None, True, False)
        elif _holds(value, UNKNOWN):
            found[name] = Value(known=False)
        elif _holds(value, MASKED):
            found[name] = present.get(name, Value(None, True, False))
        else:
            found[name] = Value(value)
    return found


def _holds(value: Any, what: str) -> bool:
    if isinstance(value, Mapping):
        return any(_holds(each, what) for each in value.values())
    if isinstance(value, list):
        return any(_holds(each, what) for each in value)
    return bool(value == what)


def as_outputs(values: Outputs) -> "Mapping[str, pulumi.Output[Any]]":
    """For a program; must be called where the program runs."""
    return {name: _as_output(value) for name, value in values.items()}


def _as_output(value: Value) -> "pulumi.Output[Any]":
    import asyncio

    import pulumi

    if value.known:
        made = pulumi.Output.from_input(value.value)
        return pulumi.Output.secret(made) if value.secret else made

    def settled(result: Any) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = asyncio.get_event_loop().create_future()
        future.set_result(result)
        return future

    return pulumi.Output(settled(set()), settled(None), settled(False), settled(value.secret))
