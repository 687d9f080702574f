"""FastAPI: the application object or factory, its routes and its OpenAPI document."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from backendctl.scaffold.recognise.facts import Found, Recognition, Remark
from backendctl.scaffold.recognise.health import live_path, ready_path
from backendctl.scaffold.recognise.python_dependencies import (
    CACHE,
    POSTGRESQL,
    alembic,
    dependencies,
    first_of,
    install,
    pipfile_remark,
    project_name,
)
from backendctl.scaffold.recognise.python_source import call_of, get_routes, target_name
from backendctl.scaffold.recognise.repository import Repository
from backendctl.scaffold.recognise.servers import listening

LIKELY = ("main", "app", "asgi", "server", "api", "application", "__init__")
"""Where the application is usually put, likeliest first."""
DOCUMENT = "/openapi.json"


@dataclass(frozen=True, slots=True)
class _App:
    """An application object, or a function without necessary arguments that makes one."""

    path: PurePosixPath
    name: str
    line: int
    factory: bool
    call: ast.Call
    """The call of FastAPI itself."""


def recognise_fastapi(repository: Repository) -> Recognition | None:
    """The service, if there is a FastAPI application in the repository."""
    apps = sorted(_apps(repository.modules), key=_likelihood)
    if not apps:
        return None
    app = apps[0]
    known = dependencies(repository)
    where = f"{app.path}"
    target, folder = _import_path(repository, app)
    words = ["uvicorn", *(["--factory"] if app.factory else []), f"{target}:{app.name}"]
    words += ["--app-dir", folder] if folder else []
    what = "makes the application" if app.factory else "is the application"
    start = Found(listening(" ".join(words)).line, where, app.line, f"{app.name} {what}")
    document = _document(app)
    fallback = document or Found("/")
    otherwise = Found(
        fallback.value, fallback.file, fallback.line, "no health check found", certain=False
    )
    routes = tuple(get_routes(repository.modules))
    ready = ready_path(routes, otherwise)
    return Recognition(
        kind=Found("fastapi", where, app.call.lineno, "FastAPI(...) is called"),
        start=start,
        ready=ready,
        live=live_path(routes, ready),
        routes=routes,
        migrate=alembic(repository, known),
        install=install(repository),
        openapi=document,
        database=first_of(known, POSTGRESQL, "postgresql"),
        cache=first_of(known, CACHE, "valkey"),
        name=project_name(repository),
        remarks=(*_remarks(known, apps), *pipfile_remark(repository)),
    )


def _remarks(known: Mapping[str, Found], apps: list[_App]) -> Iterator[Remark]:
    fastapi = known.get("fastapi", Found("", "requirements.txt"))
    bundled = (
        "uvicorn" in known
        or "fastapi-cli" in known
        or re.search(r"\[.*(standard|all)", fastapi.value)
    )
    if not bundled:
        text = "uvicorn, which the start command runs, is not a dependency: add it"
        yield Remark(text, fastapi.file)
    if len(apps) > 1:
        others = ", ".join(f"{app.path}:{app.line}" for app in apps[1:4])
        yield Remark(f"there are other applications too: {others}; `--start` chooses another")


# --- the application --------------------------------------------------------------------------


def _apps(modules: Mapping[PurePosixPath, ast.Module]) -> Iterator[_App]:
    factories: dict[str, _App] = {}
    for path, module in modules.items():
        constructors = _names_of(module, "FastAPI")
        if not constructors and not _imports(module, "fastapi"):
            continue
        for statement in module.body:
            call = _constructed(statement, constructors)
            if call is not None:
                yield _App(path, target_name(statement), statement.lineno, False, call)
            elif isinstance(statement, ast.FunctionDef) and _callable_bare(statement):
                made = _made_in(statement, constructors)
                if made is not None:
                    app = _App(path, statement.name, statement.lineno, True, made)
                    factories[statement.name] = app
                    yield app
    for path, module in modules.items():
        for statement in module.body:
            call = call_of(statement)
            if call is not None and isinstance(call.func, ast.Name) and call.func.id in factories:
                made = factories[call.func.id].call
                yield _App(path, target_name(statement), statement.lineno, False, made)


def _likelihood(app: _App) -> tuple[bool, int, int, str]:
    stem = app.path.stem
    place = LIKELY.index(stem) if stem in LIKELY else len(LIKELY)
    return (app.factory, len(app.path.parts), place, str(app.path))


def _names_of(module: ast.Module, name: str) -> set[str]:
    """What `name`, imported from fastapi, is called here."""
    return {
        alias.asname or alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fastapi"
        for alias in node.names
        if alias.name == name
    }


def _imports(module: ast.Module, package: str) -> bool:
    return any(
        alias.name.split(".")[0] == package
        for node in ast.walk(module)
        if isinstance(node, ast.Import)
        for alias in node.names
    )


def _constructed(statement: ast.stmt, constructors: set[str]) -> ast.Call | None:
    call = call_of(statement)
    return call if call is not None and _constructs(call, constructors) else None


def _constructs(call: ast.Call, constructors: set[str]) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id in constructors
    return (
        isinstance(function, ast.Attribute)
        and function.attr == "FastAPI"
        and isinstance(function.value, ast.Name)
        and function.value.id == "fastapi"
    )


def _callable_bare(function: ast.FunctionDef) -> bool:
    """Whether it can be called without an argument."""
    arguments = function.args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    return positional == len(arguments.defaults) and None not in arguments.kw_defaults


def _made_in(function: ast.FunctionDef, constructors: set[str]) -> ast.Call | None:
    """The call that makes what the function returns."""
    made: dict[str, ast.Call] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.stmt) and (call := _constructed(node, constructors)):
            made[target_name(node)] = call
    for node in ast.walk(function):
        if isinstance(node, ast.Return):
            if isinstance(node.value, ast.Name) and node.value.id in made:
                return made[node.value.id]
            if isinstance(node.value, ast.Call) and _constructs(node.value, constructors):
                return node.value
    return None


def _import_path(repository: Repository, app: _App) -> tuple[str, str]:
    """The module's dotted name, and the folder it is imported from ("" for the root)."""
    parts = list(app.path.parent.parts)
    package: list[str] = []
    while parts and (
        repository.has("/".join([*parts, "__init__.py"]))
        or _imported_as_package(repository, parts[-1], app.path)
    ):
        package.insert(0, parts.pop())
    stem = [] if app.path.stem == "__init__" else [app.path.stem]
    return ".".join([*package, *stem]), "/".join(parts)


def _imported_as_package(repository: Repository, name: str, path: PurePosixPath) -> bool:
    """Whether the module imports its own folder by name, or relatively."""
    for node in ast.walk(repository.modules[path]):
        if isinstance(node, ast.ImportFrom):
            if node.level or (node.module or "").split(".")[0] == name:
                return True
        elif isinstance(node, ast.Import) and name in {
            alias.name.split(".")[0] for alias in node.names
        }:
            return True
    return False


def _document(app: _App) -> Found | None:
    for keyword in app.call.keywords:
        if keyword.arg == "openapi_url" and isinstance(keyword.value, ast.Constant):
            value = keyword.value.value
            if not isinstance(value, str):
                return None
            return Found(value, str(app.path), keyword.value.lineno, "openapi_url")
    return Found(DOCUMENT, str(app.path), app.call.lineno, "FastAPI's default")
