"""Packaging and running releases when processes are killed and disks are full."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import (
    Condition,
    Configuration,
    Package,
    Processes,
    Release,
    Routes,
)
from backendctl.platforms.local.envoy_routes import route_table
from backendctl.platforms.local.gateway import GatewayFiles
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.packages import Packager
from backendctl.platforms.local.ports import Ports
from backendctl.platforms.local.runtime import LocalRuntime
from backendctl.platforms.local.secrets import LocalSecrets
from backendctl.platforms.local.store import LocalStore
from backendctl.platforms.local.supervisor import Supervisor
from backendctl.spec.model import Service
from tests.waiting import eventually

pytestmark = pytest.mark.faults

LINES: list[str] = []


def packager(state: Path, *install: str) -> Packager:
    layout = Layout(state, "local")
    return Packager(layout, LocalStore(layout), Service(name="x", start=("x",), install=install))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "data").write_bytes(os.urandom(1 << 20))
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=700k,mode=0755", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_tree_that_does_not_fit_leaves_nothing_behind(tree: Path, small_disk: Path) -> None:
    with pytest.raises(BackendctlError) as caught:
        packager(small_disk).package(tree, LINES.append)
    assert caught.value.code == "platform.disk-full"
    assert list(Layout(small_disk, "local").releases.iterdir()) == []


def test_dependencies_that_do_not_fit_are_said_not_to(tree: Path, small_disk: Path) -> None:
    (tree / "data").unlink()
    (tree / "code").touch()
    install = ("dd", "if=/dev/zero", "of=big", "bs=64k", "count=64")
    with pytest.raises(BackendctlError) as caught:
        packager(small_disk, *install).package(tree, LINES.append)
    assert caught.value.code == "platform.disk-full"
    layout = Layout(small_disk, "local")
    assert list(layout.releases.iterdir()) == []
    assert [path.name for path in layout.environments.iterdir()] == ["lock"]


def test_a_run_killed_while_it_installs_leaves_nothing_that_looks_finished(
    tree: Path, tmp_path: Path
) -> None:
    first_time = f"test -e {tmp_path}/again || {{ touch {tmp_path}/again; echo $$; sleep 60; }}"
    install = ("sh", "-c", f"{first_time}; touch built")
    script = (
        "import sys; from pathlib import Path\n"
        "from backendctl.platforms.local.layout import Layout\n"
        "from backendctl.platforms.local.packages import Packager\n"
        "from backendctl.platforms.local.store import LocalStore\n"
        "from backendctl.spec.model import Service\n"
        "layout = Layout(Path(sys.argv[1]), 'local')\n"
        "service = Service(name='x', start=('x',), install=tuple(sys.argv[3:]))\n"
        "Packager(layout, LocalStore(layout), service).package(Path(sys.argv[2]),"
        " lambda line: print(line, flush=True))\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "state"), str(tree), *install]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    installer = next(int(line) for line in run.stdout if line.strip().isdigit())
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert _ends(installer)
    package = packager(tmp_path / "state", *install).package(tree, LINES.append)
    assert (Path(package.location) / "built").exists()
    assert (Path(package.location) / "data").read_bytes() == (tree / "data").read_bytes()
    left = [path.name for path in Layout(tmp_path / "state", "local").releases.iterdir()]
    assert left == []


def test_a_run_killed_while_it_copies_leaves_nothing_for_long(tree: Path, tmp_path: Path) -> None:
    releases = Layout(tmp_path / "state", "local").create().releases
    dead = subprocess.Popen(["true"])
    dead.wait()
    (releases / f".copy-{dead.pid}-abc").mkdir()
    (releases / ".gone-abc").mkdir()
    mine = releases / f".copy-{os.getpid()}-abc"
    mine.mkdir()
    package = packager(tmp_path / "state").package(tree, LINES.append)
    assert set(releases.iterdir()) == {mine, Path(package.location)}


def test_code_that_is_no_longer_kept_is_said_not_to_be(tree: Path, tmp_path: Path) -> None:
    def release(number: int, package: Package) -> Release:
        return Release(number, package, Configuration(), Processes(("x",)), 0.0, "ana")

    state = tmp_path / "state"
    store = LocalStore(Layout(state, "local"))
    grant = store.acquire("ana", "deploy", 300)
    found = packager(state)
    packages = []
    for number in range(1, 8):
        (tree / "data").write_text(str(number))
        packages.append(found.package(tree, LINES.append))
        store.add_release(grant, release(number, packages[-1]))
    for number, package in enumerate(packages, start=1):
        if number < 2:
            with pytest.raises(BackendctlError) as caught:
                found.directory(release(number, package))
            assert caught.value.code == "missing.release"
        else:
            assert found.directory(release(number, package)) == Path(package.location)
    # What the gateway will send requests to when it is up again is kept, however old it is.
    files = GatewayFiles(Layout(state, "local"))
    files.create()
    files.write(files.routes, route_table(Routes({2: 100}), version="1"))
    for number in (8, 9, 10):
        (tree / "data").write_text(str(number))
        packages.append(found.package(tree, LINES.append))
        store.add_release(grant, release(number, packages[-1]))
    assert found.directory(release(2, packages[1]))
    with pytest.raises(BackendctlError):
        found.directory(release(3, packages[2]))
    shutil.rmtree(packages[-1].location)
    with pytest.raises(BackendctlError):
        found.directory(release(10, packages[-1]))


def _ends(pid: int) -> bool:
    def ended() -> bool:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except FileNotFoundError:
            return True
        return stat.rpartition(")")[2].split()[0] == "Z"

    return eventually(ended, 5)


# --- running ------------------------------------------------------------------------------------

SERVER = (
    "import http.server, os, sys\n"
    "class H(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self): self.send_response(200); self.end_headers()\n"
    "    def log_message(self, *a): pass\n"
    "print('up', flush=True)\n"
    "http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()\n"
)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[LocalRuntime, Supervisor, Release]]:
    """A release with two processes, ready; without a gateway."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "server.py").write_text(SERVER)
    layout = Layout(project, "local")
    supervisor = Supervisor(layout.home)
    start = (sys.executable, "server.py")
    store, secrets = LocalStore(layout), LocalSecrets(layout)
    service = Service(name="x", start=start)
    runtime = LocalRuntime(layout, supervisor, Ports(layout), store, secrets, dict, service)
    package = runtime.package(project, LINES.append)
    processes = Processes(start, replicas=2, stop_grace=5)
    release = Release(1, package, Configuration(), processes, 0.0, "ana")
    try:
        runtime.start(release)
        found = runtime.await_ready(release, 20)
        assert found.condition is Condition.READY, found.detail
        yield runtime, supervisor, release
    finally:
        supervisor.shutdown()


