"""What one release changes in the service, and what is true of it."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

SERVICE = Path(__file__).with_name("service")
STATE = ".backendctl"
"""Where backendctl keeps its own: never touched."""


@dataclass(frozen=True)
class Edit:
    """One replacement in one file of the service."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Change:
    """A release, made as an engineer would: nothing in it tells that it is good or bad."""

    name: str
    good: bool
    what: str
    """In words, for the table."""
    edits: tuple[Edit, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    """New files, by path."""
    blind: str = ""
    """Why backendctl cannot know that it is bad; empty where it should."""
    reader: bool = False
    """Whether a long report reads the orders in one transaction while it is deployed."""


class EditError(Exception):
    """An edit does not fit the service: the service changed and the release did not."""


def write(change: Change | None, project: Path) -> None:
    """Make the project's working tree the service with the change; without one, the service."""
    project.mkdir(exist_ok=True)
    for each in project.iterdir():
        if each.name != STATE:
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    shutil.copytree(
        SERVICE, project, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    if change is None:
        return
    named = Edit("app/main.py", 'VERSION = "base"', f'VERSION = "{change.name}"')
    for edit in (named, *change.edits):
        path = project / edit.path
        text = path.read_text()
        if text.count(edit.old) != 1:
            raise EditError(
                f"{change.name}: {edit.path} has {text.count(edit.old)} times {edit.old!r}"
            )
        path.write_text(text.replace(edit.old, edit.new))
    for name, text in change.files.items():
        (project / name).write_text(text)
