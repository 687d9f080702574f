import os
import socket
import stat
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.local import layout as layout_module
from backendctl.platforms.local.layout import Layout


def test_everything_lies_under_the_environment_and_is_private(tmp_path: Path) -> None:
    layout = Layout(tmp_path, "local").create()
    for folder in layout.folders():
        assert folder.is_relative_to(tmp_path / ".backendctl")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (tmp_path / ".backendctl" / ".gitignore").read_text() == "*\n"


def test_two_environments_share_nothing_but_the_state_folder(tmp_path: Path) -> None:
    one, two = Layout(tmp_path, "local"), Layout(tmp_path, "other")
    assert not set(one.folders()[1:]) & set(two.folders()[1:])
    assert one.supervisor_socket != two.supervisor_socket


def test_a_socket_can_be_bound_however_long_the_project_path_is(tmp_path: Path) -> None:
    project = tmp_path / ("long" * 15) / ("path" * 15)
    layout = Layout(project, "local").create()
    assert not layout.sockets.exists()
    try:
        layout.create_sockets()
        layout.create_sockets()
        assert layout.sockets != layout.run
        assert stat.S_IMODE(layout.sockets.stat().st_mode) == 0o700
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(f"{layout.supervisor_socket}.4194304")
    finally:
        layout.remove_sockets()
    assert not layout.sockets.exists()


def test_a_short_project_path_keeps_its_sockets_at_home() -> None:
    layout = Layout(Path("/srv/shop"), "local")
    assert layout.sockets == layout.run


def test_a_socket_folder_made_by_someone_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout_module, "_SHORT_ROOT", tmp_path)
    layout = Layout(tmp_path / ("long" * 30), "local")
    layout.sockets.mkdir(mode=0o777)
    layout.sockets.chmod(0o777)
    with pytest.raises(BackendctlError) as raised:
        layout.create_sockets()
    assert raised.value.code == "platform.permission"
    assert os.fspath(layout.sockets) in raised.value.message


def test_a_socket_folder_that_is_a_link_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout_module, "_SHORT_ROOT", tmp_path)
    layout = Layout(tmp_path / ("long" * 30), "local")
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    layout.sockets.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BackendctlError) as raised:
        layout.create_sockets()
    assert raised.value.code == "platform.permission"
