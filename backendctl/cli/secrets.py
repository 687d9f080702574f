"""`backendctl secrets set | list | unset`."""

import os
import sys
from typing import Annotated

import typer

from backendctl.cli.contract import Answer, Session, command, group, register

app = group("Values that only the service's processes see.")

Name = Annotated[str, typer.Argument(help="The environment variable the service reads.")]


@command(
    name="set",
    examples=(
        "backendctl secrets set STRIPE_KEY              # asks, without echo",
        "backendctl secrets set STRIPE_KEY < key.txt",
    ),
)
def set_(session: Session, name: Name) -> Answer:
    """Set a secret from the keyboard or standard input.

    Never from the command line, where other users could read it. It takes effect with the next
    release: a running release keeps what it started with, and a rollback brings back the version it
    had.
    """
    from backendctl.workflows import secrets

    opened = session.open(changes=True)
    secrets.check_name(opened, name)
    if sys.stdin.isatty():
        value = typer.prompt(f"Value of {name}", hide_input=True, err=True)
    else:
        value = os.fsdecode(sys.stdin.buffer.read()).removesuffix("\n")
    version = secrets.set_secret(opened, name, value)
    where = opened.environment.name
    return Answer(
        data={"environment": where, "name": name, "version": version},
        text=f"{name} is set in {where} (version {version}); the next `backendctl deploy` uses it.",
    )


@command(name="list", examples=("backendctl secrets list",))
def list_(session: Session) -> Answer:
    """List names and versions; values are never shown."""

    opened = session.open(changes=False)
    known = dict(sorted(opened.platform.secrets.current().items()))
    lines = [f"{name}  version {version}" for name, version in known.items()]
    where = opened.environment.name
    return Answer(
        data={"environment": where, "secrets": known},
        text="\n".join([f"{where}:", *lines]) if lines else f"{where} has no secrets.",
    )


@command(examples=("backendctl secrets unset STRIPE_KEY",))
def unset(session: Session, name: Name) -> Answer:
    """Forget a secret for releases to come."""
    from backendctl.workflows import secrets

    opened = session.open(changes=True)
    secrets.unset_secret(opened, name)
    where = opened.environment.name
    return Answer(
        data={"environment": where, "name": name},
        text=f"{name} is no longer set in {where}; releases that run keep it until replaced.",
    )


register(app, set_, list_, unset)
