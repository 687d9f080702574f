"""From the files of a tree to how its dependencies are installed; reads, never writes or runs."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from backendctl.errors import BackendctlError


class Language(StrEnum):
    """What the environment is an environment of."""

    PYTHON = "python"
    NODE = "node"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to install, as values. In a step, `$UV`, `$PYTHON` and `$ENV` stand for the installer,
    the environment's interpreter and the environment's folder."""

    language: Language
    source: str
    """The file that decided it, for a person."""
    steps: tuple[tuple[str, ...], ...]
    inputs: tuple[str, ...] = ()
    """Files whose contents decide what is installed; the environment is shared by their digest."""
    whole: bool = False
    """What is installed depends on the whole tree (it is built from it, or links into it): each
    code digest gets an environment of its own, and runs from the copy it was built in."""
    python: str = ""
    """Which Python is asked for: a version, or specifiers; empty when any will do."""
    generated: Mapping[str, str] = field(default_factory=dict)
    """Files to write into the environment's folder before the first step."""


REQUIREMENTS = (
    "requirements.txt",
    "requirements-prod.txt",
    "requirements-production.txt",
    "requirements/prod.txt",
    "requirements/production.txt",
    "requirements/base.txt",
)
"""The first of these that exists is installed."""

_PIP_INSTALL = ("$UV", "pip", "install", "--python", "$PYTHON", "--compile-bytecode")
_OTHER_NODE_LOCKS = {
    "yarn.lock": "yarn install --frozen-lockfile",
    "pnpm-lock.yaml": "pnpm install --frozen-lockfile",
    "bun.lock": "bun install --frozen-lockfile",
}
_NODE_COMMANDS = ("node", "npm", "npx", "tsx", "yarn", "pnpm", "bun")
_LIFECYCLE = ("preinstall", "install", "postinstall", "prepare")


def recognise(tree: Path, start: Sequence[str], install: Sequence[str]) -> Recipe | None:
    """How the tree's dependencies are installed; None when it has none.

    `install` (backend.toml's `service.install`) has the last word. Where a tree is both a Python
    and a Node project, the start command says which one runs. Raises BackendctlError
    `release.package` when a file cannot be read, or needs a tool that only `install` can name.
    """
    node = (tree / "package.json").is_file()
    python = _python_file(tree)
    starts_node = bool(start) and Path(start[0]).name in _NODE_COMMANDS
    if install:
        language = Language.NONE
        if python and not (node and starts_node):
            language = Language.PYTHON
        return Recipe(
            language,
            "service.install",
            (tuple(install),),
            whole=True,
            python=_wanted_python(tree) if language is Language.PYTHON else "",
        )
    if node and (starts_node or not python):
        return _node(tree)
    return _python(tree, python) if python else None


# --- Python -----------------------------------------------------------------------------------


def _python_file(tree: Path) -> str:
    """The file that says what a Python project needs, the most exact one first."""
    for name in ("uv.lock", "poetry.lock", *REQUIREMENTS, "pyproject.toml", "setup.py"):
        if (tree / name).is_file():
            return name
    return ""


def _python(tree: Path, name: str) -> Recipe | None:
    wanted = _wanted_python(tree)
    if name == "uv.lock":
        return _uv(tree, wanted)
    if name == "poetry.lock":
        return _poetry(tree, wanted)
    if name in REQUIREMENTS:
        inputs, local = _requirement_files(tree, name)
        step = (*_PIP_INSTALL, "-r", name)
        return Recipe(Language.PYTHON, name, (step,), inputs, local, wanted)
    project = _toml(tree / "pyproject.toml")
    if name == "setup.py" or "build-system" in project:
        step = (*_PIP_INSTALL, "--editable", ".")
        return Recipe(Language.PYTHON, name, (step,), whole=True, python=wanted)
    if "project" not in project:
        return None  # a pyproject.toml that only configures tools
    step = (*_PIP_INSTALL, "-r", name)
    return Recipe(Language.PYTHON, name, (step,), (name,), python=wanted)


def _uv(tree: Path, wanted: str) -> Recipe:
    project = _toml(tree / "pyproject.toml")
    lock = _toml(tree / "uv.lock")
    packaged = project.get("tool", {}).get("uv", {}).get("package", "build-system" in project)
    kinds = {kind for package in lock.get("package", ()) for kind in package.get("source", {})}
    local = bool(kinds & {"editable", "directory", "path"})
    step: tuple[str, ...] = ("$UV", "sync", "--frozen", "--no-dev", "--compile-bytecode")
    if packaged or local:
        return Recipe(Language.PYTHON, "uv.lock", (step,), whole=True, python=wanted)
    step = (*step, "--no-install-project")
    return Recipe(Language.PYTHON, "uv.lock", (step,), ("uv.lock",), python=wanted)


