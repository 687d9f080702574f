"""What is wrong in a `backend.toml`: where, what was found, and what is accepted."""

import difflib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from backendctl.spec.fields import unit_at
from backendctl.spec.model import Spec
from backendctl.spec.positions import Path, Positions


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to mend."""

    line: int
    key: str
    """Dotted; "" for the file as a whole."""
    message: str
    found: str
    """As written in the file; "" where nothing was."""
    accepted: str

    def text(self, file: str) -> str:
        """One line for a person, beginning with a place that editors and terminals can open."""
        place = f"{file}:{self.line}: " + (f"{self.key}: " if self.key else "")
        found = f", found {self.found}" if self.found else ""
        accepted = f"; accepted: {self.accepted}" if self.accepted else ""
        return f"{place}{self.message}{found}{accepted}"

    def data(self, file: str) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"file": file, **asdict(self)}


def problems_of(
    error: ValidationError, document: Mapping[str, Any], where: Positions
) -> list[tuple[Path, Problem]]:
    """Everything the models refused, each with its path in the document."""
    return [
        _problem(details, document, where)
        for details in error.errors()
        if not _follows(details, document)
    ]


def _follows(details: ErrorDetails, document: Mapping[str, Any]) -> bool:
    """Whether it only follows from another: a list seems short when its values are refused."""
    if details["type"] != "too_short":
        return False
    found = _lookup(document, _document_path(details["loc"], document))
    return isinstance(found, list) and len(found) >= details["ctx"]["min_length"]


def dotted(path: Path) -> str:
    """A path as a person names it: `environments.prod.port`, `rollout.steps[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def written(value: object) -> str:
    """A value as TOML writes it, cut short."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, str):
        text = f'"{value}"'
    elif isinstance(value, Mapping):
        text = "a table"
    elif isinstance(value, list):
        text = f"[{', '.join(written(v) for v in value)}]"
    else:
        text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def did_you_mean(word: object, known: Mapping[str, Any] | list[str]) -> str:
    """The nearest accepted word as a question, or nothing."""
    near = difflib.get_close_matches(str(word).lower(), list(known), n=1, cutoff=0.5)
    return f'; did you mean "{near[0]}"?' if near else ""


def _problem(
    details: ErrorDetails, document: Mapping[str, Any], where: Positions
) -> tuple[Path, Problem]:
    path = _document_path(details["loc"], document)
    found = _lookup(document, path)
    shown = "" if found is _NOTHING else written(found)
    message, accepted = _words(details, path, found)
    return path, Problem(where.line(path), dotted(path), message, shown, accepted)


def _document_path(loc: tuple[int | str, ...], document: Mapping[str, Any]) -> Path:
    """Where in the document pydantic's location points: it also counts what is named there."""
    path: Path = ()
    for part in loc:
        inside = _lookup(document, path)
        if isinstance(part, int) and isinstance(inside, Mapping):
            path = (*path, list(inside)[part])
        elif part == "[key]":
            continue
        else:
            path = (*path, part)
    return path


_NOTHING = object()


def _lookup(document: object, path: Path) -> object:
    for part in path:
        is_element = isinstance(document, list) and part in range(len(document))
        if not is_element and not (isinstance(document, Mapping) and part in document):
            return _NOTHING
        document = document[part]  # type: ignore[index]
    return document


_EXPECTED = {
    "string_type": 'text in quotes, such as "..."',
    "bool_type": "true or false",
    "tuple_type": "a list in square brackets",
    "frozen_set_type": "a list in square brackets",
    "model_type": "a table",
    "mapping_type": "a table",
    "dict_type": "a table",
    "float_type": "a number such as 2.0",
    "int_type": "a whole number",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def _words(details: ErrorDetails, path: Path, found: object) -> tuple[str, str]:
    """What to say about one refusal: the message and what is accepted."""
    kind, context = details["type"], details.get("ctx", {})
    if kind == "refused":
        return str(context["message"]), str(context["accepted"])
    if kind == "extra_forbidden":
        known = keys_of(path[:-1])
        thing = "table" if isinstance(found, Mapping) else "key"
        hint = did_you_mean(path[-1], known)
        return f"unknown {thing}{hint}", ", ".join(known)
    if kind == "missing":
        return "missing", _meaning(path)
    if kind in ("enum", "literal_error"):
        known = _choices(path)
        return f"not one of its values{did_you_mean(found, known)}", ", ".join(known)
    if kind in _BOUNDS:
        key, word = _BOUNDS[kind]
        return "out of range", f"{word} {_bound(path, context[key])}"
    if kind == "too_short":
        return "an empty list", f"at least {context['min_length']} value"
    return "not of the kind that is needed", _EXPECTED.get(kind, details["msg"])


# --- what the models accept at a path ---------------------------------------------------------


def keys_of(path: Path) -> list[str]:
    """The keys a table accepts."""
    model = _annotation(path)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    return [name for name, f in model.model_fields.items() if not in_header(f.json_schema_extra)]


def in_header(extra: object) -> bool:
    """Whether a field is written as the last part of its table's header, not as a key."""
    return isinstance(extra, dict) and bool(extra.get("in_header"))


def _meaning(path: Path) -> str:
    inside = _annotation(path)
    if isinstance(inside, type) and issubclass(inside, BaseModel):
        needed = [name for name, field in inside.model_fields.items() if field.is_required()]
        return f"a table [{dotted(path)}] with {' and '.join(needed)}"
    return " ".join((_field(path).description or "").split())


def _bound(path: Path, value: float) -> str:
    unit = unit_at(_field(path)) if path else None
    return unit.render(value) if unit is not None else str(value)


def _field(path: Path) -> Any:
    while isinstance(path[-1], int):
        path = path[:-1]
    model = _annotation(path[:-1])
    return model.model_fields[str(path[-1])] if hasattr(model, "model_fields") else None


def _choices(path: Path) -> list[str]:
    annotation = _annotation(path)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(member.value) for member in annotation]
    return [str(value) for value in typing.get_args(annotation)]


def _annotation(path: Path) -> Any:
    """The type held at `path` in the document."""
    kind: Any = Spec
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = _bare(kind.model_fields[str(part)].annotation)
        else:
            kind = _bare(_inner(kind))
    return kind


def _inner(kind: Any) -> Any:
    """The type of a container's elements."""
    return next((a for a in reversed(typing.get_args(kind)) if a is not ...), str)


def _bare(kind: Any) -> Any:
    """A type without its annotations and without None."""
    while typing.get_origin(kind) in (typing.Annotated, types.UnionType, typing.Union):
        kind = next(a for a in typing.get_args(kind) if a is not type(None))
    return kind


def walk(document: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    """Every path of a document that holds a value."""
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from walk(value, (*path, key))
        else:
            yield (*path, key)
