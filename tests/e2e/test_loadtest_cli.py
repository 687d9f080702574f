"""`backendctl loadtest` as a user and a pipeline meet it."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import psutil
import pytest

from tests.fakes.http_service import http_service
from tests.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("loadtest")]

BACKENDCTL = str(Path(sys.executable).with_name("backendctl"))
PROMISES = """
[service]
name = "shop"
start = "sleep 1000"

[load]
peak_rps = 60
peak_users = 60
think_time = "1s"

[slo]
p95 = "1s"
p99 = "2s"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "backend.toml").write_text(PROMISES)
    return tmp_path


def backendctl(project: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [BACKENDCTL, *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def answer(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["exit"] == done.returncode
    return found


def test_run_report_and_compare_agree_with_each_other(project: Path) -> None:
    junit = project / "junit.xml"
    with http_service() as service:
        done = backendctl(
            project,
            *("loadtest", "run", "--quick", "--hold", "4s", "--only", "open"),
            *("--target", service.url, "--output", "jsonl", "--junit", str(junit)),
        )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = lines[-1]
    assert found["exit"] == done.returncode == 0, done.stderr
    assert found["data"]["result"] == "pass"
    assert found["data"]["offered_rps"] == pytest.approx(120, rel=0.01)
    Xml.parse(junit)  # noqa: S314 - our own
    assert Path(found["data"]["report"]).read_text().startswith("<!doctype html>")
    seconds = [line["data"] for line in lines if line.get("event") == "loadtest.progress"]
    assert {"stage", "rps", "errors", "p95_ms", "in_flight"} <= seconds[0].keys()
    assert "hold" in {each["stage"] for each in seconds}
    test = found["data"]["id"]
    shown = answer(backendctl(project, "loadtest", "report", test, "-o", "json"))
    assert shown["data"] == found["data"]
    compared = answer(backendctl(project, "loadtest", "compare", test, "-o", "json"))["data"]
    assert [d["distinguishable"] for d in compared["differences"]] == [False] * 3
    listed = answer(backendctl(project, "loadtest", "report", "--list", "-o", "json"))
    assert [each["id"] for each in listed["data"]["loadtests"]] == [test]


def test_the_plan_says_what_would_be_sent_and_sends_no_load(project: Path) -> None:
    with http_service() as service:
        done = backendctl(project, "loadtest", "plan", "--target", service.url, "-o", "json")
        text = backendctl(project, "loadtest", "plan", "--target", service.url)
        seen = service.seen()["seen"]
    data = answer(done)["data"]
    assert data["profile"]["offered_rps"] == 120
    assert not data["needs_confirmation"]
    assert [o["name"] for o in data["operations"]] == ["GET /readyz", "GET /"]
    assert "120.0 requests/s" in text.stdout
    assert sum(seen.values()) == 4


@pytest.mark.parametrize("given", [(), ("--confirm", "local"), ("--yes",)])
def test_a_target_elsewhere_needs_its_own_name_typed_before_anything_is_sent(
    project: Path, given: tuple[str, ...]
) -> None:
    # A name reserved never to exist: had anything been sent, the error would be another.
    done = backendctl(
        project, "loadtest", "run", "--target", "http://shop.invalid", *given, "-o", "json"
    )
    found = answer(done)
    assert (found["exit"], found["error"]["code"]) == (2, "usage.confirmation")


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (("run", "--target", "ftp://x"), 2, "usage"),
        (("run", "--hold", "soon"), 2, "usage"),
        (("run", "--with", "spikes"), 2, "usage"),
        (("run", "--path", "items"), 2, "usage"),
        (("run",), 5, "missing.environment"),
        (("report",), 2, "missing.data"),
        (("compare", "x"), 2, "missing.data"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_code(
    project: Path, arguments: tuple[str, ...], status: int, code: str
) -> None:
    found = answer(backendctl(project, "loadtest", *arguments, "--output", "json"))
    assert (found["exit"], found["error"]["code"]) == (status, code)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_and_its_generators_and_keeps_the_partial_result(
    project: Path, sent: signal.Signals
) -> None:
    with http_service() as service:
        process = subprocess.Popen(
            [
                BACKENDCTL,
                *("loadtest", "run", "--target", service.url, "-o", "jsonl"),
            ],
            cwd=project,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("event") == "loadtest.progress":
                break
        process.send_signal(sent)
        out, _ = process.communicate(timeout=30)
    last = json.loads(out.splitlines()[-1])
    assert process.returncode == last["exit"] == 130
    assert "backendctl loadtest report" in last["error"]["next"][0]
    assert eventually(lambda: not _left(project), 5, every=0.05)
    kept = answer(backendctl(project, "loadtest", "report", "-o", "json"))
    assert kept["data"]["interrupted"] is True
    assert kept["data"]["result"] != "pass"


def _left(project: Path) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(str(project) in part for part in process.info["cmdline"] or ())
    ]
