"""Changes to a TOML text that leave every other character of it as it was.

A change is cut into the text at the place the text's own positions give, and the result is then
proved to say what was asked for and nothing else.
"""

import tomllib
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import tomlkit

from backendctl.spec.positions import Path, Positions, find_positions

Value = str | int | float | bool | list[Any] | Mapping[str, Any]
Key = tuple[str, ...]


class SpliceError(ValueError):
    """A change that the text's structure does not allow."""


def with_value(text: str, key: Key, value: Value) -> str:
    """`text` with `key` set: in place if it is there, else at the end of its table.

    A table that is needed for it is added at the end. `text` must be valid TOML.
    """
    document = tomllib.loads(text)
    expected = _put(document, key, value)
    where = find_positions(text)
    if key in where.pairs:
        pair = where.pairs[key]
        return _proved(text[: pair.value] + write(value) + text[pair.end :], expected)
    outer = _pair_around(where, key)
    if outer is not None:
        return with_value(text, outer, _at(expected, outer))
    if isinstance(_at(document, key), dict):
        raise SpliceError(f"{'.'.join(key)} is a table; set the keys inside it")
    return _proved(_inserted(text, where, key, value), expected)


def without_value(text: str, key: Key) -> str:
    """`text` without a key or table, nor the tables that are left empty by that."""
    expected = tomllib.loads(text)
    if _at(expected, key) is None:
        return text
    while len(key) > 1 and len(_at(expected, key[:-1])) == 1:
        key = key[:-1]
    del (_at(expected, key[:-1]) if len(key) > 1 else expected)[key[-1]]
    where = find_positions(text)
    outer = _pair_around(where, key)
    if outer is not None:
        return with_value(text, outer, _at(expected, outer))
    spans = [
        _whole_lines(text, p.start, p.end) for path, p in where.pairs.items() if _in(path, key)
    ]
    spans += [_whole_lines(text, *at) for path, at in where.headers.items() if _in(path, key)]
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + text[end:]
    return _proved(text, expected)


def with_table(text: str, key: Key, values: Mapping[str, Value], comment: str = "") -> str:
    """`text` with a new table at its end, under a comment."""
    document = tomllib.loads(text)
    if _at(document, key) is not None:
        raise SpliceError(f"there is a table [{write_key(key)}] already")
    expected = _put(document, key, dict(values))
    lines = [f"# {line}" for line in comment.splitlines()]
    lines.append(f"[{write_key(key)}]")
    lines += [f"{write_key((name,))} = {write(value)}" for name, value in values.items()]
    return _proved(_with_section(text, lines), expected)


def write(value: Value) -> str:
    """A value as TOML; a table on one line."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{write_key((k,))} = {write(v)}" for k, v in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list):
        return f"[{', '.join(write(each) for each in value)}]"
    return str(tomlkit.item(value).as_string())


def write_key(key: Key) -> str:
    """A dotted key, its parts quoted where they have to be."""
    return ".".join(tomlkit.key(part).as_string() for part in key)


# --- where a new key goes ---------------------------------------------------------------------


def _inserted(text: str, where: Positions, key: Key, value: Value) -> str:
    table = _home(where, key)
    line = f"{write_key(key[len(table) :])} = {write(value)}"
    if not table and len(key) > 1:
        return _with_section(
            text, [f"[{write_key(key[:-1])}]", f"{write_key(key[-1:])} = {write(value)}"]
        )
    ends = [pair.end for pair in where.pairs.values() if pair.table == table]
    ends += [where.headers[table][1]] if table in where.headers else []
    if ends:
        at = _line_end(text, max(ends))
        return text[:at].rstrip("\n") + f"\n{line}\n" + text[at:]
    if not where.headers:
        return text + ("" if text.endswith("\n") or not text else "\n") + line + "\n"
    at = _line_start(text, min(start for start, _ in where.headers.values()))
    return text[:at] + line + "\n\n" + text[at:]


def _home(where: Positions, key: Key) -> Key:
    """The table to whose lines a new key belongs; () where it needs a section of its own.

    That is its own table, if it has a header; or the one under which its neighbours stand with
    dotted keys.
    """
    parent = key[:-1]
    if not parent or parent in where.headers:
        return parent
    neighbours = (pair.table for path, pair in where.pairs.items() if _in(path, parent))
    return next((tuple(map(str, t)) for t in neighbours if len(t) < len(parent)), ())


def _with_section(text: str, lines: list[str]) -> str:
    before = text.rstrip("\n") + "\n\n" if text.strip() else ""
    return before + "\n".join(lines) + "\n"


def _whole_lines(text: str, start: int, end: int) -> tuple[int, int]:
    return _line_start(text, start), _line_end(text, end)


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_end(text: str, at: int) -> int:
    """The offset after the line's end."""
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _pair_around(where: Positions, key: Key) -> Key | None:
    """The pair inside whose inline table the key lies."""
    return next((key[:n] for n in range(1, len(key)) if key[:n] in where.pairs), None)


# --- values -----------------------------------------------------------------------------------


def _in(path: Path, key: Key) -> bool:
    return path[: len(key)] == key


def _at(document: Any, key: Key) -> Any:
    """What is at `key`; None if nothing is."""
    for part in key:
        if not isinstance(document, dict) or part not in document:
            return None
        document = document[part]
    return document


def _put(document: Mapping[str, Any], key: Key, value: Value) -> dict[str, Any]:
    whole = deepcopy(dict(document))
    inside = whole
    for i, part in enumerate(key[:-1]):
        inside = inside.setdefault(part, {})
        if not isinstance(inside, dict):
            raise SpliceError(f"{'.'.join(key[: i + 1])} is a value, not a table")
    inside[key[-1]] = deepcopy(value)
    return whole


def _proved(text: str, expected: Mapping[str, Any]) -> str:
    said = tomllib.loads(text)
    if said != expected:
        raise RuntimeError(f"the edit would have said something else: {said} != {expected}")
    return text
