"""Bad input and faults at the command line: the right exit status, clear words, nothing lost."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.commands import Project, Said
from tests.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("command-faults")]
SERVICE = Path(__file__).parents[1] / "conformance" / "service"
USERS = ("--traffic", "60/s")
SPEC = """
[service]
name = "shop"
start = "{python} app.py --port=$PORT"
{service}

[load]
peak_rps = "20/s"

[rollout]
strategy = "blue-green"
bake = "{bake}"
ready_deadline = "4s"

[environments.local]
{local}
variables = {{ {variables} }}
"""


def backend_toml(
    *, variables: str = "", local: str = "", service: str = "", more: str = "", bake: str = "1s"
) -> str:
    return (
        SPEC.format(
            python=sys.executable, service=service, local=local, variables=variables, bake=bake
        )
        + more
    )


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    found = Project(Path(shutil.copytree(SERVICE, tmp_path / "shop")))
    found.write("backend.toml", backend_toml())
    yield found
    found.write("backend.toml", backend_toml())
    found.run("down", "--purge", "--confirm", "local")
    assert found.processes() == []
    assert not (found.folder / ".backendctl").exists()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose first release serves; tests bring it back to that."""
    folder = tmp_path_factory.mktemp("serving") / "shop"
    found = Project(Path(shutil.copytree(SERVICE, folder)))
    found.write("backend.toml", backend_toml())
    up = found.run("up")
    assert up.exit == 0, up.text
    yield found
    found.run("down", "--purge", "--confirm", "local")
    assert found.processes() == []


def assert_serves(project: Project, release: int) -> None:
    """Users get answers from `release`, no rollout is in flight and nothing else runs."""
    status = project.run("status").data
    assert status["stable"] == release
    assert status["rollout"] is None
    assert [(r["number"], r["weight"]) for r in status["releases"]] == [(release, 100)]
    assert httpx.get(status["url"] + "/").json()["release"] == str(release)


def stable(project: Project) -> int:
    return int(project.run("status").data["stable"])


# --- input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ('[service]\nname = "shop\n', "spec.syntax", "backend.toml:2"),
        (backend_toml(more='\n[cahce]\nttl = "5s"\n'), "spec.invalid", "did you mean"),
        (backend_toml(more='\n[slo]\np95 = "2s"\np99 = "1s"\n'), "spec.contradiction", "p95"),
    ],
    ids=["broken", "unknown-key", "contradictory"],
)
def test_a_wrong_backend_toml_is_named_by_line(
    tmp_path: Path, text: str, code: str, said: str
) -> None:
    project = Project(tmp_path)
    project.write("backend.toml", text)
    found = project.run("up")
    assert (found.exit, found.code) == (2, code)
    assert said in found.text
    assert not (tmp_path / ".backendctl").exists()


