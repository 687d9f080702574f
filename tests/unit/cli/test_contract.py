"""The command-line contract, through a real process: what a shell and a script see."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backendctl import __version__
from backendctl.cli.answer import Answer, envelope
from backendctl.cli.quantities import duration, rate
from backendctl.cli.schema import answer_schema
from backendctl.errors import ERRORS, BackendctlError, Exit

HEAVY = (
    "pulumi",
    "pulumi_aws",
    "kubernetes",
    "locust",
    "gevent",
    "pydantic",
    "httpx",
    "rich",
    "jinja2",
    "psycopg",
    "supervisor",
    "tomlkit",
    "envoy",
    "psutil",
    "jwt",
)


def run(*words: str, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", "from backendctl.cli.main import main; main()", *words],
        cwd=cwd,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_imports_no_heavy_module(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['backendctl', '--help']\n"
        "from backendctl.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Usage: backendctl" in done.stdout


@pytest.mark.parametrize("form", [["--output", "json"], ["--output=json"], ["-o", "json"]])
def test_a_wrong_option_is_an_envelope_with_exit_2(tmp_path: Path, form: list[str]) -> None:
    done = run("schema", "--bogus", *form, cwd=tmp_path)
    answer = json.loads(done.stdout)
    assert done.returncode == answer["exit"] == Exit.USAGE
    assert answer["error"]["code"] == "usage"
    assert "--bogus" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("typed", "help_line"),
    [
        (["stauts"], "backendctl --help"),
        (["rollout", "wach"], "backendctl rollout --help"),
        (["schema", "--bogus"], "backendctl schema --help"),
    ],
)
def test_a_mistyped_word_leads_to_a_help_that_exists(
    tmp_path: Path, typed: list[str], help_line: str
) -> None:
    done = run(*typed, cwd=tmp_path)
    assert done.returncode == Exit.USAGE
    assert done.stderr.splitlines()[-1].split(maxsplit=1)[1] == help_line


def test_a_bare_number_is_a_rate_but_no_duration() -> None:
    assert rate("--traffic", "100") == 100.0
    with pytest.raises(BackendctlError, match="is not a duration"):
        duration("--bake", "3")


def test_the_output_form_can_come_from_the_environment(tmp_path: Path) -> None:
    done = run("schema", cwd=tmp_path, BACKENDCTL_OUTPUT="json")
    assert json.loads(done.stdout)["ok"] is True


def test_text_errors_go_to_stderr_and_say_what_to_type(tmp_path: Path) -> None:
    done = run("down", cwd=tmp_path)
    assert done.returncode == Exit.USAGE
    assert done.stdout == ""
    assert "[spec.missing]" in done.stderr
    assert "next:" in done.stderr


def test_every_answer_fits_the_published_schema(tmp_path: Path) -> None:
    published = json.loads(run("schema", "-o", "json", cwd=tmp_path).stdout)
    assert published["data"]["json_schema"] == json.loads(json.dumps(answer_schema()))
    schema = published["data"]["json_schema"]
    for words in (["schema"], ["down"], ["schema", "--bogus"], ["nonsense"]):
        answer = json.loads(run(*words, "-o", "json", cwd=tmp_path).stdout)
        assert set(answer) == set(schema["required"])
        if answer["error"] is not None:
            error = schema["properties"]["error"]["anyOf"][0]
            assert set(answer["error"]) == set(error["required"])
            assert answer["error"]["code"] in error["properties"]["code"]["enum"]


def test_an_error_says_why_and_what_state_things_are_in_apart() -> None:
    error = BackendctlError("missing.server", "m", cause="c", state="s", next=("backendctl up",))
    assert envelope("up", Answer(exit=error.exit, error=error))["error"] == {
        "code": "missing.server",
        "message": "m",
        "cause": "c",
        "state": "s",
        "next": ["backendctl up"],
    }


_STYLED = """
from rich.table import Table
from backendctl.cli.contract import Answer, Session, Output
session = Session("x", output=Output.TEXT)
with session.step("Working") as say:
    say("at it")
table = Table(header_style="dim")
table.add_column("title")
def show(console):
    console.print("[bold red]loud[/]")
    console.print(table)
session.give(Answer(text=show))
"""


@pytest.mark.parametrize(("no_color", "escapes"), [("1", False), ("", True)])
def test_with_no_color_a_terminal_gets_no_escape_sequence_at_all(
    no_color: str, escapes: bool
) -> None:
    told, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _STYLED],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", "NO_COLOR": no_color},
    )
    os.close(terminal)
    said = b""
    with contextlib.suppress(OSError):  # how a terminal says that the last writer left
        while part := os.read(told, 4096):
            said += part
    os.close(told)
    process.wait()
    assert b"loud" in said
    assert b"Working: ok" in said
    assert (b"\x1b" in said) is escapes


def test_a_bug_keeps_its_traceback_in_a_private_file(tmp_path: Path) -> None:
    code = (
        "import backendctl.cli.main as m\n"
        "def boom(): raise RuntimeError('unforeseen')\n"
        "m.application = boom\n"
        "m.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == Exit.BUG
    (file,) = (tmp_path / "backendctl").iterdir()
    assert "RuntimeError: unforeseen" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert str(file) in done.stderr


def test_ctrl_c_at_a_question_says_that_nothing_was_changed(tmp_path: Path) -> None:
    told, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", "from backendctl.cli.main import main; main()", "new", "shop"],
        cwd=tmp_path,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    said = b""
    while b"[items]" not in said:
        said += os.read(told, 4096)
    # A signal between the question and the read that waits for its answer is noticed only after
    # that read: a person presses again, and so do we; not while a busy machine still ends the
    # process, whose last words a second one would cut off.
    for _ in range(6):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
            break
    assert process.returncode == Exit.INTERRUPTED
    assert b"nothing was changed" in os.read(told, 4096)
    os.close(told)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", ["doctor", "init", "status", "new", "demo"])
def test_a_folder_that_is_not_there_is_a_usage_error_everywhere(tmp_path: Path, word: str) -> None:
    done = run(word, "--directory", "absent", "--output", "json", "--yes", cwd=tmp_path)
    assert done.returncode == json.loads(done.stdout)["exit"] == Exit.USAGE
    assert "absent" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_error_code_is_refused_at_once() -> None:
    with pytest.raises(KeyError, match="not in the table"):
        BackendctlError("no.such.code", "x")


def test_every_error_code_leads_to_a_failing_exit() -> None:
    assert all(exit != Exit.OK for exit, _ in ERRORS.values())


def test_the_version_is_said_without_a_command(tmp_path: Path) -> None:
    done = run("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"backendctl {__version__}\n")


def test_no_command_at_all_shows_the_help(tmp_path: Path) -> None:
    for words in ([], ["rollout"]):
        done = run(*words, cwd=tmp_path)
        assert "Commands:" in done.stdout
        assert (done.returncode, done.stderr) == (Exit.USAGE, "")


def test_no_command_at_all_is_an_envelope_where_json_is_wanted(tmp_path: Path) -> None:
    done = run("rollout", cwd=tmp_path, BACKENDCTL_OUTPUT="json")
    assert done.returncode == json.loads(done.stdout)["exit"] == Exit.USAGE
