"""Small services as teams have them, not scaffolded: `init` and the rest are tried on them."""

import shutil
import tomllib
from pathlib import Path
from typing import Literal

HERE = Path(__file__).parent
Name = Literal["fastapi", "django", "express"]


def copy_app(name: Name, folder: Path) -> Path:
    """A copy of a sample service to work on, in `folder/name`."""
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    return Path(shutil.copytree(HERE / name, folder / name, ignore=ignored))


def edit(name: Name, copy: Path, kind: Literal["good", "bad"]) -> None:
    """Change the code as `edits.toml` says: for a harmless release, or for one that misbehaves."""
    change = tomllib.loads((HERE / "edits.toml").read_text())[name][kind]
    file = copy / change["file"]
    text = file.read_text()
    if text.count(change["find"]) != 1:
        raise ValueError(f"the {kind} edit of {name} does not fit {change['file']}")
    file.write_text(text.replace(change["find"], change["replace"]))
