"""A command in a pod: what is asked of the API server, and what its answer means."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.attach import exit_status, main, path


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=5))
def test_a_command_is_passed_on_word_by_word(argv: list[str]) -> None:
    asked = urlsplit(path("shop-prod", "shop-r1-x", "service", argv, terminal=False))
    assert asked.path == "/api/v1/namespaces/shop-prod/pods/shop-r1-x/exec"
    words = parse_qsl(asked.query, keep_blank_values=True)
    assert [word for name, word in words if name == "command"] == argv


def test_a_terminal_has_one_stream_for_both_kinds_of_output() -> None:
    assert "tty=true" in path("n", "p", "c", ("sh",), terminal=True)
    assert "stderr=false" in path("n", "p", "c", ("sh",), terminal=True)
    assert "stderr=true" in path("n", "p", "c", ("sh",), terminal=False)


def test_success_and_any_other_status_are_passed_on() -> None:
    assert exit_status(b'{"status": "Success"}') == 0
    failed = {
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": "7"}]},
    }
    assert exit_status(json.dumps(failed).encode()) == 7


@pytest.mark.parametrize(
    "body", [b"", b'{"status": "Failure", "message": "container not found"}'], ids=["cut", "told"]
)
def test_a_command_that_was_not_run_has_no_status(body: bytes) -> None:
    with pytest.raises(BackendctlError, match="could not be run"):
        exit_status(body)


class Forbidding(BaseHTTPRequestHandler):
    """An API server at which this account may not enter pods."""

    def do_GET(self) -> None:
        said = {"kind": "Status", "reason": "Forbidden", "message": "ana cannot get pods/exec"}
        body = json.dumps(said).encode()
        self.send_response(403)
        self.send_header("content-length", str(len(body)))
        self.send_header("audit-id", "of no use to anybody")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        return


def test_an_account_that_may_not_enter_pods_is_told_so_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    server = HTTPServer(("127.0.0.1", 0), Forbidding)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [
            {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        ],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    file = tmp_path / "config"
    file.write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(file))
    try:
        status = main(["--namespace=shop", "--pod=shop-r1-x", "--container=service", "--", "true"])
    finally:
        server.shutdown()
        server.server_close()
    assert status == 125
    said = capfd.readouterr().err
    assert "may not run a command in Pod shop-r1-x in namespace shop: ana cannot" in said
    assert "audit-id" not in said
