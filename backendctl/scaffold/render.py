"""Answers and a template to files. Pure, but for reading the template."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from backendctl.scaffold.questions import NEW_QUESTIONS, Answers
from backendctl.shipped import shipped

TEMPLATE = "service"
TEMPLATE_VERSION = 1
"""Raised with every change that a generated repository could want to have merged in."""

Files = Mapping[PurePosixPath, bytes]


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a template makes of a set of answers."""

    files: Files
    version: int


def render_service(answers: Answers) -> Rendered:
    """The generated repository, without the record of how it was made."""
    root = shipped("templates") / TEMPLATE
    context = _context(answers)
    files = {}
    for source in sorted(root.rglob("*")):
        if source.is_dir() or "__pycache__" in source.parts:
            continue
        target = _target(source.relative_to(root), str(answers["resource"]))
        if source.suffix == ".jinja":
            name = f"{TEMPLATE}/{source.relative_to(root).as_posix()}"
            files[target] = _environment().get_template(name).render(context).encode()
        else:
            files[target] = source.read_bytes()
    return Rendered(files, TEMPLATE_VERSION)


def render_text(template: str, name: str, context: Mapping[str, Any]) -> str:
    """One file of a template that is no repository of its own."""
    return str(_environment().get_template(f"{template}/{name}.jinja").render(context))


def _target(source: Path, plural: str) -> PurePosixPath:
    """`dot_x` becomes `.x` (or it would act in our own repository); `.jinja` goes."""
    parts = [
        f".{part.removeprefix('dot_')}" if part.startswith("dot_") else part
        for part in source.parts
    ]
    path = PurePosixPath(*parts)
    name = path.name.removesuffix(".jinja").replace("__plural__", plural)
    return path.with_name(name) if path.name != name else path


def _context(answers: Answers) -> dict[str, Any]:
    plural, singular = str(answers["resource"]), str(answers["singular"])
    typed = {q.key: q.show(answers[q.key]) for q in NEW_QUESTIONS if q.key in answers}
    return {
        **typed,
        "plural": plural,
        "singular": singular,
        "Singular": "".join(part.capitalize() for part in singular.split("_")),
        "plural_words": plural.replace("_", " "),
        "singular_words": singular.replace("_", " "),
        "path": plural.replace("_", "-"),
        "regimes": answers.get("compliance", ()),
    }


@functools.cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # noqa: S701 - it renders source code, not HTML
        loader=FileSystemLoader(shipped("templates")),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["sort_lines"] = _sort_lines
    environment.filters["toml"] = _toml_string
    return environment


def _toml_string(text: str) -> str:
    """A TOML string, in the quotes that need no escapes if there are such."""
    import tomlkit

    literal = text.isprintable() and "'" not in text and ('"' in text or "\\" in text)
    return tomlkit.string(text, literal=literal).as_string()


def _sort_lines(block: str) -> str:
    """Imports in the order that linters want, wherever the resource's name falls in it."""
    return "\n".join(sorted(block.splitlines(), key=_import_key)) + "\n"


def _import_key(line: str) -> tuple[str, ...]:
    return tuple(line.split(" import ")[0].removeprefix("from ").split("."))
