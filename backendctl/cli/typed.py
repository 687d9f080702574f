"""The command line as it was typed, known without parsing it, and the one to type next."""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

GROUPS = ("check", "infra", "rollout", "loadtest", "secrets")
WITHOUT_ENVIRONMENT = ("new", "init", "advise", "demo", "schema")
"""Commands that an environment's name says nothing to."""


def spoken_name() -> str:
    """The command as typed, without its options: `rollout status`."""
    words: list[str] = []
    for word in sys.argv[1:]:
        if not re.fullmatch(r"[a-z][a-z-]*", word):
            break
        words.append(word)
    return " ".join(words[:2]) if words[:1] and words[0] in GROUPS else " ".join(words[:1])


def requested_output() -> str:
    """The value given for --output: it must be known also when parsing itself fails."""
    words = sys.argv[1:]
    found = os.environ.get("BACKENDCTL_OUTPUT", "")
    for i, word in enumerate(words):
        if word == "--":
            break
        if word in ("--output", "-o") and i + 1 < len(words):
            found = words[i + 1]
        elif word.startswith("--output="):
            found = word.partition("=")[2]
        elif re.fullmatch(r"-o(json|jsonl|text)", word):
            found = word[2:]
    return found


def completed(
    lines: Sequence[str], environment: str | None = None, directory: Path | None = None
) -> tuple[str, ...]:
    """What to type next, so that it can be pasted as it stands.

    An option alone is added to the command that was typed. One of our commands speaks of the
    environment and the folder that the typed one named.
    """
    return tuple(_completed(line, environment, directory) for line in lines)


def _completed(line: str, environment: str | None, directory: Path | None) -> str:
    if line.startswith("--"):
        return _with_option(line)
    own = re.match(r"backendctl ([a-z]+)(?: [a-z][a-z_-]*)*", line)
    if own is None:
        return line
    options = ""
    if environment is not None and "--env" not in line and own[1] not in WITHOUT_ENVIRONMENT:
        options += f" --env {shlex.quote(environment)}"
    if directory is not None and "--directory" not in line:
        options += f" --directory {shlex.quote(str(directory))}"
    return line[: own.end()] + options + line[own.end() :]


def _with_option(option: str) -> str:
    """The command that was typed with one more option, before a `--` if it has one.

    An option with a value takes the place of the same option with another.
    """
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    rest = f" {shlex.join(words[end:])}" if words[end:] else ""
    name, _, value = option.partition(" ")
    kept = _without_option(words[:end], name) if value else words[:end]
    return f"backendctl {shlex.join(kept)} {option}{rest}"


def _without_option(words: Sequence[str], name: str) -> list[str]:
    """The words without `name VALUE` and `name=VALUE`."""
    return [
        word
        for before, word in zip(("", *words), words, strict=False)
        if name not in (word, before) and not word.startswith(f"{name}=")
    ]
