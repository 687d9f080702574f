"""`backendctl init`: an existing service under backendctl."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from backendctl.cli.answering import (
    AnswersOption,
    ListKeysOption,
    SetOption,
    answers_file,
    asker,
    keys,
)
from backendctl.cli.contract import Answer, Session, command

if TYPE_CHECKING:
    from backendctl.scaffold.init import Survey


@command(
    examples=(
        "backendctl init",
        "backendctl init --yes --set peak_rps=400/s",
        "backendctl init --start 'uvicorn shop.web:app --host 127.0.0.1 --port $PORT'",
    )
)
def init(
    session: Session,
    start: Annotated[
        str | None,
        typer.Option(
            "--start", metavar="COMMAND", help="Start command, where it is not recognised."
        ),
    ] = None,
    answers: AnswersOption = None,
    settings: SetOption = None,
    list_keys: ListKeysOption = False,
) -> Answer:
    """Write backend.toml for the service in this folder.

    Whatever language it is written in.

    Recognises FastAPI, Django, Node (Express, Fastify and others), Procfiles and Dockerfiles by
    reading files; runs nothing, changes nothing else. Asks what a repository does not show; --yes
    takes the default of each question, and every assumption is listed. What is recognised can be
    overruled, such as --set ready=/health; --list-keys shows all that can.
    """
    from backendctl.scaffold.given import read_given
    from backendctl.scaffold.init import survey, write_spec
    from backendctl.scaffold.questions import FACTS, INIT_QUESTIONS, resolve

    if list_keys:
        recognised = "what the repository shows"
        return keys(INIT_QUESTIONS, {q.key: recognised for q in FACTS} | {"name": recognised})
    given = read_given(answers_file(session, answers), settings or ())
    values = {**given.values, **({"start": start} if start is not None else {})}
    surveyed = survey(session.directory, str(values["start"]) if "start" in values else None)
    _tell(session, surveyed, values)
    found, assumed = resolve(
        INIT_QUESTIONS,
        {"name": surveyed.facts["name"].value, **values},
        where=given.where,
        defaults=surveyed.defaults,
        ask=asker(session),
        use_defaults=session.yes,
    )
    write_spec(session.directory, surveyed, found)
    shown = {q.key: q.show(found[q.key]) for q in INIT_QUESTIONS if q.key in found}
    guessed = [k for k, f in surveyed.facts.items() if not f.certain and k not in values]
    assumptions = {key: shown[key] for key in (*guessed, *assumed)}
    data = {
        "file": str(session.directory / "backend.toml"),
        "kind": surveyed.kind,
        "recognised": {k: _place(f) for k, f in surveyed.facts.items() if k not in values},
        "answers": shown,
        "assumed": assumptions,
        "remarks": [
            {"text": r.text, "file": r.file or None, "line": r.line or None}
            for r in surveyed.remarks
        ],
    }
    return Answer(data=data, text=_text(surveyed, assumptions))


def _place(found: Any) -> dict[str, Any]:
    return {
        "value": found.value,
        "file": found.file or None,
        "line": found.line or None,
        "why": found.why,
        "certain": found.certain,
    }


def _tell(session: Session, surveyed: "Survey", given: dict[str, object]) -> None:
    """What was recognised, before anything is asked."""
    session.line(f"recognised: {surveyed.kind}")
    for key, found in surveyed.facts.items():
        if key not in given:
            where = ", ".join(part for part in (found.place, found.why) if part)
            session.line(f"  {key:<9} {found.value}" + (f"   ({where})" if where else ""))


def _text(surveyed: "Survey", assumptions: dict[str, str]) -> str:
    lines = ["backend.toml written"]
    if assumptions:
        lines.append("assumed, change them there:")
        lines += [f"  {key} = {value or 'none'}" for key, value in assumptions.items()]
    if surveyed.remarks:
        lines.append("to mend before it runs well:")
        lines += [f"  {r.place + ': ' if r.place else ''}{r.text}" for r in surveyed.remarks]
    return "\n".join([*lines, "next:", "  backendctl advise", "  backendctl up"])
