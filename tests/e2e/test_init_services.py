"""`backendctl init` on services as teams have them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backendctl.spec.load import load_spec
from tests.apps import Name, copy_app, edit

pytestmark = pytest.mark.e2e

BIN = Path(sys.executable).parent


def init(folder: Path, *arguments: str) -> tuple[int, dict[str, object]]:
    result = subprocess.run(
        [BIN / "backendctl", "init", "--output", "json", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    body: dict[str, object] = json.loads(result.stdout)
    assert body["exit"] == result.returncode
    return result.returncode, body


def data_of(body: dict[str, object]) -> dict[str, object]:
    data = body["data"]
    assert isinstance(data, dict)
    return data


@pytest.mark.parametrize(
    ("name", "start", "ready", "engine", "place"),
    [
        ("fastapi", "uvicorn", "/health", "none", "parcels/main.py:5"),
        ("django", "gunicorn", "/healthz", "postgresql", "library/wsgi.py:7"),
        ("express", "node", "/healthz", "none", "package.json:8"),
    ],
)
def test_a_sample_service_needs_no_line_by_hand(
    name: Name, start: str, ready: str, engine: str, place: str, tmp_path: Path
) -> None:
    folder = copy_app(name, tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    exit_status, body = init(folder, "--yes", "--set", "peak_rps=50")
    assert exit_status == 0
    data = data_of(body)
    assert data["kind"] == name
    recognised, assumed = data["recognised"], data["assumed"]
    assert isinstance(recognised, dict)
    assert f"{recognised['start']['file']}:{recognised['start']['line']}" == place
    assert isinstance(assumed, dict)
    assert "p95" in assumed
    assert "peak_rps" not in assumed
    assert data["remarks"] == []
    spec = load_spec(folder)
    assert spec.service.start[0] == start
    assert spec.service.health.ready == ready
    assert spec.data.engine == engine
    assert spec.load.peak_rps == 50
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert set(after) - set(before) == {folder / "backend.toml"}
    assert all(after[path] == content for path, content in before.items())
    assert len((folder / "backend.toml").read_text().splitlines()) < 40


def test_a_backend_toml_is_never_overwritten(tmp_path: Path) -> None:
    folder = copy_app("express", tmp_path)
    (folder / "backend.toml").write_text("# ours\n")
    exit_status, body = init(folder, "--yes")
    assert exit_status == 2
    error = body["error"]
    assert isinstance(error, dict)
    assert error["code"] == "scaffold.not-empty"
    assert (folder / "backend.toml").read_text() == "# ours\n"


def test_what_is_not_recognised_says_what_to_write_and_that_works(tmp_path: Path) -> None:
    exit_status, body = init(tmp_path, "--yes")
    assert exit_status == 2
    error = body["error"]
    assert isinstance(error, dict)
    assert error["code"] == "scaffold.unrecognised"
    assert "--start" in error["next"][0]
    assert not list(tmp_path.iterdir())
    exit_status, body = init(tmp_path, "--yes", "--start", "./serve --port $PORT")
    assert exit_status == 0
    assert load_spec(tmp_path).service.start == ("./serve", "--port", "$PORT")
    assumed = data_of(body)["assumed"]
    assert isinstance(assumed, dict)
    assert assumed["ready"] == "/"


def test_without_a_terminal_and_without_yes_nothing_is_assumed(tmp_path: Path) -> None:
    folder = copy_app("fastapi", tmp_path)
    exit_status, body = init(folder)
    assert exit_status == 2
    error = body["error"]
    assert isinstance(error, dict)
    assert "peak_rps" in error["message"]
    assert not (folder / "backend.toml").exists()


def test_what_was_recognised_can_be_overruled(tmp_path: Path) -> None:
    folder = copy_app("django", tmp_path)
    exit_status, _ = init(
        folder, "--yes", "--set", "ready=/other", "--set", "migrate=", "--set", "database=none"
    )
    assert exit_status == 0
    spec = load_spec(folder)
    assert spec.service.health.ready == "/other"
    assert spec.service.migrate == ()
    assert spec.data.engine == "none"


@pytest.mark.parametrize("name", ["fastapi", "django", "express"])
@pytest.mark.parametrize("kind", ["good", "bad"])
def test_the_edits_of_the_samples_fit(name: Name, kind: str, tmp_path: Path) -> None:
    folder = copy_app(name, tmp_path)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    edit(name, folder, kind)  # type: ignore[arg-type]
    changed = [p for p, content in before.items() if p.read_bytes() != content]
    assert len(changed) == 1
