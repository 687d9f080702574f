"""Which migrations a tree holds: the tool, and the graph of revisions, read from files alone."""

import ast
import configparser
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePath

from backendctl.migrations.revisions import Revision, Tool, ordered


@dataclass(frozen=True, slots=True)
class History:
    """All migrations of a tree, in the order in which they apply."""

    tool: Tool
    revisions: tuple[Revision, ...]


@dataclass(frozen=True, slots=True)
class _Files:
    """How a tool that has one file for each migration names them."""

    word: str
    """The program's name, as it stands in the command."""
    pattern: str
    """Of the path relative to the tree; group `version` is what the tool records."""


_FOLDER = r"(?:.*/)?migrations/"
_NAMES: Mapping[Tool, _Files] = {
    Tool.DBMATE: _Files("dbmate", _FOLDER + r"(?P<version>\d+)[^/]*\.sql"),
    Tool.FLYWAY: _Files("flyway", r"(?:.*/)?V(?P<version>\d[\d._]*?)__[^/]*\.sql"),
    Tool.GOOSE: _Files("goose", _FOLDER + r"0*(?P<version>\d+)_[^/]*\.(?:sql|go)"),
    Tool.KNEX: _Files("knex", _FOLDER + r"(?P<version>[^/]*\.(?:[cm]?js|ts))"),
    Tool.NODE_PG_MIGRATE: _Files(
        "node-pg-migrate", _FOLDER + r"(?P<version>[^/.][^/]*)\.(?:sql|[cm]?js|ts)"
    ),
    Tool.PRISMA: _Files("prisma", _FOLDER + r"(?P<version>\d[^/]*)/migration\.sql"),
    # Last: `migrate` is a word of other tools' commands too.
    Tool.GOLANG_MIGRATE: _Files("migrate", _FOLDER + r"0*(?P<version>\d+)_[^/]*\.up\.sql"),
}
_NOT_OURS = frozenset((".venv", "venv", "node_modules", ".git", ".tox", "site-packages"))


def read(tree: Path, migrate: Sequence[str]) -> History | None:
    """What `migrate`, the command that applies them, would find in `tree`.

    None where the command or the files are of no known kind: nothing can be said then. A file
    that cannot be read as a migration is passed over, as the tools do with helper modules.
    """
    words = _words(tree, migrate)
    if "alembic" in words:
        return _history(Tool.ALEMBIC, _alembic(tree, migrate))
    if "manage.py" in words and "migrate" in words:
        return _history(Tool.DJANGO, _django(tree))
    for tool, files in _NAMES.items():
        if files.word in words:
            return _history(tool, _by_name(tree, files))
    return None


def _history(tool: Tool, found: Iterator[Revision]) -> History | None:
    try:
        revisions = ordered(found)
    except ValueError:
        return None  # the tool itself will refuse it, with its own words
    return History(tool, revisions) if revisions else None


def _words(tree: Path, argv: Sequence[str]) -> list[str]:
    """The names in a command, with an npm script put in the place of its name."""
    words = [PurePath(word).name for word in argv]
    if words[:1] == ["npm"] or words[:1] == ["yarn"] or words[:1] == ["pnpm"]:
        package = _text(tree / "package.json")
        scripts = json.loads(package).get("scripts", {}) if package else {}
        for word in argv[1:]:
            if script := scripts.get(word):
                words += [PurePath(each).name for each in shlex.split(script)]
    return words


# --- tools with one file for each migration, in the order of its name ------------------------


def _by_name(tree: Path, files: _Files) -> Iterator[Revision]:
    found: dict[str, str] = {}
    for file in _files(tree, "*"):
        if named := re.fullmatch(files.pattern, file):
            found.setdefault(
                named["version"].replace("_", ".") if files.word == "flyway" else named["version"],
                file,
            )
    before: tuple[str, ...] = ()
    for version in sorted(found, key=_natural):
        yield Revision(version, before, found[version])
        before = (version,)


