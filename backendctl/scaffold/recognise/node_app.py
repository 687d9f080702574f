"""Node: Express, Fastify and others, by package.json and what the sources say."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from backendctl.scaffold.recognise.facts import Found, Recognition, Remark
from backendctl.scaffold.recognise.health import live_path, ready_path
from backendctl.scaffold.recognise.repository import Repository, line_of
from backendctl.scaffold.recognise.servers import listening, migration_apart

PACKAGE = "package.json"
FRAMEWORKS = ("express", "fastify", "koa", "@hapi/hapi", "@nestjs/core", "hono")
POSTGRESQL = ("pg", "postgres", "pg-promise", "slonik", "@prisma/client", "pg-native")
CACHE = ("redis", "ioredis", "iovalkey", "@valkey/valkey-glide", "@redis/client")
MIGRATIONS = {
    "prisma": "npx prisma migrate deploy",
    "@prisma/client": "npx prisma migrate deploy",
    "knex": "npx knex migrate:latest",
    "sequelize-cli": "npx sequelize-cli db:migrate",
    "node-pg-migrate": "npx node-pg-migrate up",
    "drizzle-kit": "npx drizzle-kit migrate",
}
LOCKS = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lock": "bun", "bun.lockb": "bun"}
"""Lock file -> the program that reads it; npm's own is not among them."""
ENTRIES = ("server.js", "app.js", "index.js", "src/server.js", "src/app.js", "src/index.js",
           "server.mjs", "app.mjs", "index.mjs")  # fmt: skip
SOURCES = (".js", ".mjs", ".cjs", ".ts", ".mts")
ROUTE = re.compile(
    r"\b(?:app|router|server|fastify|api|route|instance)\s*\.\s*(?:get|all)"
    r"\(\s*(['\"`])(/[^'\"`:*$]*)\1"
)
HARD_CODED = re.compile(r"\.listen\(\s*(?:\{[^}]*\bport\s*:\s*)?(\d{2,5})\b")
NAMED_PORT = re.compile(r"\b(?:const|let|var)\s+(\w*port\w*)\s*=\s*(\d{2,5})\s*;?\s*$",
                        re.IGNORECASE | re.MULTILINE)  # fmt: skip


def recognise_node(repository: Repository) -> Recognition | None:
    """The service, if package.json depends on a server framework or says how to start."""
    text = repository.text(PACKAGE)
    try:
        package = json.loads(text) if text else None
    except ValueError:
        return None
    if not isinstance(package, dict):
        return None
    known = package.get("dependencies") or {}
    framework = next((name for name in FRAMEWORKS if name in known), None)
    started = _start(repository, package, text)
    if started is None:
        return None
    start, remarks = started
    where = line_of(text, rf'"{re.escape(framework)}"\s*:') if framework else 1
    kind = (framework or "node").removeprefix("@").partition("/")[0]
    routes = tuple(_routes(repository))
    ready = ready_path(routes, Found("/", "", 0, "no health check found", certain=False))
    return Recognition(
        kind=Found(kind, PACKAGE, where, f"{framework or 'a start script'} is named"),
        start=start,
        install=_install(repository, package),
        ready=ready,
        live=live_path(routes, ready),
        routes=routes,
        migrate=_migrate(repository, package, text),
        openapi=_document(routes, known, text),
        database=_database(repository, known, text),
        cache=_dependency(known, CACHE, "valkey", text),
        name=_name(package, text),
        remarks=(*remarks, *_port_remarks(repository), *_connection_remarks(repository)),
    )


def _start_script(package: Mapping[str, Any]) -> tuple[str, str] | None:
    """Name and line of the script that starts it in production (`start:prod` is Nest's)."""
    scripts = package.get("scripts") or {}
    for name in ("start:prod", "start:production", "start"):
        if isinstance(scripts.get(name), str):
            return name, scripts[name].strip()
    return None


def _start(
    repository: Repository, package: Mapping[str, Any], text: str
) -> tuple[Found, tuple[Remark, ...]] | None:
    """`node FILE` directly where that is all the start script does: signals then arrive."""
    started = _start_script(package)
    if started is not None:
        name, script = started
        line = line_of(text, rf'"{name}"\s*:')
        why = f"the {name} script"
        script = migration_apart(script)[1]
        words = _words(script)
        if words[:1] == ["nodemon"] and len(words) == 2:
            remark = Remark("nodemon restarts on changes: node is run instead", PACKAGE, line)
            return Found(f"node {words[1]}", PACKAGE, line, why), (remark,)
        if words[:1] == ["node"] and f"pre{name}" not in package["scripts"]:
            return Found(script, PACKAGE, line, why), ()
        run = "start" if name == "start" else f"run {name}"
        return Found(f"{_runner(repository)} {run}", PACKAGE, line, why), ()
    main = package.get("main")
    if isinstance(main, str) and repository.has(main):
        return Found(f"node {main}", PACKAGE, line_of(text, r'"main"\s*:'), "main"), ()
    for entry in ENTRIES:
        if repository.has(entry) and re.search(r"\.listen\(", repository.text(entry)):
            line = line_of(repository.text(entry), r"\.listen\(")
            return Found(f"node {entry}", entry, line, "it listens"), ()
    return None


def _words(script: str) -> list[str]:
    """The script's words; none if it needs a shell."""
    try:
        return [] if re.search(r"[&|;<>$`]", script) else shlex.split(script)
    except ValueError:
        return []


