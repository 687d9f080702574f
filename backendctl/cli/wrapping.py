"""Long lines on a narrow terminal end between words; where nobody looks on, they stay whole."""

import os
import re
import textwrap

from backendctl.cli.outlet import Outlet

_TO_TYPE = re.compile(r"\s*(next:)?\s*backendctl ")
"""A command to type stays in one piece, for whoever copies it."""


def columns(outlet: Outlet) -> int | None:
    """The width of the terminal that is written to; None if it is none, or does not say."""
    if not (outlet.heard and outlet.isatty()):
        return None
    try:
        return os.get_terminal_size(outlet.fileno()).columns or None
    except (OSError, ValueError):
        return None


def fitted(text: str, width: int | None) -> str:
    """The text with its long lines broken at spaces, what follows indented further."""
    if width is None:
        return text
    return "\n".join(part for line in text.split("\n") for part in _broken(line, width))


def _broken(line: str, width: int) -> list[str]:
    if len(line) <= width or _TO_TYPE.match(line):
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=f"{indent}    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
