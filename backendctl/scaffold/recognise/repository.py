"""A read-only view of a repository's own text files."""

import ast
import functools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

SKIPPED = frozenset(
    {"node_modules", "venv", "env", "__pycache__", "dist", "build", "site-packages", "vendor"}
)
"""Folders that hold other people's code or built things. Hidden folders are skipped too."""
TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "spec", "examples", "docs"})
TEST_NAME = re.compile(r"test_|conftest\.|.*[._](test|spec)\.")
MOST_FILES = 20_000
MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Repository:
    """Files by their path in the repository, as text."""

    root: Path

    @functools.cached_property
    def paths(self) -> tuple[PurePosixPath, ...]:
        """The repository's own files, nearest to its root first."""
        found = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = sorted(f for f in folders if f not in SKIPPED and not f.startswith("."))
            base = PurePosixPath(Path(folder).relative_to(self.root).as_posix())
            found += [base / name for name in sorted(names)]
            if len(found) > MOST_FILES:
                break
        return tuple(sorted(found, key=lambda path: (len(path.parts), str(path))))

    def has(self, path: str) -> bool:
        """Whether there is a file of that path."""
        return (self.root / path).is_file()

    def text(self, path: str | PurePosixPath) -> str:
        """A file's text; empty if there is none, or none that is text of a reasonable size."""
        file = self.root / path
        try:
            return file.read_text() if file.stat().st_size <= MOST_BYTES else ""
        except (OSError, UnicodeDecodeError):
            return ""

    def sources(self, *suffixes: str) -> Iterator[PurePosixPath]:
        """Files of those suffixes that are not tests."""
        for path in self.paths:
            tests = TEST_FOLDERS & set(path.parts[:-1]) or TEST_NAME.match(path.name)
            if path.suffix in suffixes and not tests:
                yield path

    @functools.cached_property
    def modules(self) -> dict[PurePosixPath, ast.Module]:
        """Every Python source that parses."""
        found = {}
        for path in self.sources(".py"):
            try:
                found[path] = ast.parse(self.text(path))
            except (SyntaxError, ValueError):
                continue
        return found


def line_of(text: str, pattern: str) -> int:
    """The first line that holds a match, from 1; 0 if none does."""
    match = re.search(pattern, text, re.MULTILINE)
    return text.count("\n", 0, match.start()) + 1 if match else 0