def test_a_taken_port_names_who_has_it(project: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        project.write("backend.toml", backend_toml(local=f"port = {port}"))
        found = project.run("up")
    assert (found.exit, found.code) == (5, "platform.port-taken")
    assert str(port) in found.text
    assert str(os.getpid()) in found.text


# --- disks --------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for almost nothing."""
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("mounting a small disk needs root on Linux")
    mount = tmp_path / "disk"
    mount.mkdir()
    options = ["-t", "tmpfs", "-o", "size=256k", "tmpfs"]
    done = subprocess.run(["mount", *options, str(mount)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def test_a_full_disk_is_said_and_leaves_nothing_running(small_disk: Path) -> None:
    project = Project(Path(shutil.copytree(SERVICE, small_disk / "shop")))
    project.write("backend.toml", backend_toml())
    project.write("filling", "x" * 120_000)
    found = project.run("up")
    assert (found.exit, found.code) == (5, "platform.disk-full"), found.text
    assert (project.folder / "app.py").read_text() == (SERVICE / "app.py").read_text()
    (project.folder / "filling").unlink()
    project.run("down")
    assert project.processes() == []


def fill(disk: Path) -> None:
    """Write until there is no room."""
    with (disk / "filling").open("wb", buffering=0) as filling:
        for _ in range(10_000):
            filling.write(b"x" * 65536)


def test_an_environment_on_a_full_disk_can_be_stopped(small_disk: Path) -> None:
    # given an environment that runs while something else fills its disk
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    project = Project(Path(shutil.copytree(SERVICE, small_disk / "shop")))
    project.write("backend.toml", backend_toml())
    up = project.run("up")
    assert up.exit == 0, up.text
    with pytest.raises(OSError, match="space"):
        fill(small_disk)
    # when it is stopped
    down = project.run("down")
    # then it is, and says so
    assert down.exit == 0, down.text
    assert project.processes() == []


def test_a_read_only_folder_is_said(small_disk: Path) -> None:
    project = Project(Path(shutil.copytree(SERVICE, small_disk / "shop")))
    project.write("backend.toml", backend_toml())
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    found = project.run("up")
    assert (found.exit, found.code) == (5, "platform.permission"), found.text
    assert project.processes() == []


# --- releases -----------------------------------------------------------------------------------


def test_a_release_that_does_not_start_shows_its_last_words(project: Project) -> None:
    project.write("backend.toml", backend_toml(variables='EXIT_AT_START = "3"'))
    found = project.run("up")
    assert found.exit == 1
    assert "cannot reach the flux capacitor" in found.text
    status = project.run("status").data
    assert (status["stable"], status["releases"]) == (None, [])


def test_a_release_that_is_never_ready_leaves_the_stable_one(serving: Project) -> None:
    before = stable(serving)
    serving.write("backend.toml", backend_toml(variables='READY = "no"'))
    found = serving.run("deploy", *USERS)
    assert (found.exit, found.code) == (1, "rollout.rolled-back"), found.text
    assert_serves(serving, before)


def test_a_release_that_dies_in_its_bake_is_undone(serving: Project) -> None:
    before = stable(serving)
    serving.write("backend.toml", backend_toml(variables='DIE_AFTER = "5"', bake="20s"))
    found = serving.run("deploy", *USERS)
    assert (found.exit, found.code) == (1, "rollout.rolled-back"), found.text
    assert_serves(serving, before)


def test_a_failing_migration_stops_the_release_before_it_starts(project: Project) -> None:
    project.write(
        "backend.toml",
        backend_toml(
            service="migrate = \"sh -c 'echo no such table: orders; exit 4'\"",
            more='\n[data]\nengine = "postgresql"\n',
        ),
    )
    found = project.run("up")
    assert found.exit == 1
    assert "no such table: orders" in found.text


# --- signals ------------------------------------------------------------------------------------


def await_words(process: "subprocess.Popen[str]", words: str) -> str:
    """Read what a command says until it says `words`."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it never said {words!r} but: {said}")


def end(project: Project, process: "subprocess.Popen[str]", sign: int) -> Said:
    process.send_signal(sign)
    out, err = process.communicate(timeout=90)
    return project.said(process.returncode, out, err)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "moment",
    ["Packaging", "starting the candidate", "preview route", "traffic: release", "watching it"],
)
def test_a_deploy_can_be_stopped_at_any_moment(serving: Project, sign: int, moment: str) -> None:
    before = stable(serving)
    serving.write("backend.toml", backend_toml(bake="30s"))
    process = serving.start("deploy", *USERS)
    await_words(process, moment)
    found = end(serving, process, sign)
    assert (found.exit, found.code) == (130, "interrupted"), found.text
    assert_serves(serving, before)


@pytest.mark.parametrize("moment", ["Starting the servers", "Packaging", "watching whether"])
def test_an_up_can_be_stopped_and_tried_again(project: Project, moment: str) -> None:
    project.write("backend.toml", backend_toml(bake="8s"))
    process = project.start("up")
    await_words(process, moment)
    found = end(project, process, signal.SIGTERM)
    assert (found.exit, found.code) == (130, "interrupted"), found.text
    project.write("backend.toml", backend_toml())
    again = project.run("up")
    assert again.exit == 0, again.text
    assert_serves(project, again.data["release"])


def test_a_load_test_can_be_stopped_and_leaves_no_process(serving: Project) -> None:
    def generators() -> list[str]:
        return [words for words in serving.processes() if "backendctl.loadtest" in words]

    process = serving.start("loadtest", "run")
    assert eventually(lambda: bool(generators()), 30)
    found = end(serving, process, signal.SIGINT)
    assert (found.exit, found.code) == (130, "interrupted"), found.text
    assert generators() == []


# --- rivals and deaths --------------------------------------------------------------------------


def test_a_second_deploy_is_told_who_holds_the_environment(serving: Project) -> None:
    before = stable(serving)
    serving.write("backend.toml", backend_toml(bake="30s"))
    first = serving.start("deploy", *USERS)
    await_words(first, "starting the candidate")
    second = serving.run("deploy")
    assert (second.exit, second.code) == (6, "rollout.locked")
    assert str(first.pid) in second.text
    assert end(serving, first, signal.SIGINT).exit == 130
    assert_serves(serving, before)


def test_a_killed_driver_is_recovered_without_a_failed_request(serving: Project) -> None:
    before = stable(serving)
    url = serving.run("status").data["url"]
    serving.write("backend.toml", backend_toml(bake="60s"))
    process = serving.start("deploy", *USERS)
    await_words(process, "watching it")
    process.kill()
    process.communicate()
    # users notice nothing, neither of the death nor of the recovery
    recovery = serving.start("rollout", "recover")
    answers = []
    while recovery.poll() is None:
        answers.append(httpx.get(url + "/").status_code)
        time.sleep(0.02)
    out, err = recovery.communicate()
    said = serving.said(recovery.returncode, out, err)
    assert said.data["result"] == "restored", said.text
    assert set(answers) == {200}
    assert_serves(serving, before)


def test_a_database_killed_in_a_rollout_comes_back_with_its_data(project: Project) -> None:
    query = (
        "import os, sys, psycopg; c = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True);"
        "print(c.execute(sys.argv[1]).statusmessage)"
    )
    project.write("backend.toml", backend_toml(more='\n[data]\nengine = "postgresql"\n'))
    assert project.run("up").exit == 0
    python = ("exec", "--", sys.executable, "-c", query)
    assert project.run(*python, "CREATE TABLE kept AS SELECT 1").exit == 0
    process = project.start("deploy", *USERS)
    await_words(process, "starting the candidate")
    kill_one(project, "postgres", 1)
    out, err = process.communicate(timeout=120)
    found = project.said(process.returncode, out, err)
    assert (found.exit, found.data["result"]) == (0, "promoted"), found.text
    assert eventually(lambda: project.run(*python, "SELECT * FROM kept").exit == 0, 30)
    log = project.run("logs", "--server", "postgres").data["lines"]
    assert any("database system was interrupted" in line for line in log)
    assert project.run("logs", "--server", "nonesuch").code == "missing.data"
    assert_serves(project, 2)


@pytest.mark.parametrize("victim", ["envoy", "candidate"])
def test_a_part_killed_in_the_bake_leaves_a_serving_environment(
    serving: Project, victim: str
) -> None:
    before = stable(serving)
    serving.write("backend.toml", backend_toml(bake="6s"))
    process = serving.start("deploy", *USERS)
    await_words(process, "watching it")
    kill_one(serving, victim, before)
    out, err = process.communicate(timeout=120)
    found = serving.said(process.returncode, out, err)
    if victim == "candidate":
        assert (found.exit, found.code) == (1, "rollout.rolled-back"), found.text
        assert_serves(serving, before)
    else:
        # the gateway comes back with the weights it had; the verdict is what the numbers allow
        assert found.exit in (0, 1, 3), found.text
        if found.exit == 3:
            assert serving.run("rollout", "abort").exit in (0, 1)
        assert_serves(serving, stable(serving))


def kill_one(project: Project, victim: str, stable_release: int) -> None:
    mark = str(project.folder)
    for process in psutil.process_iter(["cmdline", "cwd", "name", "environ"]):
        here = mark in " ".join(process.info["cmdline"] or ()) or (
            process.info["cwd"] or ""
        ).startswith(mark)
        if not here:
            continue
        number = (process.info["environ"] or {}).get("BACKENDCTL_RELEASE")
        is_candidate = number is not None and int(number) != stable_release
        if (victim == "candidate" and is_candidate) or process.info["name"].startswith(victim):
            process.kill()
            return
    raise AssertionError(f"no {victim} runs")
