"""`backendctl schema`: what machines may rely on."""

from enum import StrEnum
from typing import Annotated

import typer

from backendctl.cli.contract import Answer, Session, command
from backendctl.errors import BackendctlError


class Subject(StrEnum):
    ANSWER = "answer"
    SPEC = "spec"
    KEYS = "keys"


@command(
    examples=(
        "backendctl schema                    # of every --output json answer",
        "backendctl schema spec > backend.schema.json",
        "backendctl schema keys               # of backend.toml, for people",
        "backendctl schema keys rollout       # of one table",
    )
)
def schema(
    session: Session,
    subject: Annotated[
        Subject,
        typer.Argument(help="Of JSON answers, of backend.toml (spec), or its keys in words."),
    ] = Subject.ANSWER,
    table: Annotated[
        str | None, typer.Argument(help="With keys: only this table of backend.toml.")
    ] = None,
) -> Answer:
    """Print what backend.toml may say, or the JSON Schema of answers.

    An editor that knows the schema of backend.toml completes and checks it.
    """
    import json

    if table is not None and subject is not Subject.KEYS:
        raise BackendctlError(
            "usage",
            f"{table!r}: only `keys` takes a table",
            next=(f"backendctl schema keys {table}",),
        )
    if subject is Subject.KEYS:
        from backendctl.spec.reference import reference_text

        text = reference_text(table or "")
        return Answer(data={"text": text}, text=text)
    if subject is Subject.SPEC:
        from backendctl.spec.schema import spec_schema

        body = spec_schema()
    else:
        from backendctl.cli.schema import answer_schema

        body = answer_schema()
    return Answer(data={"json_schema": body}, text=json.dumps(body, indent=2))
