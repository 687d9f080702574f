"""`backendctl new`: a new service's repository."""

import shlex
from pathlib import Path
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
from backendctl.errors import BackendctlError, Exit

if TYPE_CHECKING:
    from backendctl.scaffold.history import History
    from backendctl.scaffold.new import Created


@command(
    examples=(
        "backendctl new shop",
        "backendctl new shop --yes --set resource=orders --set peak_rps=400/s",
        "backendctl new shop --answers answers.toml --output json",
        "backendctl new --list-keys           # what --set and --answers take",
        "backendctl new . --merge             # into a folder that holds files",
    )
)
def new(
    session: Session,
    folder: Annotated[
        Path | None, typer.Argument(help="Folder to make; its name is the service's name.")
    ] = None,
    answers: AnswersOption = None,
    settings: SetOption = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Add to a folder that holds files; overwrites nothing.")
    ] = False,
    git: Annotated[
        bool, typer.Option("--git/--no-git", help="Make it a git repository with a first commit.")
    ] = True,
    list_keys: ListKeysOption = False,
) -> Answer:
    """Scaffold a FastAPI service with its backend.toml.

    On PostgreSQL and Valkey, with tests, migrations, metrics and a Dockerfile.

    Asks a few questions; --yes takes the default of each that was not answered by --set or
    --answers. A folder that holds files is refused unless --merge is said: then files that differ
    stay, and the new ones are written beside them as NAME.new.
    """
    from backendctl.scaffold.accepted import slug
    from backendctl.scaffold.given import read_given
    from backendctl.scaffold.history import History, begin_history
    from backendctl.scaffold.new import create_service
    from backendctl.scaffold.place import refuse_unless_free
    from backendctl.scaffold.questions import NEW_QUESTIONS, resolve

    if list_keys:
        return keys(NEW_QUESTIONS, {"name": "the folder's name"})
    given = read_given(answers_file(session, answers), settings or ())
    if folder is None and "name" not in given.values:
        raise BackendctlError(
            "usage", "which folder is the service to be made in?", next=("backendctl new shop",)
        )
    target = (session.directory / (folder or Path(str(given.values["name"])))).resolve()
    refuse_unless_free(target, merge=merge)  # before anybody answers questions for nothing
    found, assumed = resolve(
        NEW_QUESTIONS,
        {"name": slug(target.name) or "service", **given.values},
        where=given.where,
        ask=asker(session),
        use_defaults=session.yes,
    )
    created = create_service(target, found, merge=merge)
    history = History(False, False, "--no-git")
    if git and not merge:
        history = begin_history(target, f"Scaffold {found['name']}")
    shown = {q.key: q.show(found[q.key]) for q in NEW_QUESTIONS if q.key in found}
    assumptions = {key: shown[key] for key in assumed}
    return _answer(created, history, shown, assumptions)


def _answer(
    created: "Created", history: "History", answers: dict[str, str], assumed: dict[str, str]
) -> Answer:
    placed = created.placed
    conflicts = [{"kept": kept, "new": new} for kept, new in placed.conflicts]
    data: dict[str, Any] = {
        "folder": str(created.folder),
        "answers": answers,
        "assumed": assumed,
        "template_version": created.template_version,
        "written": list(placed.written),
        "unchanged": list(placed.unchanged),
        "conflicts": conflicts,
        "git": {
            "repository": history.repository,
            "commit": history.commit,
            "reason": history.reason,
            "next": list(history.next),
        },
    }
    error = None
    if conflicts:
        error = BackendctlError(
            "scaffold.conflicts",
            f"{len(conflicts)} files were there already with other content and were kept",
            cause="\n".join(f"{c['kept']} stays; the template's is {c['new']}" for c in conflicts),
            state="everything else was written; nothing was overwritten",
            next=tuple(f"diff {c['kept']} {c['new']}" for c in conflicts[:3]),
        )
    return Answer(
        data=data,
        text=_text(created, history, assumed),
        exit=Exit.OK if error is None else error.exit,
        error=error,
    )


def _text(created: "Created", history: "History", assumed: dict[str, str]) -> str:
    files = [name for name in created.placed.written if not name.startswith(".backendctl-template")]
    lines = [f"{created.folder}: {len(files)} files written"]
    if assumed:
        lines.append("assumed, change them in backend.toml: " + _pairs(assumed))
    if history.commit:
        lines.append("git: a repository with a first commit")
    elif history.repository:
        lines.append(f"git: a repository; the first commit was not made: {history.reason}")
    elif history.reason and history.reason != "--no-git":
        lines.append(f"git: nothing done ({history.reason})")
    if not created.placed.conflicts:
        following = (f"cd {shlex.quote(_shown(created.folder))}", *history.next, "backendctl up")
        lines += ["next:", *(f"  {line}" for line in following)]
    return "\n".join(lines)


def _pairs(values: dict[str, str]) -> str:
    return ", ".join(f"{key} = {value or 'none'}" for key, value in values.items())


def _shown(folder: Path) -> str:
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)
