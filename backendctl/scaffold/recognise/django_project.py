"""Django: the project behind manage.py, its server, its urls and its settings."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from backendctl.scaffold.recognise.facts import Found, Recognition, Remark
from backendctl.scaffold.recognise.health import live_path, ready_path
from backendctl.scaffold.recognise.python_dependencies import (
    CACHE,
    POSTGRESQL,
    dependencies,
    first_of,
    install,
    pipfile_remark,
    project_name,
)
from backendctl.scaffold.recognise.repository import Repository, line_of
from backendctl.scaffold.recognise.servers import listening

SETTINGS = re.compile(r"DJANGO_SETTINGS_MODULE[\"']?\s*,\s*[\"']([\w.]+)[\"']")
MOST_SETTINGS = 5
"""Files of settings that are followed; they may import each other in a circle."""
SERVERS_BY_PREFERENCE = (
    ("gunicorn", "wsgi", "gunicorn {target} --threads 8"),
    ("uvicorn", "asgi", "uvicorn {target}"),
    ("daphne", "asgi", "daphne {target}"),
    ("hypercorn", "asgi", "hypercorn {target}"),
    ("granian", "wsgi", "granian --interface wsgi {target}"),
    ("waitress", "wsgi", "waitress-serve {target}"),
)
"""Dependency, interface, command. gunicorn's threads let keep-alive connections live."""


def recognise_django(repository: Repository) -> Recognition | None:
    """The project, if there is a manage.py that names its settings."""
    for path in repository.paths:
        if path.name == "manage.py" and (named := SETTINGS.search(repository.text(path))):
            break
    else:
        return None
    folder, text = path.parent, repository.text(path)
    known = dependencies(repository)
    served = _served_settings(repository, folder, named.group(1))
    start, server_remarks = _start(repository, folder, named.group(1), known)
    routes = tuple(_routes(repository))
    admin = next((r for r in routes if r.value == "/admin/"), None)
    otherwise = (
        Found("/admin/login/", admin.file, admin.line, "no health check found", certain=False)
        if admin
        else Found("/", "", 0, "no health check found", certain=False)
    )
    ready = ready_path(routes, otherwise)
    manage = f"python {path}"
    if served != named.group(1):
        manage = f"env DJANGO_SETTINGS_MODULE={served} {manage}"
    return Recognition(
        kind=Found("django", str(path), line_of(text, SETTINGS.pattern), "names Django's settings"),
        start=start,
        ready=ready,
        live=live_path(routes, ready),
        routes=routes,
        migrate=Found(f"{manage} migrate --noinput", str(path), 1, "Django's own migrations"),
        install=install(repository),
        openapi=_document(routes, repository),
        database=first_of(known, POSTGRESQL, "postgresql"),
        cache=first_of(known, CACHE, "valkey"),
        name=project_name(repository),
        remarks=(
            *server_remarks,
            *_settings_remarks(_settings_files(repository, folder, served)),
            *pipfile_remark(repository),
        ),
    )


def _start(
    repository: Repository, folder: PurePosixPath, settings: str, known: Mapping[str, Found]
) -> tuple[Found, tuple[Remark, ...]]:
    package = settings.split(".")[0]
    chdir = "" if folder == PurePosixPath(".") else str(folder)
    for dependency, interface, command in SERVERS_BY_PREFERENCE:
        entry = folder / package / f"{interface}.py"
        if dependency in known and repository.has(str(entry)):
            line = line_of(repository.text(entry), r"^application\s*=")
            why = f"{known[dependency].place} names {dependency}"
            command = command.format(target=f"{package}.{interface}:application")
            return Found(_in_folder(command, chdir), str(entry), line, why), ()
    entry = folder / package / "wsgi.py"
    command = SERVERS_BY_PREFERENCE[0][2].format(target=f"{package}.wsgi:application")
    where = known.get("django", Found("", "requirements.txt"))
    remark = Remark(
        "no production server is a dependency (gunicorn, uvicorn, daphne ...): "
        "add gunicorn, which the start command runs",
        where.file,
    )
    line = line_of(repository.text(entry), r"^application\s*=")
    return Found(_in_folder(command, chdir), str(entry), line, "", certain=False), (remark,)


def _in_folder(command: str, folder: str) -> str:
    """The command, importing from the folder where manage.py is."""
    line = listening(command).line
    if not folder:
        return line
    options = {"gunicorn": f"--chdir {folder}", "uvicorn": f"--app-dir {folder}"}
    program = line.split()[0]
    return f"{line} {options[program]}" if program in options else f"env PYTHONPATH={folder} {line}"


