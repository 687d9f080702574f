"""Windows, approvals and notifications, through the real command, as a team would set them."""

import json
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.commands import Project
from tests.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("policy")]
SERVICE = Path(__file__).parents[1] / "conformance" / "service"
SPEC = """
[service]
name = "shop"
start = "{python} app.py --port=$PORT"

[load]
peak_rps = "20/s"

[rollout]
strategy = "blue-green"
bake = "1s"
approvals = [100]
synthetic = "60/s"
freezes = ["2000-01-01 to 2999-12-31: for this test"]

[notifications.team]
kind = "webhook"
secret = "HOOK"
"""


@pytest.fixture
def heard() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A webhook's URL, and what it hears: (news, reason)."""
    said: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            said.append((body["news"], body["reason"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/not-for-everybody", said
    server.shutdown()
    server.server_close()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    found = Project(Path(shutil.copytree(SERVICE, tmp_path / "shop")))
    found.write("backend.toml", SPEC.format(python=sys.executable))
    yield found
    found.run("down", "--purge", "--confirm", "local")
    assert found.processes() == []


def test_a_frozen_deploy_goes_on_by_itself_waits_for_approval_and_tells_the_team(
    project: Project, heard: tuple[str, list[tuple[str, str]]], tmp_path: Path
) -> None:
    url, news = heard
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}

    # given a secret for the team's webhook, set before anything was ever up, and a release
    assert project.run("secrets", "set", "HOOK", stdin=url).exit == 0
    assert project.run("up").exit == 0
    news.clear()

    # when somebody deploys in a freeze, it is refused with the way to do it anyway
    refused = project.run("deploy")
    assert (refused.exit, refused.code) == (3, "rollout.closed")
    assert "for this test" in refused.text
    assert "--outside-window" in refused.text

    # and with a reason it begins, detached, and waits for an approval with no user on it
    begun = project.run("deploy", "--outside-window", "a fix", "--detach", **state)
    assert (begun.exit, begun.code) == (3, "rollout.detached"), begun.text
    rollout, log = begun.data["rollout"], Path(begun.data["log"])
    assert log.stat().st_mode & 0o777 == 0o600

    def waits() -> bool:
        hold = (project.run("rollout", "status").data["rollout"] or {}).get("hold")
        return hold is not None or "waits" in [each for each, _ in news]

    assert eventually(waits, 60.0), log.read_text()
    status = project.run("status").data
    assert [(r["number"], r["weight"]) for r in status["releases"] if r["weight"]] == [(1, 100)]

    # then only an approval lets it go on, and whoever follows it exits as the deploy does
    assert project.run("rollout", "resume").code == "rollout.state"
    assert project.run("rollout", "approve", "--reason", "looked at the preview").exit == 0
    assert project.run("rollout", "watch", rollout).exit == 0
    assert project.run("status").data["stable"] == 2
    assert eventually(lambda: "promoted" in [each for each, _ in news], 20.0), news
    assert [each for each, _ in news] == ["began", "waits", "promoted"]

    # and its history says whose word it was each time, and the hook's URL is nowhere
    told = json.dumps(project.run("rollout", "history", rollout).data)
    assert "a fix" in told
    assert "looked at the preview" in told
    everything = log.read_text() + told
    assert "not-for-everybody" not in everything
    assert begun.data["pid"] > 0
    assert eventually(lambda: not Path(f"/proc/{begun.data['pid']}").exists(), 20.0)
