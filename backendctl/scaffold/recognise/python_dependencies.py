"""What a Python repository says it depends on."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from backendctl.scaffold.recognise.facts import Found, Remark
from backendctl.scaffold.recognise.repository import Repository, line_of

POSTGRESQL = ("asyncpg", "psycopg", "psycopg2", "psycopg2-binary", "psycopg-binary", "pg8000",
              "aiopg", "psycopg-c")  # fmt: skip
CACHE = ("valkey", "redis", "django-redis", "django-valkey", "valkey-glide", "aioredis", "hiredis")
INSTALLED = (
    "uv.lock", "poetry.lock", "requirements.txt", "requirements-prod.txt",
    "requirements-production.txt", "requirements/prod.txt", "requirements/production.txt",
    "requirements/base.txt", "pyproject.toml", "setup.py",
)  # fmt: skip
"""Files at the root that the platforms install from without being told."""
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"


def dependencies(repository: Repository) -> Mapping[str, Found]:
    """Normalised names (PEP 503) to the requirement as written, direct ones first."""
    found: dict[str, Found] = {}
    for item in _all(repository):
        name = re.match(_NAME, item.value)
        if name:
            found.setdefault(re.sub(r"[-_.]+", "-", name.group()).lower(), item)
    return found


def first_of(known: Mapping[str, Found], names: tuple[str, ...], value: str) -> Found | None:
    """The first of `names` that is depended on, as the fact `value`."""
    for name in names:
        if name in known:
            where = known[name]
            return Found(value, where.file, where.line, f"{name} is a dependency")
    return None


def _all(repository: Repository) -> Iterator[Found]:
    for path in repository.paths:
        if len(path.parts) > 2:
            break
        name, file = path.name, str(path)
        if re.fullmatch(r"requirements.*\.(txt|in)", name) or path.parent.name == "requirements":
            if not re.search(r"dev|test|doc|lint", name):
                yield from _requirements(repository.text(path), file)
        elif name == "pyproject.toml" and len(path.parts) == 1:
            yield from _pyproject(repository.text(path), file)
        elif name == "Pipfile" and len(path.parts) == 1:
            yield from _pipfile(repository.text(path), file)


def _requirements(text: str, file: str) -> Iterator[Found]:
    for number, line in enumerate(text.splitlines(), 1):
        requirement = line.partition("#")[0].strip()
        if requirement and not requirement.startswith("-"):
            yield Found(requirement, file, number)


def _pyproject(text: str, file: str) -> Iterator[Found]:
    body = _toml(text)
    project = body.get("project", {})
    requirements = list(project.get("dependencies", ()))
    poetry = body.get("tool", {}).get("poetry", {}).get("dependencies", {})
    for name in (*requirements, *poetry):
        yield Found(str(name), file, line_of(text, rf"{re.escape(str(name))}"))


def _pipfile(text: str, file: str) -> Iterator[Found]:
    for name in _toml(text).get("packages", {}):
        yield Found(str(name), file, line_of(text, rf"^\"?{re.escape(str(name))}"))


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def project_name(repository: Repository) -> Found | None:
    """The name in pyproject.toml, of `[project]` or Poetry's own table."""
    text = repository.text("pyproject.toml")
    body = _toml(text)
    name = body.get("project", {}).get("name") or body.get("tool", {}).get("poetry", {}).get("name")
    if not isinstance(name, str):
        return None
    line = line_of(text, rf"^name\s*=\s*['\"]{re.escape(name)}")
    return Found(name, "pyproject.toml", line, "the project's name")


def install(repository: Repository) -> Found | None:
    """How to install, where no file at the root says it but one in a folder does."""
    if any(repository.has(name) for name in INSTALLED):
        return None
    for path in repository.paths:
        if path.name == "requirements.txt" and len(path.parts) == 2:
            return Found(f"pip install -r {path}", str(path), 1, "requirements in a folder")
    return None


def pipfile_remark(repository: Repository) -> Iterator[Remark]:
    """A Pipfile alone: nothing installs from it."""
    if repository.has("Pipfile") and not any(repository.has(name) for name in INSTALLED):
        yield Remark(
            "nothing installs from a Pipfile: run `pipenv requirements > requirements.txt`",
            "Pipfile",
            1,
        )


def alembic(repository: Repository, known: Mapping[str, Found]) -> Found | None:
    """The command that brings the schema up to date, if Alembic is set up."""
    for path in repository.paths:
        if path.name == "alembic.ini" and len(path.parts) <= 3:
            option = "" if len(path.parts) == 1 else f"--config {path} "
            return Found(f"alembic {option}upgrade head", str(path), 1, "Alembic's configuration")
    where = known.get("alembic")
    text = repository.text("pyproject.toml")
    if where and (line := line_of(text, r"^\[tool\.alembic\]")):
        return Found("alembic upgrade head", "pyproject.toml", line, "Alembic's configuration")
    return None
