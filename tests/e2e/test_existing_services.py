"""Services that were not scaffolded: recognised, started, released well and badly, load-tested."""

import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.commands import Project

APPS = Path(__file__).parents[1] / "apps"
EDITS = tomllib.loads((APPS / "edits.toml").read_text())

BY_HAND = """
[rollout]
steps = [50]
warm_up = "1s"
step_time = "5s"
bake = "3s"
"""
"""All that is written by hand: five lines."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(params=["fastapi", "django", "express"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def project(kind: str, tmp_path: Path) -> Iterator[Project]:
    if kind == "express" and shutil.which("npm") is None:
        pytest.skip("npm is not on this machine: the Express service cannot be installed")
    found = Project(Path(shutil.copytree(APPS / kind, tmp_path / kind)))
    yield found
    if (found.folder / "backend.toml").exists():
        found.run("down", "--purge", "--confirm", "local")
    assert found.processes() == []


def edit(project: Project, kind: str, which: str) -> None:
    """Change the service as it first was."""
    change = EDITS[kind][which]
    text = (APPS / kind / change["file"]).read_text()
    assert text.count(change["find"]) == 1
    (project.folder / change["file"]).write_text(text.replace(change["find"], change["replace"]))


def test_from_init_to_rollback(project: Project, kind: str) -> None:
    # given a repository that never heard of us
    recognised = project.run("init", "--yes", "--set", "peak_rps=40/s", "--set", "p95=500ms")
    assert recognised.exit == 0
    assert recognised.data["kind"] == kind
    spec = project.folder / "backend.toml"
    spec.write_text(spec.read_text() + BY_HAND)

    # when it is started
    up = project.run("up")
    assert up.exit == 0, up.text
    url = up.data["url"]
    assert httpx.get(url + recognised.data["answers"]["ready"]).status_code == 200

    # then a good release is promoted by canary
    edit(project, kind, "good")
    good = project.run("deploy", "--traffic", "80/s")
    assert (good.exit, good.data["result"]) == (0, "promoted"), good.text

    # and a bad one is rolled back by the verdict, saying why
    edit(project, kind, "bad")
    bad = project.run("deploy", "--traffic", "80/s")
    assert (bad.exit, bad.code) == (1, "rollout.rolled-back"), bad.text
    assert "candidate failed" in bad.data["reason"]
    why = project.run("rollout", "explain")
    assert why.exit == 0

    # and the release before is a second away
    back = project.run("rollback")
    assert (back.exit, back.data["candidate"]) == (0, 1), back.text

    # and twice the expected peak is offered, without an error
    test = project.run("loadtest", "run", "--quick")
    assert abs(test.data["offered_rps"] - 80) <= 0.8
    assert test.data["errors"] == 0
    # `invalid` says that this machine was too busy to measure; it must never read as a failure
    assert test.data["result"] in ("pass", "invalid"), test.data["verdict"]
