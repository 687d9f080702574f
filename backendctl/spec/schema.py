"""The JSON Schema of `backend.toml`, for editors; `reference.py` has the page for people.

Both come from the models: the docstring under a field is its description, its type says how it
is written.
"""

import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from backendctl.spec.fields import Form, unit_at
from backendctl.spec.model import Environment, Integration, Load, Notification, OwnMetric, Spec
from backendctl.spec.problems import in_header

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DERIVED: Mapping[type[BaseModel], tuple[str, ...]] = {
    Load: ("peak_rps", "peak_users", "sustained_users", "think_time"),
}
"""Keys that are held always and written only where they do not follow from others."""
TABLES_BY_NAME: Mapping[str, type[BaseModel]] = {
    "integrations": Integration,
    "notifications": Notification,
    "metrics": OwnMetric,
    "environments": Environment,
}


def spec_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of `backend.toml` as it is written."""
    schema = Spec.model_json_schema(by_alias=False)
    definitions = schema["$defs"]
    for model in _models(Spec):
        body = schema if model is Spec else definitions[model.__name__]
        _as_written(model, body)
    for name, model in TABLES_BY_NAME.items():
        schema["properties"][name] = {
            "type": "object",
            "additionalProperties": {"$ref": f"#/$defs/{model.__name__}"},
            "description": one_line(Spec.model_fields[name].description),
        }
    schema["required"] = [name for name in schema["required"] if name != "environments"]
    definitions["Load"]["anyOf"] = [{"required": ["peak_rps"]}, {"required": ["peak_users"]}]
    return {"$schema": DIALECT, **schema, "title": "backend.toml"}


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for inside in _parts(field.annotation):
            if isinstance(inside, type) and issubclass(inside, BaseModel):
                yield from _models(inside)


def _parts(kind: Any) -> Iterator[Any]:
    arguments = typing.get_args(kind)
    if not arguments:
        yield kind
    for argument in arguments:
        yield from _parts(argument)


def _as_written(model: type[BaseModel], body: dict[str, Any]) -> None:
    """Put defaults and descriptions as a person writes them; leave out what the header says."""
    properties, required = body["properties"], body.get("required", [])
    for name, field in model.model_fields.items():
        if in_header(field.json_schema_extra):
            del properties[name]
            required = [each for each in required if each != name]
            continue
        described = properties[name]
        described.pop("title", None)
        described.pop("default", None)
        _without_null(described)
        default = default_of(model, name, field)
        if default is not None and not isinstance(default, BaseModel):
            described["default"] = default
        if field.description:
            described["description"] = _description(field)
    body["required"] = [n for n in required if n not in DERIVED.get(model, ())]
    if model.__doc__:
        body["description"] = one_line(model.__doc__)
    body.pop("title", None)


def _without_null(described: dict[str, Any]) -> None:
    """A key that may be absent is left out; TOML has no null."""
    left = [each for each in described.get("anyOf", []) if each != {"type": "null"}]
    if len(left) == 1:
        del described["anyOf"]
        described.update({**left[0], **described})
    elif left:
        described["anyOf"] = left


def default_of(model: type[BaseModel], name: str, field: FieldInfo) -> Any:
    """The default as it is written; None where there is none to write."""
    if field.is_required() or name in DERIVED.get(model, ()) or field.default is None:
        return None
    unit = unit_at(field)
    if unit is not None:
        return field.default if unit.plain and unit.whole else unit.render(field.default)
    if isinstance(field.default, Enum):
        return field.default.value
    if isinstance(field.default, tuple | frozenset):
        return [each.value if isinstance(each, Enum) else each for each in field.default] or None
    return field.default if isinstance(field.default, str | bool | int | float) else None


def _description(field: FieldInfo) -> str:
    accepted = _accepted(field)
    return one_line(field.description) + (f" Written as {accepted}." if accepted else "")


def _accepted(field: FieldInfo) -> str:
    unit = unit_at(field)
    if unit is not None:
        return unit.accepted
    return next((m.accepted for m in field.metadata if isinstance(m, Form)), "")


def one_line(text: str | None) -> str:
    return " ".join((text or "").split())
