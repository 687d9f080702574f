"""All recognisers in their order."""

from dataclasses import replace
from pathlib import Path

from backendctl.scaffold.recognise.declared import (
    procfile_release,
    procfile_start,
    recognise_dockerfile,
    recognise_procfile,
)
from backendctl.scaffold.recognise.django_project import recognise_django
from backendctl.scaffold.recognise.facts import Recognition
from backendctl.scaffold.recognise.fastapi_app import recognise_fastapi
from backendctl.scaffold.recognise.node_app import recognise_node
from backendctl.scaffold.recognise.repository import Repository

RECOGNISERS = (
    recognise_django,
    recognise_fastapi,
    recognise_node,
    recognise_procfile,
    recognise_dockerfile,
)
"""The most telling first: a Django project may well have a package.json for its front end."""
LOOKED_FOR = (
    "a FastAPI(...) application",
    "Django's manage.py",
    "package.json with a start script, a main file or a server",
    "a Procfile with a web: line",
    "a Dockerfile with a CMD or ENTRYPOINT",
)


def recognise(root: Path) -> Recognition | None:
    """What the repository is; None if nothing we know of. Reads files, runs nothing.

    A Procfile's `web:` and `release:` lines go before what a framework's sources suggest: they
    are what the team says it runs.
    """
    repository = Repository(root)
    for recogniser in RECOGNISERS:
        found = recogniser(repository)
        if found is not None:
            return _as_stated(repository, found)
    return None


def _as_stated(repository: Repository, found: Recognition) -> Recognition:
    stated = procfile_start(repository)
    if stated is None or found.kind.value == "procfile":
        return found
    return replace(
        found,
        start=stated.start,
        migrate=procfile_release(repository) or stated.migrate or found.migrate,
        remarks=(*found.remarks, *stated.remarks),
    )
