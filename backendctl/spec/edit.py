"""Changes to `backend.toml` that keep its comments, order and formatting.

The result is validated as a whole before it takes the file's place, in one step: after a crash
the file is either the old one or the new one.
"""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.filesystem import atomic_write
from backendctl.spec.load import FILE, find_project, parse, read_spec
from backendctl.spec.model import Spec
from backendctl.spec.positions import find_positions
from backendctl.spec.splice import Key, SpliceError, Value, with_table, with_value, without_value


def key_of(text: str) -> Key:
    """A dotted key as typed, `environments.prod.port`; parts may be quoted as in TOML.

    Raises BackendctlError `usage`.
    """
    line = f"{text} = 0"
    try:
        tomllib.loads(line)
        pairs = find_positions(line).pairs
    except tomllib.TOMLDecodeError:
        pairs = {}
    # The text is a key only if what follows it is the value of the only pair there is.
    if [pair.value for pair in pairs.values()] != [len(line) - 1]:
        raise BackendctlError(
            "usage",
            f"{text!r} is not a key",
            cause="accepted: names with dots between them, such as slo.p95",
        )
    (key,) = pairs
    return tuple(str(part) for part in key)


def set_value(project: Path, key: str, value: Value) -> Spec:
    """Write one value, in place of the one there or as a new key at the end of its table.

    Tables that are needed for it are added. Raises `spec.*` if the result is not valid; the file
    is unchanged then.
    """
    return _change(project, lambda text: with_value(text, key_of(key), value))


def unset_value(project: Path, key: str) -> Spec:
    """Take a key or table out; one that is not there is no error. Raises as `set_value`."""
    return _change(project, lambda text: without_value(text, key_of(key)))


def add_table(project: Path, key: str, values: Mapping[str, Value], comment: str = "") -> Spec:
    """Add a table such as `environments.prod` at the end, under a comment.

    Raises `usage` if it is there already, and as `set_value`.
    """
    return _change(project, lambda text: with_table(text, key_of(key), values, comment))


# --- the file ---------------------------------------------------------------------------------


def _change(project: Path, change: Callable[[str], str]) -> Spec:
    file = (find_project(project) / FILE).resolve()
    raw = file.read_bytes()
    parse(raw, str(file))
    before = raw.decode("utf-8-sig")
    try:
        after = change(before)
    except SpliceError as error:
        raise BackendctlError("usage", f"{FILE}: {error}", state="nothing was changed") from error
    spec = read_spec(after.encode(), str(file))
    if after != before:
        replace_file(file, after)
    return spec


def replace_file(file: Path, text: str) -> None:
    """Put `text` in the file's place in one step, durable on return, with the file's own mode.

    Raises BackendctlError `platform.permission`, `platform.disk-full`; the file is unchanged then.
    """
    atomic_write(file, text.encode(), file.stat().st_mode & 0o777)
