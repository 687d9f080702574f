"""Clusters that no command can work with: each is said within seconds, by the real command."""

import os
import socket
import time
from pathlib import Path

import pytest
import yaml

from tests.cluster.standing import ADMIN, UNUSED, administrator, token_of
from tests.commands import Project, Said

pytestmark = pytest.mark.cluster

_SOON = 25.0
"""Seconds; most of it is a busy machine's own."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "backend.toml").write_text(UNUSED)
    return Project(tmp_path)


def asked(project: Project, config: Path) -> Said:
    began = time.monotonic()
    said = project.run("status", "--env", "trial", KUBECONFIG=str(config))
    assert time.monotonic() - began < _SOON
    assert said.answer["error"]["next"]
    return said


def changed(folder: Path, *, server: str = "", token: str = "") -> Path:
    """The administrator's kubeconfig, but for that."""
    config = yaml.safe_load(Path(os.environ[ADMIN]).read_text())
    if server:
        config["clusters"][0]["cluster"]["server"] = server
    if token:
        config["users"][0]["user"] = {"token": token}
    file = folder / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(config))
    return file


def test_a_server_that_is_not_there(project: Project) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and nobody listens
        server = f"https://127.0.0.1:{nobody.getsockname()[1]}"
        said = asked(project, changed(project.folder, server=server))
    assert (said.exit, said.code) == (5, "missing.cluster"), said.text
    assert server.removeprefix("https://") in said.text


def test_a_server_that_does_not_answer(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"https://127.0.0.1:{silent.getsockname()[1]}"
        said = asked(project, changed(project.folder, server=server))
    assert (said.exit, said.code) == (5, "missing.cluster"), said.text


@pytest.fixture
def outdated() -> str:
    """A token that the cluster itself signed, and does not honour any more."""
    cluster = administrator("default")
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "left-us"}}
    cluster.apply(account)
    token = token_of("default", "left-us")
    cluster.delete("ServiceAccount", "left-us")
    return token


def test_credentials_that_have_expired(project: Project, outdated: str) -> None:
    said = asked(project, changed(project.folder, token=outdated))
    assert (said.exit, said.code) == (5, "platform.credentials"), said.text
    assert "expire" in said.text
    assert outdated not in said.text
