"""Start commands that a repository states outright: Procfile and Dockerfile."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from backendctl.scaffold.recognise import stores
from backendctl.scaffold.recognise.facts import Found, Recognition, Remark
from backendctl.scaffold.recognise.repository import Repository
from backendctl.scaffold.recognise.servers import listening, migration_apart
from backendctl.spec.command import write_command


@dataclass(frozen=True, slots=True)
class Stated:
    """What a file says outright."""

    start: Found
    migrate: Found | None
    """What the start command does before it serves, if that is a migration."""
    remarks: tuple[Remark, ...]


READY_GUESS = Found("/", "", 0, "no health check found", certain=False)


def procfile_start(repository: Repository) -> Stated | None:
    """The `web:` line of a Procfile, made to listen on $PORT."""
    for number, line in enumerate(repository.text("Procfile").splitlines(), 1):
        match = re.match(r"web\s*:\s*(\S.*)", line)
        if match:
            return _stated(match.group(1), "Procfile", number, "the web process")
    return None


def procfile_release(repository: Repository) -> Found | None:
    """The `release:` line of a Procfile: what runs before a release, which is migrations."""
    for number, line in enumerate(repository.text("Procfile").splitlines(), 1):
        match = re.match(r"release\s*:\s*(\S.*)", line)
        if match:
            return Found(listening(match.group(1)).line, "Procfile", number, "the release process")
    return None


def dockerfile_start(repository: Repository) -> Stated | None:
    """ENTRYPOINT and CMD of a Dockerfile's last stage, made to listen on $PORT."""
    entry, command = _last_stage(_instructions(repository.text("Dockerfile")))
    words = [*entry[1], *command[1]]
    if not words:
        return None
    line = command[0] or entry[0]
    return _stated(write_command(tuple(words)), "Dockerfile", line, "what the image runs")


def recognise_procfile(repository: Repository) -> Recognition | None:
    """A service of any kind that has a Procfile."""
    stated = procfile_start(repository)
    if stated is None:
        return None
    return _plain("procfile", repository, stated, procfile_release(repository))


def recognise_dockerfile(repository: Repository) -> Recognition | None:
    """A service of any kind that has a Dockerfile; run without a container on `local`."""
    stated = dockerfile_start(repository)
    if stated is None:
        return None
    text = (
        "the local platform runs this command here, not in a container: its program and what it "
        "needs must be installed"
    )
    remark = Remark(text, stated.start.file, stated.start.line)
    found = _plain("dockerfile", repository, stated, None)
    return replace(found, remarks=(*found.remarks, remark))


def _plain(kind: str, repository: Repository, stated: Stated, release: Found | None) -> Recognition:
    ready = _health_check(repository) or READY_GUESS
    return Recognition(
        kind=Found(kind, stated.start.file, stated.start.line, stated.start.why),
        start=stated.start,
        ready=ready,
        live=ready,
        migrate=release or stated.migrate,
        database=stores.database(repository),
        cache=stores.cache(repository),
        remarks=stated.remarks,
    )


def _stated(line: str, file: str, number: int, why: str) -> Stated:
    migration, service = migration_apart(line)
    command = listening(service)
    remarks = []
    if not command.listens:
        text = "it must listen on $PORT at 127.0.0.1; nothing shows that it does"
        remarks.append(Remark(text, file, number))
    migrate = None
    if migration:
        migrate = Found(listening(migration).line, file, number, "it stands before the service")
    return Stated(Found(command.line, file, number, why), migrate, tuple(remarks))


# --- Dockerfile -------------------------------------------------------------------------------


def _instructions(text: str) -> list[tuple[int, str, str]]:
    """(line, INSTRUCTION, the rest), continued lines joined, comments left out."""
    found: list[tuple[int, str, str]] = []
    pending, began = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (not line.strip() and not pending):
            continue
        began = began if pending else number
        pending += line.rstrip().removesuffix("\\")
        if line.rstrip().endswith("\\"):
            continue
        name, _, rest = pending.strip().partition(" ")
        found.append((began, name.upper(), rest.strip()))
        pending = ""
    return found


def _health_check(repository: Repository) -> Found | None:
    """The path that the image's own health check asks for."""
    for line, name, rest in _instructions(repository.text("Dockerfile")):
        asked = re.search(r"https?://[^/\s\"']+(/[^\s\"'?]*)", rest)
        if name == "HEALTHCHECK" and asked:
            return Found(asked.group(1), "Dockerfile", line, "the image's health check")
    return None


def _last_stage(
    instructions: Sequence[tuple[int, str, str]],
) -> tuple[tuple[int, list[str]], tuple[int, list[str]]]:
    entry: tuple[int, list[str]] = (0, [])
    command: tuple[int, list[str]] = (0, [])
    for line, name, rest in instructions:
        if name == "FROM":
            entry, command = (0, []), (0, [])
        elif name == "ENTRYPOINT":
            entry, command = (line, _argv(rest)), (0, [])
        elif name == "CMD":
            command = (line, _argv(rest))
    return entry, command


def _argv(rest: str) -> list[str]:
    """The exec form's list; the shell form's line as `sh -c` gets it."""
    if rest.startswith("["):
        try:
            return [str(word) for word in json.loads(rest)]
        except ValueError:
            return []
    return rest.split() if not re.search(r"[&|;<>`'\"]|\$\(", rest) else ["sh", "-c", rest]
