"""Answers given beforehand: a file, and `--set` on the command line."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backendctl.errors import BackendctlError


@dataclass(frozen=True, slots=True)
class Given:
    """Answers as written, and where."""

    values: Mapping[str, object] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)


def read_given(file: Path | None, settings: Sequence[str]) -> Given:
    """The file's answers, with those of `--set KEY=VALUE` before them.

    Raises `scaffold.answer` for a file that cannot be read or a setting that is not one.
    """
    values: dict[str, object] = {}
    where: dict[str, str] = {}
    if file is not None:
        text = _read(file)
        values |= _parse(file, text)
        where |= {key: _place(file, text, key) for key in values}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise BackendctlError(
                "scaffold.answer", f"--set {setting}: expected KEY=VALUE, such as p95=300ms"
            )
        values[key.strip()] = value.strip()
        where[key.strip()] = "--set"
    return Given(values, where)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BackendctlError("scaffold.answer", f"{file} cannot be read: {reason}") from error


def _parse(file: Path, text: str) -> dict[str, object]:
    """TOML, or JSON if it says so or looks so; the `[answers]` of a record if there are."""
    looks_like_json = file.suffix == ".json" or text.lstrip().startswith("{")
    try:
        body = json.loads(text) if looks_like_json else tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        kind = "JSON" if looks_like_json else "TOML"
        raise BackendctlError(
            "scaffold.answer", f"{file} is not valid {kind}", cause=str(error)
        ) from error
    if not isinstance(body, dict):
        raise BackendctlError("scaffold.answer", f"{file} holds no table of answers")
    answers = body.get("answers", body)
    return dict(answers) if isinstance(answers, dict) else body


def _place(file: Path, text: str, key: str) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf'[\s{{,]*"?{re.escape(key)}"?\s*[=:]', line):
            return f"{file.name}:{number}"
    return file.name
