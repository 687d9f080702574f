import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.ports import HOST, Ports, is_free


@pytest.fixture
def stranger() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server((HOST, 0)) as server:
        yield int(server.getsockname()[1])


def test_a_port_is_free_and_remembered(tmp_path: Path) -> None:
    layout = Layout(tmp_path, "local")
    port = Ports(layout).assign("gateway")
    assert is_free(port)
    assert Ports(layout).assign("gateway") == port
    assert Ports(layout).assigned("gateway") == port


def test_two_servers_never_share_one(tmp_path: Path) -> None:
    ports = Ports(Layout(tmp_path, "local"))
    assert len({ports.assign(f"release-{n}") for n in range(50)}) == 50


def test_a_fixed_port_is_used_and_remembered(tmp_path: Path) -> None:
    ports = Ports(Layout(tmp_path, "local"))
    fixed = ports.assign("probe")
    ports.forget("probe")
    assert ports.assign("gateway", fixed) == fixed
    assert ports.assigned("gateway") == fixed


def test_a_fixed_port_that_is_taken_names_who_has_it(tmp_path: Path, stranger: int) -> None:
    with pytest.raises(BackendctlError) as raised:
        Ports(Layout(tmp_path, "local")).assign("gateway", stranger)
    assert raised.value.code == "platform.port-taken"
    assert str(stranger) in raised.value.message
    assert f"pid {os.getpid()}" in raised.value.cause
    assert Ports(Layout(tmp_path, "local")).assigned("gateway") is None


def test_a_remembered_port_that_a_stranger_took_is_replaced_and_that_is_said(
    tmp_path: Path, stranger: int
) -> None:
    layout = Layout(tmp_path, "local").create()
    layout.ports.write_text(json.dumps({"valkey": stranger}))
    lines: list[str] = []
    port = Ports(layout, lines.append).assign("valkey")
    assert port != stranger
    assert [str(stranger) in line and str(port) in line for line in lines] == [True]


def test_a_forgotten_port_can_be_given_to_another(tmp_path: Path) -> None:
    ports = Ports(Layout(tmp_path, "local"))
    ports.assign("release-1")
    ports.forget("release-1")
    assert ports.assigned("release-1") is None


def test_processes_that_assign_at_once_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from backendctl.platforms.local.layout import Layout\n"
        "from backendctl.platforms.local.ports import Ports\n"
        "p = Ports(Layout(Path(sys.argv[1]), 'local'))\n"
        "for i in range(5): p.assign(f'{sys.argv[2]}-{i}')\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in "abc"
    ]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    known = json.loads(Layout(tmp_path, "local").ports.read_text())
    assert sorted(known) == sorted(f"{name}-{i}" for name in "abc" for i in range(5))
    assert len(set(known.values())) == 15
