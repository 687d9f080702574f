"""The published descriptions of `backend.toml`: a JSON Schema for editors, a page for people.

Both come from the models: the docstring under a field is its description, its type says how it
is written.
"""

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from backendctl.spec.fields import Form, unit_at
from backendctl.spec.model import Environment, Integration, Load, Notification, Spec
from backendctl.spec.problems import in_header
from backendctl.spec.splice import write
from backendctl.spec.units import UNITS, Unit

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DERIVED: Mapping[type[BaseModel], tuple[str, ...]] = {
    Load: ("peak_rps", "peak_users", "sustained_users", "think_time"),
}
"""Keys that are held always and written only where they do not follow from others."""
TABLES_BY_NAME: Mapping[str, type[BaseModel]] = {
    "integrations": Integration,
    "notifications": Notification,
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
            "description": _one_line(Spec.model_fields[name].description),
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
        default = _default(model, name, field)
        if default is not None and not isinstance(default, BaseModel):
            described["default"] = default
        if field.description:
            described["description"] = _description(field)
    body["required"] = [n for n in required if n not in DERIVED.get(model, ())]
    if model.__doc__:
        body["description"] = _one_line(model.__doc__)
    body.pop("title", None)


def _without_null(described: dict[str, Any]) -> None:
    """A key that may be absent is left out; TOML has no null."""
    left = [each for each in described.get("anyOf", []) if each != {"type": "null"}]
    if len(left) == 1:
        del described["anyOf"]
        described.update({**left[0], **described})
    elif left:
        described["anyOf"] = left


def _default(model: type[BaseModel], name: str, field: FieldInfo) -> Any:
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
    return _one_line(field.description) + (f" Written as {accepted}." if accepted else "")


def _accepted(field: FieldInfo) -> str:
    unit = unit_at(field)
    if unit is not None:
        return unit.accepted
    return next((m.accepted for m in field.metadata if isinstance(m, Form)), "")


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


# --- the page ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    key: str
    kind: str
    default: str
    example: str
    meaning: str


_INTRODUCTION = """\
# backend.toml

What a service promises. Everything else is derived from it; most keys can be left out. This page
is generated from the same definitions that read the file. For an editor, write the JSON Schema
with `backendctl schema spec > backend.schema.json`, and put this on the first line:

```toml
#:schema ./backend.schema.json
```

The smallest file:

```toml
[service]
name = "shop"
start = "uvicorn app.main:app --host 127.0.0.1 --port $PORT"

[load]
peak_rps = 50
```
"""


def reference_markdown() -> str:
    """The reference page of `backend.toml`, generated from the models."""
    sections = [_INTRODUCTION, _units_section()]
    top = [
        _row(Spec, name, field)
        for name, field in Spec.model_fields.items()
        if not _table(field) and name not in TABLES_BY_NAME
    ]
    sections.append("## Above the first table\n\n" + _rows(top))
    for name, field in Spec.model_fields.items():
        model = TABLES_BY_NAME.get(name) or _table(field)
        if model is not None:
            header = f"{name}.NAME" if name in TABLES_BY_NAME else name
            about = _one_line(field.description) or _one_line(model.__doc__)
            sections.append(f"## [{header}]\n\n{about}\n\n" + _rows(list(_rows_of(model))))
    return "\n".join(sections)


def _units_section() -> str:
    lines = [f"- {unit.name.split(' ', 1)[1]}: {unit.accepted}" for unit in UNITS]
    return "## How quantities are written\n\n" + "\n".join(lines) + "\n"


def _rows_of(model: type[BaseModel], prefix: str = "") -> Iterator[_Row]:
    for name, field in model.model_fields.items():
        inside = _table(field)
        if inside is not None:
            yield from _rows_of(inside, f"{prefix}{name}.")
        elif not in_header(field.json_schema_extra):
            yield _row(model, name, field, prefix)


def _row(model: type[BaseModel], name: str, field: FieldInfo, prefix: str = "") -> _Row:
    required = field.is_required() and name not in DERIVED.get(model, ())
    default = _default(model, name, field)
    shown = "required" if required else "" if default in (None, "") else f"`{write(default)}`"
    example = f"`{write(field.examples[0])}`" if field.examples else ""
    return _Row(f"{prefix}{name}", _kind(field), shown, example, _one_line(field.description))


def _rows(rows: list[_Row]) -> str:
    head = "| key | kind | default | example | meaning |\n|---|---|---|---|---|\n"
    return head + "".join(
        f"| `{r.key}` | {r.kind} | {r.default} | {r.example} | {r.meaning} |\n" for r in rows
    )


def _table(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _kind(field: FieldInfo) -> str:
    unit: Unit | None = unit_at(field)
    if unit is not None:
        return unit.name.split(" ", 1)[1]
    kind = _without_none(field.annotation)
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return "one of " + ", ".join(f"`{v}`" for v in typing.get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(f"`{member.value}`" for member in kind)
    if any(type(m).__name__ == "BeforeValidator" for m in field.metadata):
        return "command"
    if origin in (tuple, frozenset):
        inside = next(iter(typing.get_args(kind)))
        if isinstance(inside, type) and issubclass(inside, Enum):
            return "list of " + ", ".join(f"`{member.value}`" for member in inside)
        return "list"
    if origin is not None:
        return "table"
    return {str: "text", bool: "true or false", float: "number", int: "whole number"}[kind]


def _without_none(kind: Any) -> Any:
    while typing.get_origin(kind) in (typing.Annotated, types.UnionType, typing.Union):
        kind = next(a for a in typing.get_args(kind) if a is not type(None))
    return kind
