"""`init`: a backend.toml for a repository that is there already."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from backendctl.errors import BackendctlError
from backendctl.scaffold.accepted import slug
from backendctl.scaffold.place import place
from backendctl.scaffold.promises import refuse_unless_sound
from backendctl.scaffold.questions import FACTS, INIT_QUESTIONS, UNCHANGED, Answers
from backendctl.scaffold.recognise.declared import READY_GUESS
from backendctl.scaffold.recognise.detect import LOOKED_FOR, recognise
from backendctl.scaffold.recognise.facts import Found, Recognition, Remark
from backendctl.scaffold.render import render_text

SPEC = "backend.toml"
ADMIN = re.compile(r"/(admin|accounts|static|media)(/|$)")
"""Paths of a framework's own pages, which no load test should ask for."""
MOST_PATHS = 8


@dataclass(frozen=True, slots=True)
class Survey:
    """What a repository shows."""

    kind: str
    facts: Mapping[str, Found]
    """By question."""
    remarks: tuple[Remark, ...] = field(default=())

    @property
    def defaults(self) -> dict[str, str]:
        """The facts as answers."""
        return {key: found.value for key, found in self.facts.items()}


def survey(folder: Path, start: str | None) -> Survey:
    """Recognise the repository; `start` is the user's own start command, if there is one.

    Raises `scaffold.not-empty` where there is a backend.toml already, and
    `scaffold.unrecognised` where nothing is recognised and no start command was given.
    """
    if (folder / SPEC).exists():
        raise BackendctlError(
            "scaffold.not-empty",
            f"{folder / SPEC} is there already",
            state="it was not touched",
            next=("backendctl advise", f"edit {SPEC}, or move it away and run init again"),
        )
    found = recognise(folder)
    if found is None and start is None:
        raise BackendctlError(
            "scaffold.unrecognised",
            f"nothing in {folder} says how the service starts",
            cause="looked for " + "; ".join(LOOKED_FOR),
            state=UNCHANGED,
            next=('backendctl init --start "COMMAND --port $PORT"',),
        )
    name = Found(slug(folder.name) or "service", "", 0, "the folder's name")
    if found is None:
        return Survey("custom", {"name": name, "ready": READY_GUESS})
    if found.name is not None and slug(found.name.value):
        name = Found(slug(found.name.value), found.name.file, found.name.line, found.name.why)
    facts = {
        "name": name,
        "start": found.start,
        "ready": found.ready,
        "live": found.live if found.live != found.ready else None,
        "migrate": found.migrate,
        "install": found.install,
        "openapi": found.openapi,
        "database": found.database,
        "cache": found.cache,
        "paths": _paths(found),
    }
    facts, remarks = _with_a_database_or_without_migration(facts, found.remarks)
    return Survey(found.kind.value, {k: f for k, f in facts.items() if f}, remarks)


def _with_a_database_or_without_migration(
    facts: dict[str, Found | None], remarks: tuple[Remark, ...]
) -> tuple[dict[str, Found | None], tuple[Remark, ...]]:
    """A migration needs a database that the platform runs, or it would run against nothing."""
    migrate = facts["migrate"]
    if migrate is None or facts["database"] is not None:
        return facts, remarks
    text = (
        f"no PostgreSQL driver is among the dependencies that were recognised, so "
        f"{migrate.value!r} was left out; where the "
        'service does use PostgreSQL, run init with --set database=postgresql --set "migrate='
        f'{migrate.value}"'
    )
    remark = Remark(text, migrate.file, migrate.line)
    return {**facts, "migrate": None}, (*remarks, remark)


def write_spec(folder: Path, surveyed: Survey, answers: Answers) -> str:
    """Write backend.toml and return its text. Never overwrites one."""
    text = spec_text(surveyed, answers)
    refuse_unless_sound(text.encode())
    place(folder, {PurePosixPath(SPEC): text.encode()}, merge=True)
    return text


def spec_text(surveyed: Survey, answers: Answers) -> str:
    """backend.toml: what was found, each with its place, and what was answered."""
    shown = {q.key: q.show(answers[q.key]) for q in INIT_QUESTIONS if q.key in answers}
    places = {
        question.key: f"  # {found.place}" if found and found.place else ""
        for question in FACTS
        for found in [surveyed.facts.get(question.key)]
        if found is None or found.value == shown.get(question.key)
    }
    lists = {"regimes": answers.get("compliance", ()), "paths": answers.get("paths", ())}
    return render_text("init", "backend.toml", {**shown, **lists, "places": places})


def _paths(found: Recognition) -> Found | None:
    """What a load test can ask for where no OpenAPI document says it."""
    if found.openapi is not None or not found.routes:
        return None
    checks = {found.ready.value, found.live.value}
    routes = [r for r in found.routes if r.value not in checks and not ADMIN.match(r.value)]
    paths = ",".join(dict.fromkeys(r.value for r in routes[:MOST_PATHS]))
    first = routes[0] if routes else None
    return Found(paths, first.file, first.line, "routes that answer GET") if first else None