def test_after_a_reboot_a_release_starts_as_if_for_the_first_time(
    running: tuple[LocalRuntime, Supervisor, Release],
) -> None:
    runtime, supervisor, release = running
    ports = runtime.endpoints(1).ports
    everything = [status.pid for status in supervisor.programs().values()]
    record = json.loads((supervisor.home / "run" / "supervisord.pid.json").read_text())
    for pid in [record["pid"], *everything]:
        os.kill(pid, signal.SIGKILL)
    assert all(_ends(pid) for pid in [record["pid"], *everything])
    assert runtime.status(1).condition is Condition.STOPPED
    runtime.start(release)
    found = runtime.await_ready(release, 20)
    assert found.condition is Condition.READY, found.detail
    assert found.ready == 2
    assert runtime.endpoints(1).ports == ports


def test_a_stray_signal_ends_a_process_and_the_supervisor_brings_it_back(
    running: tuple[LocalRuntime, Supervisor, Release],
) -> None:
    runtime, supervisor, _ = running
    victim = supervisor.programs()["release-1-0"].pid
    assert victim is not None
    os.kill(victim, signal.SIGTERM)

    def back() -> bool:
        found = runtime.status(1)
        return (found.condition, found.restarts, found.ready) == (Condition.READY, 1, 2)

    assert eventually(back), runtime.status(1)


def test_a_hung_process_makes_the_release_unready_and_does_not_hang_the_look(
    running: tuple[LocalRuntime, Supervisor, Release],
) -> None:
    runtime, supervisor, _ = running
    victim = supervisor.programs()["release-1-0"].pid
    assert victim is not None
    os.kill(victim, signal.SIGSTOP)
    began = time.monotonic()
    found = runtime.status(1)
    assert time.monotonic() - began < 2
    assert (found.condition, found.ready) == (Condition.UNREADY, 1)
    assert "not answered within" in found.detail
    os.kill(victim, signal.SIGCONT)


def test_down_and_up_again_leaves_ports_and_code_where_they_were(
    running: tuple[LocalRuntime, Supervisor, Release],
) -> None:
    runtime, supervisor, release = running
    ports = runtime.endpoints(1).ports
    supervisor.shutdown()
    assert list(runtime.running()) == []
    assert runtime.status(1).condition is Condition.STOPPED
    runtime.start(release)
    assert runtime.await_ready(release, 20).condition is Condition.READY
    assert runtime.endpoints(1).ports == ports
    runtime.stop(1)
    with pytest.raises(BackendctlError):
        runtime.endpoints(1)


def test_processes_that_ignore_the_polite_signal_share_one_grace(
    running: tuple[LocalRuntime, Supervisor, Release],
) -> None:
    runtime, supervisor, release = running
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    tree = Path(release.package.location).parents[3]
    (tree / "server.py").write_text(ignore + SERVER)
    processes = replace(release.processes, replicas=3, stop_grace=1.0)
    stubborn = replace(
        release, number=2, package=runtime.package(tree, LINES.append), processes=processes
    )
    runtime.start(stubborn)
    assert runtime.await_ready(stubborn, 20).condition is Condition.READY
    pids = [status.pid for name, status in supervisor.programs().items() if "-2-" in name]
    began = time.monotonic()
    runtime.stop(2)
    assert 1 <= time.monotonic() - began < 2.9
    assert len(pids) == 3
    assert all(_ends(pid) for pid in pids if pid)