def _module_path(repository: Repository, folder: PurePosixPath, module: str) -> PurePosixPath:
    base = folder.joinpath(*module.split("."))
    file = base.with_suffix(".py")
    return file if repository.has(str(file)) else base / "__init__.py"


# --- urls -------------------------------------------------------------------------------------


def _routes(repository: Repository) -> Iterator[Found]:
    """Paths without a parameter in all urls.py, behind the prefix their module is included at."""
    tables = {p: m for p, m in repository.modules.items() if p.name == "urls.py"}
    prefixes = {
        included: route
        for module in tables.values()
        for route, included, _ in _patterns(module)
        if included
    }
    for path, module in tables.items():
        dotted = ".".join(path.with_suffix("").parts)
        prefix = next((r for name, r in prefixes.items() if dotted.endswith(name)), "")
        for route, included, line in _patterns(module):
            if not included and "<" not in route and "(" not in route:
                yield Found("/" + prefix + route, str(path), line)


def _patterns(module: ast.Module) -> Iterator[tuple[str, str, int]]:
    """(route, module included there or "", line) of each `path(...)` and `re_path(...)`."""
    for node in ast.walk(module):
        if not (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("path", "re_path", "url")
            and len(node.args) >= 2
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, str)
        ):
            continue
        route = node.args[0].value.removeprefix("^").removesuffix("$")
        yield route, _included(node.args[1]), node.lineno


def _included(view: ast.expr) -> str:
    if (
        isinstance(view, ast.Call)
        and isinstance(view.func, ast.Name)
        and view.func.id == "include"
        and view.args
        and isinstance(view.args[0], ast.Constant)
    ):
        return str(view.args[0].value)
    return ""


def _document(routes: tuple[Found, ...], repository: Repository) -> Found | None:
    for route in routes:
        line = repository.text(route.file).splitlines()[route.line - 1]
        if "SpectacularAPIView" in line or re.search(r"openapi|swagger.*json", route.value):
            return Found(route.value, route.file, route.line, "an OpenAPI view")
    return None


# --- settings ---------------------------------------------------------------------------------


def _served_settings(repository: Repository, folder: PurePosixPath, managed: str) -> str:
    """The settings that the server's entry names, which may not be those of manage.py."""
    package = managed.split(".")[0]
    for entry in ("wsgi.py", "asgi.py"):
        named = SETTINGS.search(repository.text(folder / package / entry))
        if named:
            return named.group(1)
    return managed


def _settings_files(
    repository: Repository, folder: PurePosixPath, module: str
) -> list[tuple[str, str]]:
    """Path and text of the settings, then of those they begin with (`from .base import *`)."""
    found: list[tuple[str, str]] = []
    while module and len(found) < MOST_SETTINGS:
        path = _module_path(repository, folder, module)
        text = repository.text(path)
        found.append((str(path), text))
        taken = re.search(r"^from\s+(\.*)([\w.]*)\s+import\s+\*", text, re.MULTILINE)
        if not taken:
            break
        package = module.split(".")[: -len(taken[1])] if taken[1] else []
        module = ".".join([*package, *filter(None, [taken[2]])])
    return found


def _settings_remarks(files: list[tuple[str, str]]) -> Iterator[Remark]:
    """What will not work; a name counts where it is set last, which is in the first file."""
    everything = "\n".join(text for _, text in files)

    def where(pattern: str) -> tuple[str, str, int]:
        for file, text in files:
            if line := line_of(text, pattern):
                return file, text, line
        return "", "", 0

    file, _, line = where(r"^DATABASES\s*=")
    if line and not re.search(r"DATABASE_URL|dj_database_url|env\.db|PGHOST", everything):
        yield Remark("the database is not taken from DATABASE_URL", file, line)
    file, text, line = where(r"^DEBUG\s*=")
    debug = bool(line and re.search(r"^DEBUG\s*=\s*True", text, re.MULTILINE))
    if debug:
        yield Remark("DEBUG is on", file, line)
    file, text, line = where(r"^ALLOWED_HOSTS\s*=")
    hosts = re.search(r"^ALLOWED_HOSTS\s*=\s*(\[[^\]]*\])", text, re.MULTILINE)
    if hosts and not debug and not re.search(r"['\"](\*|127\.0\.0\.1)['\"]", hosts.group(1)):
        yield Remark(
            "ALLOWED_HOSTS lacks 127.0.0.1: the platform's own requests get 400", file, line
        )
    file, text, line = where(r"^SECURE_SSL_REDIRECT\s*=")
    if re.search(r"^SECURE_SSL_REDIRECT\s*=\s*True", text, re.MULTILINE):
        yield Remark("SECURE_SSL_REDIRECT answers readiness checks over HTTP with 301", file, line)
