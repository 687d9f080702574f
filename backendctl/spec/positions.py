"""Where in a TOML text each key and table stands.

The text is known to be valid TOML (`tomllib` has read it), so this only has to find keys and to
step over values; it does not check anything.
"""

import re
import tomllib
from dataclasses import dataclass, field

Path = tuple[str | int, ...]
"""Keys from the outside in; numbers count the elements of an array."""

_KEY_PART = re.compile(
    r"""[ \t]*(?:(?P<bare>[A-Za-z0-9_-]+)|(?P<quoted>"(?:[^"\\\n]|\\.)*"|'[^'\n]*'))[ \t]*"""
)
_STRING = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*\'''', re.DOTALL
)
_SCALAR = re.compile(r"[^,\]}#\n]*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")


@dataclass(frozen=True, slots=True)
class Pair:
    """Offsets of one `key = value`."""

    start: int
    value: int
    end: int
    table: Path
    """The table under whose header it stands."""


@dataclass(slots=True)
class Positions:
    """Lines, counted from 1, of every key, table and array element of one text."""

    lines: dict[Path, int] = field(default_factory=dict)
    pairs: dict[Path, Pair] = field(default_factory=dict)
    """Every pair that is not inside another one's value."""
    headers: dict[Path, tuple[int, int]] = field(default_factory=dict)
    """Offsets of every table's header, in the order of the text."""
    last: int = 1

    def line(self, path: Path) -> int:
        """The line of `path`, or of the nearest thing around it that is written; 1 if nothing."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return 1


def find_positions(text: str) -> Positions:
    """Where everything stands in `text`, which must be valid TOML."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found = Positions(last=text.count("\n", 0, max(0, len(text) - 1)) + 1)
        self.elements: dict[Path, int] = {}
        """Arrays of tables -> how many of their tables have begun."""
        self._counted_to = 0
        self._line = 1

    def scan(self) -> Positions:
        table: Path = ()
        while True:
            self._skip_blank()
            if self.at >= len(self.text):
                return self.found
            if self.text[self.at] == "[":
                table = self._header()
            else:
                start = self.at
                path, value = self._pair(table)
                self.found.pairs[path] = Pair(start, value, self.at, table)

    def _here(self) -> int:
        """The line of the present position; positions are asked for in rising order."""
        self._line += self.text.count("\n", self._counted_to, self.at)
        self._counted_to = self.at
        return self._line

    def _note(self, path: Path) -> None:
        for end in range(1, len(path) + 1):
            self.found.lines.setdefault(path[:end], self._here())

    def _skip_blank(self) -> None:
        self.at = self._end(_BLANK)

    def _end(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise ValueError(f"not valid TOML at offset {self.at}")
        return match.end()

    def _header(self) -> Path:
        start = self.at
        array = self.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        parts = self._key()
        self.at += 2 if array else 1
        path: Path = ()
        for i, part in enumerate(parts):
            path = (*path, part)
            if array and i == len(parts) - 1:
                self.elements[path] = self.elements.get(path, 0) + 1
                self._note(path)
            if path in self.elements:
                path = (*path, self.elements[path] - 1)
        # A table's own header is where it stands, even if a table inside it came first.
        self._note(path)
        self.found.lines[path] = self._here()
        self.found.headers[path] = (start, self.at)
        return path

    def _key(self) -> list[str]:
        parts = []
        while True:
            match = _KEY_PART.match(self.text, self.at)
            if match is None:
                raise ValueError(f"not valid TOML at offset {self.at}")
            quoted = match["quoted"]
            parts.append(match["bare"] if quoted is None else tomllib.loads(f"k={quoted}")["k"])
            self.at = match.end()
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def _pair(self, table: Path) -> tuple[Path, int]:
        """Step over a pair; its path, and the offset of its value."""
        start = self.at
        path = (*table, *self._key())
        end, self.at = self.at, start
        self._note(path)
        self.at = end + 1  # the "="
        self._skip_blank()
        value = self.at
        self._value(path)
        return path, value

    def _value(self, path: Path) -> None:
        self._skip_blank()
        first = self.text[self.at]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        elif first in "\"'":
            self.at = self._end(_STRING)
        else:
            end = self._end(_SCALAR)
            self.at += len(self.text[self.at : end].rstrip())

    def _array(self, path: Path) -> None:
        self.at += 1
        count = 0
        while True:
            self._skip_blank()
            if self.text[self.at] == "]":
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                continue
            element = (*path, count)
            self._note(element)
            self._value(element)
            count += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while True:
            self._skip_blank()
            if self.text[self.at] == "}":
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._pair(path)