def _natural(version: str) -> tuple[tuple[int, str], ...]:
    """Numbers by value: 10 comes after 9."""
    parts = re.findall(r"\d+|\D+", version)
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)


# --- Alembic ----------------------------------------------------------------------------------


def _alembic(tree: Path, migrate: Sequence[str]) -> Iterator[Revision]:
    for folder in _versions(tree, migrate):
        for path in sorted(folder.glob("*.py")):
            values = _assigned(path)
            name = values.get("revision")
            if isinstance(name, str):
                parents = (*_names(values.get("down_revision")), *_names(values.get("depends_on")))
                yield Revision(name, parents, str(path.relative_to(tree)))


def _versions(tree: Path, migrate: Sequence[str]) -> list[Path]:
    """The folders that hold the migrations, as alembic.ini says."""
    given = [b for a, b in pairwise(migrate) if a in ("-c", "--config")]
    ini = tree / (given[0] if given else "alembic.ini")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(_text(ini) or "")
    except configparser.Error:
        return []
    settings = parser["alembic"] if parser.has_section("alembic") else {}
    location = settings.get("script_location", "")
    if not location:
        found = re.search(
            r'^script_location\s*=\s*"([^"]+)"', _text(tree / "pyproject.toml") or "", re.MULTILINE
        )
        location = found[1] if found else "alembic"
    if package := re.fullmatch(r"([\w.]+):([\w./-]+)", location):
        location = f"{package[1].replace('.', '/')}/{package[2]}"
    listed = settings.get("version_locations", "") or f"{location}/versions"
    here = [
        each.replace("%(here)s", ".").replace("%%", "%") for each in re.split(r"[\s,;:]+", listed)
    ]
    folders = [(ini.parent if "%(here)s" in listed else tree) / each for each in here if each]
    return [each for each in folders if each.is_dir()]


def _assigned(path: Path) -> dict[str, object]:
    """The constants that a module assigns at its top."""
    values: dict[str, object] = {}
    for node in _module(path):
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.AnnAssign):
            target = node.target
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name):
            values[target.id] = _literal(node.value)
    return values


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, tuple | list | set):
        return tuple(each for each in value if isinstance(each, str))
    return ()


# --- Django -----------------------------------------------------------------------------------


def _django(tree: Path) -> Iterator[Revision]:
    """Of the project's own apps; those of installed packages come with their versions."""
    for file in _files(tree, "*.py"):
        path = tree / file
        if path.parent.name != "migrations" or path.name == "__init__.py":
            continue
        for node in _module(path):
            if isinstance(node, ast.ClassDef) and node.name == "Migration":
                app = _label(path.parent.parent)
                yield Revision(f"{app}.{path.stem}", _dependencies(node), file)


def _label(app: Path) -> str:
    stated = re.search(r"^\s+label\s*=\s*[\"'](\w+)", _text(app / "apps.py") or "", re.MULTILINE)
    return stated[1] if stated else app.name


def _dependencies(migration: ast.ClassDef) -> tuple[str, ...]:
    found = []
    for node in migration.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.List | ast.Tuple):
            continue
        if [getattr(target, "id", "") for target in node.targets] == ["dependencies"]:
            for each in node.value.elts:
                match _literal(each):
                    case (str(app), str(name)):
                        found.append(f"{app}.{name}")
    return tuple(found)


# --- files ------------------------------------------------------------------------------------


def _files(tree: Path, pattern: str) -> list[str]:
    found = (path.relative_to(tree) for path in tree.rglob(pattern) if path.is_file())
    return sorted(str(path) for path in found if not _NOT_OURS.intersection(path.parts))


def _module(path: Path) -> list[ast.stmt]:
    try:
        return ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError):
        return []


def _literal(node: ast.expr | None) -> object:
    try:
        return ast.literal_eval(node) if node is not None else None
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
