"""`new`: a service's repository from a template, with the record of how it was made."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from backendctl.scaffold.place import Placed, place
from backendctl.scaffold.promises import refuse_unless_sound
from backendctl.scaffold.questions import NEW_QUESTIONS, Answers
from backendctl.scaffold.render import TEMPLATE, Files, Rendered, render_service

SPEC = PurePosixPath("backend.toml")
RECORD = PurePosixPath(".backendctl-template")
"""Committed with the repository: what a later version of the template is merged against."""


@dataclass(frozen=True, slots=True)
class Created:
    """A scaffolded repository."""

    folder: Path
    placed: Placed
    template_version: int


def create_service(folder: Path, answers: Answers, *, merge: bool = False) -> Created:
    """Render the service into `folder`. Raises as `place` does; then nothing was written."""
    rendered = render_service(answers)
    refuse_unless_sound(rendered.files[SPEC])
    placed = place(folder, {**rendered.files, **_record(rendered, answers)}, merge=merge)
    return Created(folder, placed, rendered.version)


def _record(rendered: Rendered, answers: Answers) -> Files:
    """The answers as they would be typed, and a pristine copy of everything rendered."""
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment("Written by `backendctl new`; do not edit."))
    document["template"] = TEMPLATE
    document["version"] = rendered.version
    document["answers"] = {q.key: q.show(answers[q.key]) for q in NEW_QUESTIONS if q.key in answers}
    pristine = {RECORD / "pristine" / name: body for name, body in rendered.files.items()}
    return {RECORD / "answers.toml": tomlkit.dumps(document).encode(), **pristine}
