"""What Python source shows without being run: assignments, and routes by their decorators."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from backendctl.scaffold.recognise.facts import Found


def call_of(statement: ast.stmt) -> ast.Call | None:
    """The call whose result a statement gives a single name."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    else:
        return None
    return value if isinstance(target, ast.Name) and isinstance(value, ast.Call) else None


def target_name(statement: ast.stmt) -> str:
    """The single name that a statement gives a value; empty if there is none."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    target = statement.target if isinstance(statement, ast.AnnAssign) else target
    return target.id if isinstance(target, ast.Name) else ""


def get_routes(modules: Mapping[PurePosixPath, ast.Module]) -> Iterator[Found]:
    """Paths of GET operations without a parameter, with the prefixes that can be seen."""
    mounted = _mounted_prefixes(modules)
    for path, module in modules.items():
        own = _own_prefixes(module)
        for node in ast.walk(module):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for decorator in node.decorator_list:
                found = _get_path(decorator)
                if found is None or "{" in found[1]:
                    continue
                router, route = found
                prefix = mounted.get((path.stem, router), "") + own.get(router, "")
                yield Found(prefix + route or "/", str(path), decorator.lineno)


def _get_path(decorator: ast.expr) -> tuple[str, str] | None:
    """(`router`, `/path`) of `@router.get("/path")`."""
    if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
        return None
    if decorator.func.attr not in ("get", "api_route") or not isinstance(
        decorator.func.value, ast.Name
    ):
        return None
    first = decorator.args[0] if decorator.args else None
    first = next((k.value for k in decorator.keywords if k.arg == "path"), first)
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return None
    return decorator.func.value.id, first.value


def _own_prefixes(module: ast.Module) -> dict[str, str]:
    """`router = APIRouter(prefix="/x")`."""
    found = {}
    for statement in module.body:
        call = call_of(statement)
        if call is not None:
            found[target_name(statement)] = _prefix(call)
    return found


def _mounted_prefixes(
    modules: Mapping[PurePosixPath, ast.Module],
) -> dict[tuple[str, str], str]:
    """`app.include_router(users.router, prefix="/api")`, by module and name of the router."""
    found = {}
    for path, module in modules.items():
        for node in ast.walk(module):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "include_router"
                and node.args
            ):
                router = node.args[0]
                if isinstance(router, ast.Name):
                    found[_origin(module, router.id, path.stem)] = _prefix(node)
                elif isinstance(router, ast.Attribute) and isinstance(router.value, ast.Name):
                    found[(router.value.id, router.attr)] = _prefix(node)
    return found


def _origin(module: ast.Module, name: str, otherwise: str) -> tuple[str, str]:
    """The module and the name that `name` was imported from."""
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return (node.module or "").rpartition(".")[2], alias.name
    return otherwise, name


def _prefix(call: ast.Call) -> str:
    for keyword in call.keywords:
        if keyword.arg == "prefix" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return ""
