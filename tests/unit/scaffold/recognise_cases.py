"""Tiny repositories for tests, and what is recognised in them."""

from pathlib import Path

from backendctl.scaffold.recognise.detect import recognise
from backendctl.scaffold.recognise.facts import Recognition

APP = "from fastapi import FastAPI\n\napp = FastAPI()\n"
UVICORN = "--host 127.0.0.1 --port $PORT --timeout-graceful-shutdown 25 --timeout-keep-alive 75"

Tree = dict[str, str]


def repository(folder: Path, tree: Tree) -> Path:
    for name, text in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def recognised(folder: Path, tree: Tree) -> Recognition:
    found = recognise(repository(folder, tree))
    assert found is not None
    return found


def remarks(found: Recognition) -> str:
    return "\n".join(f"{r.place} {r.text}" for r in found.remarks)
