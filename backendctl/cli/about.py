"""`backendctl schema`: what machines may rely on."""

from enum import StrEnum
from typing import Annotated

import typer

from backendctl.cli.contract import Answer, Session, command


class Subject(StrEnum):
    ANSWER = "answer"
    SPEC = "spec"


@command(
    examples=(
        "backendctl schema                    # of every --output json answer",
        "backendctl schema spec > backend.schema.json",
    )
)
def schema(
    session: Session,
    subject: Annotated[Subject, typer.Argument(help="What to describe.")] = Subject.ANSWER,
) -> Answer:
    """Print a JSON Schema: of JSON answers, or of backend.toml.

    An editor that knows the latter completes and checks backend.toml.
    """
    import json

    if subject is Subject.SPEC:
        from backendctl.spec.schema import spec_schema

        body = spec_schema()
    else:
        from backendctl.cli.schema import answer_schema

        body = answer_schema()
    return Answer(data={"json_schema": body}, text=json.dumps(body, indent=2))
