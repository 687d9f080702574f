"""What `backend.toml` may say, for people: a page, and the same for a terminal."""

import textwrap
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from backendctl.errors import BackendctlError
from backendctl.spec.fields import Written, unit_at
from backendctl.spec.model import Spec
from backendctl.spec.problems import did_you_mean, in_header
from backendctl.spec.schema import DERIVED, TABLES_BY_NAME, default_of, one_line
from backendctl.spec.splice import write
from backendctl.spec.units import UNITS, Unit

WIDTH = 80


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


@dataclass(frozen=True, slots=True)
class _Section:
    """One table of the file; the first has no name and holds what stands above all tables."""

    name: str
    header: str
    about: str
    rows: tuple[_Row, ...]


def reference_markdown() -> str:
    """The reference page of `backend.toml`, generated from the models."""
    parts = [_INTRODUCTION, _units_section()]
    for section in _sections():
        about = f"{section.about}\n\n" if section.about else ""
        parts.append(f"## {section.header}\n\n{about}{_rows(section.rows)}")
    return "\n".join(parts)


def reference_text(table: str = "") -> str:
    """The same for a terminal, 80 columns wide; of one table if it is named.

    Raises `usage` for a table that there is not.
    """
    sections = [s for s in _sections() if not table or s.name == table]
    if not sections:
        known = [s.name for s in _sections() if s.name]
        raise BackendctlError(
            "usage",
            f"backend.toml has no table [{table}]{did_you_mean(table, known)}",
            cause=f"accepted: {', '.join(known)}",
        )
    parts = []
    if not table:
        parts.append("How quantities are written")
        parts += [_wrapped(f"  {_bare_name(unit)}: {unit.accepted}") for unit in UNITS]
    for section in sections:
        about = f"  {section.about}" if section.about else ""
        parts += [f"\n{_wrapped(section.header + about)}", *map(_entry, section.rows)]
    return "\n".join(parts).lstrip("\n")


def tables() -> frozenset[str]:
    """Names of the tables of the file."""
    return frozenset(section.name for section in _sections() if section.name)


def _entry(row: _Row) -> str:
    """One key on a terminal."""
    said = row.default
    if row.default not in ("", "required"):
        said = f"default {row.default}"
    elif row.example:
        said = ", ".join(part for part in (row.default, f"such as {row.example}") if part)
    facts = "; ".join(part for part in (row.kind, said) if part)
    return "\n".join([_wrapped(f"  {row.key}  ({facts})"), _wrapped(f"      {row.meaning}")])


def _wrapped(text: str) -> str:
    """To 80 columns, later lines indented like the meaning of a key."""
    plain = text.replace("`", "")
    return textwrap.fill(
        plain, WIDTH, subsequent_indent=" " * 6, break_on_hyphens=False, break_long_words=False
    )


def _sections() -> Iterator[_Section]:
    above = tuple(
        _row(Spec, name, field)
        for name, field in Spec.model_fields.items()
        if not _table(field) and name not in TABLES_BY_NAME
    )
    yield _Section("", "Above the first table", "", above)
    for name, field in Spec.model_fields.items():
        model = TABLES_BY_NAME.get(name) or _table(field)
        if model is not None:
            header = f"[{name}.NAME]" if name in TABLES_BY_NAME else f"[{name}]"
            about = one_line(field.description) or one_line(model.__doc__)
            yield _Section(name, header, about, tuple(_rows_of(model)))


def _units_section() -> str:
    lines = [f"- {_bare_name(unit)}: {unit.accepted}" for unit in UNITS]
    return "## How quantities are written\n\n" + "\n".join(lines) + "\n"


def _bare_name(unit: Unit) -> str:
    """Without its article."""
    return unit.name.split(" ", 1)[1]


def _rows_of(model: type[BaseModel], prefix: str = "") -> Iterator[_Row]:
    for name, field in model.model_fields.items():
        inside = _table(field)
        if inside is not None:
            yield from _rows_of(inside, f"{prefix}{name}.")
        elif not in_header(field.json_schema_extra):
            yield _row(model, name, field, prefix)


def _row(model: type[BaseModel], name: str, field: FieldInfo, prefix: str = "") -> _Row:
    required = field.is_required() and name not in DERIVED.get(model, ())
    default = default_of(model, name, field)
    shown = "required" if required else "" if default in (None, "") else f"`{write(default)}`"
    example = f"`{write(field.examples[0])}`" if field.examples else ""
    return _Row(f"{prefix}{name}", _kind(field), shown, example, one_line(field.description))


def _rows(rows: tuple[_Row, ...]) -> str:
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
        return _bare_name(unit)
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
        unit = _unit_inside(inside)
        return f"list, each {unit.name}" if unit is not None else "list"
    if origin is not None:
        return "table"
    return {str: "text", bool: "true or false", float: "number", int: "whole number"}[kind]


def _unit_inside(kind: Any) -> Unit | None:
    """The unit of a container's elements, if they are quantities."""
    return next((m.unit for m in getattr(kind, "__metadata__", ()) if isinstance(m, Written)), None)


def _without_none(kind: Any) -> Any:
    while typing.get_origin(kind) in (typing.Annotated, types.UnionType, typing.Union):
        kind = next(a for a in typing.get_args(kind) if a is not type(None))
    return kind