def _runner(repository: Repository) -> str:
    return next((runner for lock, runner in LOCKS.items() if repository.has(lock)), "npm")


def _install(repository: Repository, package: Mapping[str, Any]) -> Found | None:
    """Only for lock files that are not npm's: from npm's the platform installs, and builds."""
    lock, runner = next(((k, v) for k, v in LOCKS.items() if repository.has(k)), ("", ""))
    if not lock:
        return None
    command = f"{runner} install --frozen-lockfile"
    if "build" in (package.get("scripts") or {}):
        command = f"sh -c {shlex.quote(f'{command} && {runner} run build')}"
    return Found(command, lock, 1, f"{runner}'s lock file")


def _migrate(repository: Repository, package: Mapping[str, Any], text: str) -> Found | None:
    for script in ("migrate", "db:migrate", "migrate:up", "migrations"):
        if script in (package.get("scripts") or {}):
            line = line_of(text, rf'"{re.escape(script)}"\s*:')
            run = f"{_runner(repository)} run {script}"
            return Found(run, PACKAGE, line, "a script of that name")
    started = _start_script(package)
    migration = migration_apart(started[1])[0] if started else ""
    if started and migration and migration_apart(started[1])[1].split()[0] == "node":
        own = re.match(r"(npx|npm|node|yarn|pnpm|bun)\b", migration)
        line = line_of(text, rf'"{started[0]}"\s*:')
        command = listening(migration if own else f"npx {migration}").line
        return Found(command, PACKAGE, line, f"it stands before the service in {started[0]}")
    known = {**(package.get("devDependencies") or {}), **(package.get("dependencies") or {})}
    for name, command in MIGRATIONS.items():
        if name in known:
            line = line_of(text, rf'"{re.escape(name)}"\s*:')
            return Found(command, PACKAGE, line, f"{name} is a dependency")
    return None


def _dependency(
    known: Mapping[str, Any], names: tuple[str, ...], value: str, text: str
) -> Found | None:
    for name in names:
        if name in known:
            line = line_of(text, rf'"{re.escape(name)}"\s*:')
            return Found(value, PACKAGE, line, f"{name} is a dependency")
    return None


def _database(repository: Repository, known: Mapping[str, Any], text: str) -> Found | None:
    schema = repository.text("prisma/schema.prisma")
    if schema and not re.search(r'provider\s*=\s*"postgres(ql)?"', schema):
        return None
    return _dependency(known, POSTGRESQL, "postgresql", text)


def _name(package: Mapping[str, Any], text: str) -> Found | None:
    name = package.get("name")
    if not isinstance(name, str):
        return None
    bare = name.rpartition("/")[2]
    return Found(bare, PACKAGE, line_of(text, r'"name"\s*:'), "the package's name")


# --- sources ----------------------------------------------------------------------------------


def _lines(repository: Repository) -> Iterator[tuple[str, int, str]]:
    """Each source line that is not a comment of its own."""
    for path in repository.sources(*SOURCES):
        for number, line in enumerate(repository.text(path).splitlines(), 1):
            if not re.match(r"\s*(//|\*|/\*)", line):
                yield str(path), number, line


def _routes(repository: Repository) -> Iterator[Found]:
    for file, number, line in _lines(repository):
        for match in ROUTE.finditer(line):
            yield Found(match.group(2), file, number)


def _document(routes: tuple[Found, ...], known: Mapping[str, Any], text: str) -> Found | None:
    for route in routes:
        if re.search(r"(openapi|swagger)[^/]*\.json$", route.value):
            return Found(route.value, route.file, route.line, "a route of that name")
    if "@fastify/swagger-ui" in known:
        line = line_of(text, r'"@fastify/swagger-ui"')
        why = "where @fastify/swagger-ui puts it"
        return Found("/documentation/json", PACKAGE, line, why, certain=False)
    return None


def _port_remarks(repository: Repository) -> Iterator[Remark]:
    """A port written into the code, and no sign that $PORT is read."""
    lines = tuple(_lines(repository))
    if any(
        re.search(r"process\.env\.PORT\b|env(\(|\[)['\"]PORT['\"]", line) for _, _, line in lines
    ):
        return
    constants = {
        match.group(1): (file, number, match.group(2))
        for file, number, line in lines
        for match in NAMED_PORT.finditer(line)
    }
    for file, number, line in lines:
        if match := HARD_CODED.search(line):
            yield _hard_coded(match.group(1), file, number)
            return
        named = re.search(r"\.listen\(\s*(?:\{[^}]*\bport\s*:\s*)?(\w+)", line)
        if named and named.group(1) in constants:
            at_file, at_line, port = constants[named.group(1)]
            yield _hard_coded(port, at_file, at_line)
            return
    yield Remark("no source reads process.env.PORT: the service must listen on it")


def _hard_coded(port: str, file: str, line: int) -> Remark:
    return Remark(
        f"port {port} is written into the code: two releases cannot run side by side. "
        f"Write process.env.PORT || {port}",
        file,
        line,
    )


def _connection_remarks(repository: Repository) -> Iterator[Remark]:
    if not any("keepAliveTimeout" in line for _, _, line in _lines(repository)):
        yield Remark(
            "Node closes idle connections after 5 s, as a proxy may be using one: set "
            "server.keepAliveTimeout = 75_000 (milliseconds)"
        )
