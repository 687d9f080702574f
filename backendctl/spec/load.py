"""From `backend.toml` to a `Spec`, or to everything that is wrong with it at once."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backendctl.errors import BackendctlError
from backendctl.spec import positions
from backendctl.spec.completion import complete, states_a_peak
from backendctl.spec.contradiction import Contradiction
from backendctl.spec.contradictions import contradictions
from backendctl.spec.fields import FROM_FILE
from backendctl.spec.model import Spec
from backendctl.spec.positions import Positions, find_positions
from backendctl.spec.problems import Problem, dotted, problems_of, walk, written

FILE = "backend.toml"
REFERENCE = "backendctl schema keys"

Located = tuple[positions.Path, Problem]


def find_project(start: Path) -> Path:
    """The nearest folder, `start` or one above it, that holds a backend.toml.

    Raises BackendctlError `spec.missing`.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    raise _missing(start)


def _missing(start: Path) -> BackendctlError:
    return BackendctlError(
        "spec.missing",
        f"there is no {FILE} in {start} or in a folder above it",
        state="nothing was changed",
        next=(
            "backendctl init          # wrap the service that is in this folder",
            "backendctl new NAME      # begin a new service",
            "backendctl status --directory FOLDER",
            "BACKENDCTL_NAMESPACE=NAMESPACE backendctl status  # of an environment in a cluster",
        ),
    )


def load_spec(project: Path) -> Spec:
    """The promises of the project.

    Raises BackendctlError `spec.missing`, `spec.syntax`, `spec.invalid` or, when the only
    problems are promises that cannot hold together, `spec.contradiction`; `data["problems"]`
    lists all of them.
    """
    file = project / FILE
    try:
        raw = file.read_bytes()
    except FileNotFoundError as error:
        raise _missing(project) from error
    except OSError as error:
        raise BackendctlError(
            "spec.missing", f"{file} cannot be read", cause=error.strerror or str(error)
        ) from error
    return read_spec(raw, str(file))


def read_spec(raw: bytes, file: str) -> Spec:
    """The promises in the text of a file; `file` is how errors name it. Raises as `load_spec`."""
    text, document = parse(raw, file)
    where = find_positions(text)
    spec, problems = _validate(document, where)
    if spec is not None:
        found = _contradictions(spec, where)
        if found:
            raise _error("spec.contradiction", found, file)
        return spec
    found = [problem for _, problem in problems]
    found += _contradictions_of_the_rest(document, where, [path for path, _ in problems])
    raise _error("spec.invalid", found, file)


# --- syntax -----------------------------------------------------------------------------------


def _decode(raw: bytes, file: str) -> str:
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problem = Problem(line, "", "not UTF-8", f"byte 0x{raw[error.start]:02x}", "UTF-8 text")
        raise _error("spec.syntax", [problem], file) from error


def parse(raw: bytes, file: str) -> tuple[str, dict[str, Any]]:
    """The file's text and its values, whatever they are. Raises BackendctlError `spec.syntax`."""
    text = _decode(raw, file)
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _error("spec.syntax", [_syntax_problem(text, str(error))], file) from error


def _syntax_problem(text: str, said: str) -> Problem:
    message, _, place = said.rpartition(" (at ")
    at = re.match(r"line (\d+)", place)
    lines = text.splitlines() or [""]
    number = int(at[1]) if at else len(lines)
    line = lines[number - 1].strip() if number <= len(lines) else ""
    key = re.match(r"([\w.-]+)\s*[=:]", line)
    return Problem(number, key[1] if key else "", message, line, _syntax_hint(line, message))


def _syntax_hint(line: str, message: str) -> str:
    if re.match(r"[\w.-]+\s*=\s*[0-9][0-9.]*\s*[A-Za-z%/]", line):
        return 'a quantity with its unit in quotes, such as "300ms"'
    if re.match(r"[\w.-]+\s*=\s*[^\s\"'0-9\[{]", line) and "value" in message:
        return "text in quotes; true and false, numbers, [lists] and {tables} without"
    if re.match(r"[\w.-]+\s*:", line):
        return "key = value"
    if "twice" in message or "overwrite" in message:
        return "each key and each table once"
    return "TOML (toml.io): tables such as [service], and lines such as key = value"


# --- validation -------------------------------------------------------------------------------


def _validate(document: Mapping[str, Any], where: Positions) -> tuple[Spec | None, list[Located]]:
    whole = complete(document)
    problems = [*_without_a_peak(document, where), *_named_twice(document, where)]
    try:
        spec = Spec.model_validate(whole, context={FROM_FILE: True})
    except ValidationError as error:
        return None, problems + problems_of(error, whole, where)
    if problems:
        return None, problems
    spec._stated = frozenset(dotted(path) for path in walk(document))
    return spec, []