def _poetry(tree: Path, wanted: str) -> Recipe:
    """poetry.lock as constraints on what the project asks for: the same versions, without Poetry.

    The project itself is not installed; it runs from its folder, which is on the path.
    """
    lock = _toml(tree / "poetry.lock")
    project = _toml(tree / "pyproject.toml")
    versions = [
        f"{package['name']}=={package['version']}"
        for package in lock.get("package", ())
        if "source" not in package
    ]
    # A package that is locked at several versions, by marker, is left to the resolver.
    names = [line.partition("==")[0] for line in versions]
    pinned = [line for line in versions if names.count(line.partition("==")[0]) == 1]
    asked = list(project.get("project", {}).get("dependencies", ()))
    asked += _poetry_requirements(project.get("tool", {}).get("poetry", {}).get("dependencies", {}))
    files = {
        "requirements.txt": "\n".join(asked) + "\n",
        "constraints.txt": "\n".join(pinned) + "\n",
    }
    step = (
        *_PIP_INSTALL, "-r", "$ENV/requirements.txt", "-c", "$ENV/constraints.txt",
    )  # fmt: skip
    return Recipe(
        Language.PYTHON,
        "poetry.lock",
        (step,),
        ("poetry.lock", "pyproject.toml"),
        python=wanted,
        generated=files,
    )


def _poetry_requirements(dependencies: Mapping[str, Any]) -> Iterator[str]:
    """Names (and extras) of what `[tool.poetry.dependencies]` asks for; versions are the lock's."""
    for name, wanted in dependencies.items():
        if name.lower() == "python":
            continue
        details = wanted if isinstance(wanted, Mapping) else {}
        if details.get("optional"):
            continue
        if {"git", "path", "url"} & set(details):
            raise _unreadable(
                "poetry.lock",
                f"{name} does not come from a package index",
                'say how to install in backend.toml, for example: install = "poetry install"',
            )
        extras = f"[{','.join(details['extras'])}]" if details.get("extras") else ""
        marker = f" ; {details['markers']}" if details.get("markers") else ""
        yield f"{name}{extras}{marker}"


def _wanted_python(tree: Path) -> str:
    """`.python-version`, else `requires-python`, else nothing in particular."""
    version = tree / ".python-version"
    if version.is_file():
        for line in version.read_text().splitlines():
            if line.strip() and not line.startswith("#"):
                return line.strip()
    if (tree / "pyproject.toml").is_file():
        found = _toml(tree / "pyproject.toml").get("project", {}).get("requires-python", "")
        return str(found)
    return ""


def _requirement_files(tree: Path, first: str) -> tuple[tuple[str, ...], bool]:
    """The file and all it includes; and whether any of it installs from the tree itself."""
    found: list[str] = []
    waiting, local = [first], False
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if not (tree / name).is_file():
            raise _unreadable(first, f"it includes {name}, which is not there")
        found.append(name)
        for line in _logical_lines((tree / name).read_text(errors="replace")):
            included = re.match(r"(?:-r|-c|--requirement|--constraint)[ =]?\s*(\S+)", line)
            if included and "://" not in included[1]:
                waiting.append(str(Path(name).parent / included[1]))
            elif _is_local(line):
                local = True
    return tuple(sorted(found)), local


def _logical_lines(text: str) -> Iterator[str]:
    for line in text.replace("\\\n", " ").splitlines():
        bare = re.sub(r"(^|\s)#.*", "", line).strip()
        if bare:
            yield bare


def _is_local(line: str) -> bool:
    return bool(
        re.match(r"-e\b|--editable\b", line)
        or re.match(r"\.{1,2}(/|\[|$|\s)|file:", line)
        or re.search(r"@\s*(file:|\.{0,2}/)", line)
        or re.match(r"[^-\s]*\.(whl|tar\.gz|zip)(\s|$)", line)
    )


# --- Node -------------------------------------------------------------------------------------


def _node(tree: Path) -> Recipe:
    package = _json(tree / "package.json")
    locked = (tree / "package-lock.json").is_file()
    if not locked:
        for name, command in _OTHER_NODE_LOCKS.items():
            if (tree / name).is_file():
                raise _unreadable(
                    name,
                    "npm would install other versions than this lock file says",
                    f'say how to install in backend.toml, for example: install = "{command}"',
                )
    scripts = package.get("scripts", {})
    builds = "build" in scripts
    local = any(
        str(version).startswith(("file:", "link:", "."))
        for version in package.get("dependencies", {}).values()
    )
    install = ("npm", "ci" if locked else "install", "--no-audit", "--no-fund")
    # A project with a build step needs its development dependencies for it, as on other platforms.
    steps = (install, ("npm", "run", "build")) if builds else ((*install, "--omit=dev"),)
    whole = builds or local or "workspaces" in package or any(s in scripts for s in _LIFECYCLE)
    names = ("package.json", "package-lock.json", ".npmrc")
    inputs = tuple(name for name in names if (tree / name).is_file())
    source = "package-lock.json" if locked else "package.json"
    return Recipe(Language.NODE, source, steps, inputs, whole)


# --- reading ----------------------------------------------------------------------------------


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text()) if path.is_file() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _unreadable(path.name, str(error)) from error


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise _unreadable(path.name, str(error)) from error
    if not isinstance(found, dict):
        raise _unreadable(path.name, "it is no JSON object")
    return found


def _unreadable(name: str, cause: str, *todo: str) -> BackendctlError:
    return BackendctlError(
        "release.package",
        f"{name} does not say what to install",
        cause=cause,
        state="no release was made; what runs goes on running",
        next=todo,
    )
