"""Everything there is to say about migrations before they run, from their SQL and files. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from backendctl.migrations import hazards, markers
from backendctl.migrations.compatibility import EXPAND, New, Verdict, judge, summed
from backendctl.migrations.revisions import Effect, Revision
from backendctl.migrations.statements import Statement, UnreadableError, parse


@dataclass(frozen=True, slots=True)
class Script:
    """A migration as it was found."""

    revision: Revision
    source: str
    """Its file's text."""
    sql: str = ""
    """What it would run."""
    problem: str = ""
    """Why that is not known."""
    in_transaction: bool = True
    """Whether the tool wraps it in a transaction that the SQL does not show."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What stops a deploy."""

    rule: str
    file: str
    line: int
    statement: str
    why: str
    instead: str

    def __str__(self) -> str:
        shown = f": {self.statement}" if self.statement else ""
        where = f"{self.file}:{self.line} [{self.rule}]{shown}"
        return f"{where}\n    {self.why}\n    instead: {self.instead}"


@dataclass(frozen=True, slots=True)
class Assessment:
    """Migrations with their effects, and what is wrong with them."""

    revisions: tuple[Revision, ...]
    findings: tuple[Finding, ...]
    waived: tuple[str, ...]
    """For a person: each finding that somebody answers for, with the reason."""


def assess(scripts: Sequence[Script], today: date) -> Assessment:
    """Judge migrations, in the order in which they apply.

    Raises BackendctlError `missing.extra` without parser or linter.
    """
    new = New()
    revisions: list[Revision] = []
    findings: list[Finding] = []
    waived: list[str] = []
    for script in scripts:
        found = _one(script, new, today, waived)
        if isinstance(found, Finding):
            findings.append(found)
            revisions.append(script.revision)
        else:
            verdict, more = found
            findings += more
            effect = replace(script.revision, effect=verdict.effect, why=verdict.why)
            revisions.append(effect)
    return Assessment(tuple(revisions), tuple(findings), tuple(waived))


def _one(
    script: Script, new: New, today: date, waived: list[str]
) -> Finding | tuple[Verdict, list[Finding]]:
    file = script.revision.file
    try:
        said = markers.read(script.source)
    except markers.MarkerError as error:
        return Finding("marker", file, error.line, "", str(error), f"write {markers.FORMS}")
    stated = Verdict(said.effect, f"by its own word: {said.reason}") if said.effect else None
    if stated is not None and stated.effect is Effect.EXPAND:
        stated = EXPAND
    if script.problem:
        if stated is None:
            return _unreadable(file, 1, script.problem)
        return stated, []
    try:
        statements = parse(script.sql)
    except UnreadableError as error:
        line = _file_line(script.sql, error.line)
        return (stated, []) if stated else _unreadable(file, line, str(error))
    before = set(new.relations)
    verdict = summed(judge(statements, new))
    found = _hazards(script, statements, before, said.waivers, today, waived)
    return stated or verdict, found


def _unreadable(file: str, line: int, problem: str) -> Finding:
    return Finding(
        "unreadable",
        file,
        line,
        "",
        f"what it does cannot be read: {problem}",
        "say what it is in a comment of its own line: `backendctl: expand: REASON` or "
        "`backendctl: contract: REASON`",
    )


def _hazards(
    script: Script,
    statements: Sequence[Statement],
    created_before: set[str],
    waivers: Mapping[str, markers.Waiver],
    today: date,
    waived: list[str],
) -> list[Finding]:
    found = []
    for hazard in hazards.find(script.sql, statements, script.in_transaction):
        at = [each for each in statements if each.line <= hazard.line]
        if at and _table(at[-1]) in created_before:
            continue  # made by a migration that runs just before: nobody uses it
        line = _file_line(script.sql, hazard.line)
        waiver = waivers.get(hazard.rule)
        text = at[-1].text if at else ""
        why = hazard.why
        if waiver is not None and waiver.until >= today:
            waived.append(f"{script.revision.file}:{line} [{hazard.rule}] {waiver.reason}")
            continue
        if waiver is not None:
            why += f" (its waiver ended on {waiver.until})"
        found.append(
            Finding(hazard.rule, script.revision.file, line, text[:200], why, hazard.instead)
        )
    return found


def _table(statement: Statement) -> str:
    relation = statement.body.get("relation", {})
    schema = relation.get("schemaname", "")
    name = str(relation.get("relname", ""))
    return f"{schema}.{name}" if schema else name


def _file_line(sql: str, line: int) -> int:
    """The line of the migration's file from which a line of its SQL came."""
    known = re.findall(r"^-- line (\d+)$", "\n".join(sql.split("\n")[:line]), re.MULTILINE)
    if known:
        return int(known[-1])
    # Django says nothing about lines, and neither does Alembic of its own bookkeeping.
    return 1 if re.search(r"^-- (line \d+|Running upgrade)", sql, re.MULTILINE) else line
