"""Servers killed, disks full, ports stolen, machines restarted: `ensure` brings everything back."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.local import launch
from backendctl.platforms.local.foundation import LocalFoundation
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.ports import Ports
from backendctl.platforms.local.postgres import Postgres
from backendctl.platforms.local.supervisor import Program, Supervisor
from tests.local_platform.servers import foundation_of
from tests.waiting import eventually

psycopg = pytest.importorskip("psycopg")
pytestmark = pytest.mark.faults


def silent(_line: str) -> None:
    return


@contextmanager
def environment(
    project: Path, everything: bool = True, port: int | None = None
) -> Iterator[tuple[Layout, LocalFoundation]]:
    layout = Layout(project, "local")
    foundation = foundation_of(layout, everything, port)
    try:
        yield layout, foundation
    finally:
        foundation.stop(purge=layout.home.exists())


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Layout, LocalFoundation]]:
    with environment(tmp_path_factory.mktemp("faults")) as (layout, foundation):
        foundation.ensure(silent)
        _run(foundation, "create table kept (what int)")
        _run(foundation, "insert into kept values (7)")
        yield layout, foundation


def test_each_server_comes_back_by_itself_after_a_kill(
    up: tuple[Layout, LocalFoundation],
) -> None:
    layout, foundation = up
    supervisor = Supervisor(layout.home)
    before = {name: status.pid for name, status in supervisor.programs().items()}
    assert [each for each in foundation.status() if each.restarts] == []
    killed = time.time()
    for pid in before.values():
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: all(each.running for each in foundation.status()), 30)
    after = {name: status.pid for name, status in supervisor.programs().items()}
    assert not set(after.values()) & set(before.values())
    assert _kept(foundation) == 7
    for each in foundation.status():
        assert each.restarts >= 1
        assert each.last_restart is not None
        assert killed - 1 <= each.last_restart <= time.time() + 1


def test_a_database_that_is_halted_is_said_to_be_there_and_how_to_let_it_go_on(
    up: tuple[Layout, LocalFoundation],
) -> None:
    layout, foundation = up
    foundation.ensure(silent)
    pid = Supervisor(layout.home).programs()["postgres"].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        (found,) = [each for each in foundation.status() if not each.running]
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (found.name, found.alive) == ("postgres", True)
    assert "SIGSTOP" in found.detail
    assert found.next == (f"kill -CONT {pid}  # lets it go on",)
    assert eventually(lambda: all(each.running for each in foundation.status()))


def test_a_stop_says_whom_it_waits_for(tmp_path: Path) -> None:
    supervisor = Supervisor(Layout(tmp_path, "local").create().home)
    lines: list[str] = []
    stubborn = ("/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done")
    supervisor.start(Program("stubborn", stubborn, tmp_path, {}, stop_grace=1))
    log = tmp_path / ".backendctl" / "local" / "logs" / "stubborn.log"
    assert eventually(lambda: log.exists() and log.read_text() == "up\n")
    supervisor.shutdown(lines.append)
    assert "waiting for stubborn to end, at most 1 s" in lines


def test_everything_killed_at_once_is_brought_back_by_ensure_with_its_data(
    up: tuple[Layout, LocalFoundation],
) -> None:
    layout, foundation = up
    addresses = [each.address for each in foundation.status()]
    _kill_all(layout)
    assert not any(each.running for each in foundation.status())
    foundation.ensure(silent)
    assert [each.address for each in foundation.status()] == addresses
    assert _kept(foundation) == 7


def test_a_lock_file_of_before_a_reboot_whose_pid_is_somebody_elses_now_is_no_obstacle(
    up: tuple[Layout, LocalFoundation],
) -> None:
    layout, foundation = up
    _kill_all(layout)
    data = layout.postgres / "data"
    owner = data.stat()
    # The worst case: the pid belongs to a living process of the very user PostgreSQL runs as.
    stranger = subprocess.Popen(
        ["/bin/sleep", "60"],
        user=owner.st_uid if os.geteuid() == 0 else None,
        cwd="/",
    )
    try:
        lock = data / "postmaster.pid"
        lines = lock.read_text().splitlines()
        lock.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        foundation.ensure(silent)
        assert _kept(foundation) == 7
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_records_of_before_a_reboot_never_lead_to_a_strangers_process(tmp_path: Path) -> None:
    with environment(tmp_path) as (layout, _foundation):
        supervisor = Supervisor(layout.create().home)
        stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
        try:
            supervisor.ensure()
            supervisor.start(_sleeper(tmp_path))
            assert eventually(lambda: supervisor.status("sleeper").pid is not None)  # type: ignore[union-attr]
            _kill_all(layout)
            record = layout.run / f"sleeper{launch.RECORD_SUFFIX}"
            body = record.read_text().replace(
                f'"pid": {launch.read_record(str(record))["pid"]}', f'"pid": {stranger.pid}'
            )
            record.write_text(body)
            supervisor.shutdown()
            assert stranger.poll() is None
        finally:
            stranger.kill()
            stranger.wait()


def test_a_crash_while_the_database_is_made_leaves_nothing_that_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path, "local").create()
    layout.create_sockets()
    database = Postgres(layout)
    finish = Postgres._run

    def die_late(self: Postgres, making: Path, argv: object, statements: object = None) -> None:
        finish(self, making, argv, statements)  # type: ignore[arg-type]
        if statements is not None:
            raise KeyboardInterrupt

    monkeypatch.setattr(Postgres, "_run", die_late)
    monkeypatch.setattr(shutil, "rmtree", lambda *_a, **_k: None)  # killed: nothing cleans up
    with pytest.raises(KeyboardInterrupt):
        database.prepare(1, silent)
    monkeypatch.undo()
    assert list(layout.postgres.glob("making-*/data/PG_VERSION"))
    assert not (layout.postgres / "data").exists()
    database.prepare(1, silent)
    assert list(layout.postgres.glob("making-*")) == []
    assert (layout.postgres / "data" / "PG_VERSION").exists()
    assert "app:" in database.bindings(1)["DATABASE_URL"]
    layout.remove_sockets()


def test_a_full_disk_is_said_and_the_next_ensure_starts_clean(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(small)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a small file system")
    try:
        with environment(small) as (layout, foundation):
            with pytest.raises(BackendctlError) as raised:
                foundation.ensure(silent)
            assert raised.value.code == "platform.disk-full"
            assert str(layout.home) in raised.value.message + raised.value.next[0]
            assert list(layout.postgres.glob("*")) == []
            subprocess.run(["mount", "-o", "remount,size=300m", str(small)], check=True)
            foundation.ensure(silent)
            assert all(each.running for each in foundation.status())
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_fixed_port_that_a_stranger_holds_is_refused_by_name(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        with environment(tmp_path, everything=False, port=port) as (_layout, foundation):
            with pytest.raises(BackendctlError) as raised:
                foundation.ensure(silent)
            assert raised.value.code == "platform.port-taken"
            assert raised.value.data["pid"] == os.getpid()
            assert f"pid {os.getpid()}" in raised.value.cause


def test_a_remembered_port_that_a_stranger_took_is_replaced_and_that_is_said(
    up: tuple[Layout, LocalFoundation],
) -> None:
    layout, foundation = up
    foundation.stop()
    port = Ports(layout).assigned("valkey")
    assert port is not None
    lines: list[str] = []
    with socket.create_server(("127.0.0.1", port)):
        foundation.ensure(lines.append)
        assert Ports(layout).assigned("valkey") != port
    assert [line for line in lines if f"port {port} of valkey is now held by" in line]
    assert all(each.running for each in foundation.status())
    assert _kept(foundation) == 7


def test_a_server_that_cannot_start_is_named_with_its_last_words(
    up: tuple[Layout, LocalFoundation],
) -> None:
    layout, foundation = up
    foundation.stop()
    settings = layout.postgres / "data" / "postgresql.conf"
    kept = settings.read_bytes()
    try:
        settings.write_bytes(kept + b"no_such_setting = 1\n")
        with pytest.raises(BackendctlError) as raised:
            foundation.ensure(silent)
    finally:
        settings.write_bytes(kept)
    assert raised.value.code == "missing.server"
    assert "postgres" in raised.value.message
    assert "no_such_setting" in raised.value.cause
    foundation.ensure(silent)
    assert _kept(foundation) == 7


def test_stop_leaves_no_process_and_purge_no_file(tmp_path: Path) -> None:
    with environment(tmp_path) as (layout, foundation):
        foundation.ensure(silent)
        started = _processes(layout)
        listening = [each.name for each in foundation.status() if each.address]
        ports = [Ports(layout).assigned(name) for name in listening]
        foundation.stop()
        assert len(started) > 8
        assert [p for p in started if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
        assert not layout.supervisor_socket.exists()
        assert (layout.postgres / "data").exists()
        for port in ports:
            assert port is not None
            with socket.create_server(("127.0.0.1", port)):
                pass
        foundation.stop(purge=True)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can go where another user cannot")
def test_root_runs_the_database_as_another_user_where_that_one_may_not_enter(
    up: tuple[Layout, LocalFoundation],
) -> None:
    layout, foundation = up
    foundation.ensure(silent)
    postgres = psutil.Process(Supervisor(layout.home).status("postgres").pid)  # type: ignore[union-attr]
    assert postgres.uids().effective != 0
    assert layout.home.stat().st_mode & 0o077 == 0
    assert layout.home.stat().st_uid == 0
    _run(foundation, "select 1")


def _sleeper(folder: Path) -> Program:
    return Program("sleeper", ("sleep", "60"), folder, {"PATH": os.environ["PATH"]}, stop_grace=1)


def _run(foundation: LocalFoundation, statement: str) -> None:
    with psycopg.connect(foundation.bindings()["DATABASE_URL"]) as connection:
        connection.execute(statement)


def _kept(foundation: LocalFoundation) -> int:
    with psycopg.connect(foundation.bindings()["DATABASE_URL"]) as connection:
        row = connection.execute("select what from kept").fetchone()
    assert row is not None
    return int(row[0])


def _processes(layout: Layout) -> list[psutil.Process]:
    root = psutil.Process(int((layout.run / "supervisord.pid").read_text()))
    return [root, *root.children(recursive=True)]


def _kill_all(layout: Layout) -> None:
    """As a power cut does: everything at once, the supervisor first."""
    processes = _processes(layout)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)