def _without_a_peak(document: Mapping[str, Any], where: Positions) -> Iterable[Located]:
    load = document.get("load")
    if isinstance(load, Mapping) and not states_a_peak(load) and not _misspelt_peak(load):
        path = ("load",)
        yield (
            path,
            Problem(
                where.line(path),
                "load",
                "the expected peak is missing",
                "",
                "peak_rps (requests per second) or peak_users (users at the same time)",
            ),
        )


def _misspelt_peak(load: Mapping[str, Any]) -> bool:
    """Whether a key that is not known was meant for the peak: that is said of the key itself."""
    return any(get_close_matches(key, ("peak_rps", "peak_users"), 1) for key in load)


def _named_twice(document: Mapping[str, Any], where: Positions) -> Iterable[Located]:
    """A `name` inside a table whose header already says it."""
    for table in ("environments", "integrations", "metrics", "notifications"):
        entries = document.get(table)
        for name, entry in entries.items() if isinstance(entries, Mapping) else ():
            if isinstance(entry, Mapping) and "name" in entry:
                path = (table, name, "name")
                message = f"the header [{table}.{name}] is the name already"
                found = written(entry["name"])
                yield path, Problem(where.line(path), dotted(path), message, found, "no name key")


# --- contradictions ---------------------------------------------------------------------------


def _contradictions(spec: Spec, where: Positions) -> list[Problem]:
    return [_located(found, spec, where) for found in contradictions(spec)]


def _located(found: Contradiction, spec: Spec, where: Positions) -> Problem:
    """Name the lines of all its sides."""
    first = found.keys[0]
    stated = [key for key in found.keys if _is_stated(key, spec)]
    others = [
        f"{key} on line {where.line(tuple(key.split('.')))}"
        if key in stated
        else f"{key} by default"
        for key in found.keys[1:]
    ]
    against = f" ({first} against {' and '.join(others)})" if others else ""
    leading = stated[0] if stated else first
    line = where.line(tuple(leading.split(".")))
    return Problem(line, first, found.message + against, "", found.accepted)


def _is_stated(key: str, spec: Spec) -> bool:
    return any(each == key or each.startswith(key + ".") for each in spec.stated)


def _contradictions_of_the_rest(
    document: Mapping[str, Any], where: Positions, broken: list[positions.Path]
) -> list[Problem]:
    """Contradictions among what is right, so that they are not found only at the next try.

    One that leans on a broken value, or on a key missing from a table in which something was
    not understood, is left out: it may be gone once that is mended.
    """
    rest = deepcopy(dict(document))
    for path in broken:
        _remove(rest, path)
    for table, needed in _NEEDED.items():
        held = rest.setdefault(table, {})
        for key, value in needed.items() if isinstance(held, dict) else ():
            held.setdefault(key, value)
    spec, problems = _validate(rest, where)
    if spec is None:
        return []
    doubtful = {dotted(path) for path in broken} | {dotted(p) for p, _ in problems}
    unclear = {dotted(path[:1]) for path in broken}
    return [
        _located(found, spec, where)
        for found in contradictions(spec)
        if not any(
            key in doubtful or (key.split(".")[0] in unclear and not _is_stated(key, spec))
            for key in found.keys
        )
    ]


_NEEDED: Mapping[str, Mapping[str, Any]] = {
    "service": {"name": "service", "start": "true"},
    "load": {"peak_rps": 1},
}


def _remove(document: dict[str, Any], path: positions.Path) -> None:
    for i, part in enumerate(path[:-1]):
        inside = document.get(str(part)) if isinstance(document, dict) else None
        if not isinstance(inside, dict):  # inside a list: the whole list goes
            document.pop(str(path[i]), None)
            return
        document = inside
    document.pop(str(path[-1]), None)


# --- the error --------------------------------------------------------------------------------


def _reference(problems: list[Problem]) -> str:
    """The command that shows the keys of the table that all problems are in, or all keys."""
    from backendctl.spec.reference import tables

    table, *others = {problem.key.split(".")[0] for problem in problems}
    return f"{REFERENCE} {table}" if not others and table in tables() else REFERENCE


def _error(code: str, problems: list[Problem], file: str) -> BackendctlError:
    ordered = sorted(problems)
    count = "a problem" if len(ordered) == 1 else f"{len(ordered)} problems"
    lines = "\n".join(problem.text(file) for problem in ordered)
    return BackendctlError(
        code,
        f"{FILE} has {count}:\n{lines}",
        state="nothing was changed",
        next=(f"{_reference(ordered)}    # every key, and what it accepts",),
        data={"problems": [problem.data(file) for problem in ordered]},
    )
