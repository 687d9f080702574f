"""The watchdog as a program: when it is started anew, and what it works from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.local import watchdog
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.recorded import edges_ms, promises
from backendctl.platforms.local.watchdog import Watchdog
from backendctl.spec.model import Slo
from tests.fakes.rollouts import spec_with


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, "local")


def test_the_same_promises_are_the_same_program(layout: Layout) -> None:
    assert Watchdog(layout, spec_with()).prepare() == Watchdog(layout, spec_with()).prepare()


def test_other_promises_or_another_version_start_it_anew(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Watchdog(layout, spec_with()).prepare()
    other = spec_with().model_copy(update={"slo": Slo(error_rate=0.01, p95=0.4, p99=1.0)})
    assert Watchdog(layout, other).prepare().argv != first.argv
    monkeypatch.setattr(watchdog, "__version__", "99.0")
    assert Watchdog(layout, spec_with()).prepare().argv != first.argv


def test_it_works_from_what_up_wrote_down_whatever_is_in_the_file_now(layout: Layout) -> None:
    Watchdog(layout, spec_with()).prepare()
    (layout.project / "backend.toml").write_text("half a lin")
    assert edges_ms(layout) == (300.0, 1000.0)
    assert promises(layout) == spec_with()
    assert layout.recorded.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("body", ["", "{}", json.dumps({"edges_ms": [], "spec": {"nope": 1}})])
def test_what_cannot_be_read_says_what_to_type(layout: Layout, body: str) -> None:
    layout.recorded.parent.mkdir(parents=True)
    layout.recorded.write_text(body)
    with pytest.raises(BackendctlError) as caught:
        promises(layout)
    assert caught.value.next == ("backendctl up",)
    if '"edges_ms"' not in body:
        with pytest.raises(BackendctlError):
            edges_ms(layout)


def test_while_it_watches_nothing_heavy_is_loaded() -> None:
    code = "import backendctl.workflows.watchdog, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"pydantic", "httpx", "supervisor", "filelock", "rich", "typer", "psutil", "psycopg"}
    assert heavy & set(done.stdout.split()) == set()
