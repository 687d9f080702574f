"""A cluster starts beside another one, and nothing of it is left when it ends, however it ends."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.cluster import lifecycle, node
from tests.cluster.commands import ClusterError, run
from tests.cluster.layout import Layout
from tests.cluster.preconditions import lacking
from tests.cluster.session import CHECKOUT
from tests.cluster.standing import UNUSED
from tests.commands import Project
from tests.waiting import eventually

pytestmark = [
    pytest.mark.cluster,
    # They share a machine's two cores with everything else: one after the other.
    pytest.mark.xdist_group("cluster-lifecycle"),
    pytest.mark.skipif(
        os.environ.get("BACKENDCTL_TEST_BIN") is None or bool(lacking()),
        reason="no cluster of ours can be started here",
    ),
]

_UP = """
import pathlib, sys
from tests.cluster import lifecycle
lifecycle.up(pathlib.Path(sys.argv[1]), gateway=False)
"""


@pytest.fixture
def layout() -> Iterator[Layout]:
    # The path of a socket is short: not pytest's own folder.
    state = Path(tempfile.mkdtemp(prefix="bctl-")) / "c"
    try:
        yield Layout(state)
    finally:
        lifecycle.down(state)
        state.parent.rmdir()  # fails when anything is left in it


def _routes() -> list[str]:
    return sorted(str(network) for network in node.taken_networks())


def test_a_second_cluster_runs_mends_itself_and_leaves_nothing(
    layout: Layout, tmp_path: Path
) -> None:
    routes = _routes()
    cluster = lifecycle.up(layout.state, gateway=False)
    assert json.loads(cluster.kubectl("get", "nodes", "--output=json"))["items"]
    _assert_lacks_gateway_api(cluster, tmp_path)
    assert str(cluster.addresses.block) not in routes  # nobody else's
    left = "\n".join(node.leftovers(layout))
    for part in ("kubelet", f" {layout.name}@", "control group"):
        assert part in left
    assert layout.kubeconfig.stat().st_mode & 0o777 == 0o600

    _kill_api_server(cluster)
    assert eventually(lambda: _answers(cluster), 60)

    interrupted_build = layout.state / "left-mounted"
    interrupted_build.mkdir()
    run(["mount", "-t", "tmpfs", "tmpfs", interrupted_build])
    lifecycle.down(layout.state)
    assert node.leftovers(layout) == []
    assert _routes() == routes
    assert not layout.state.exists()
    with pytest.raises(ClusterError):
        lifecycle.opened(layout.state)


def _supervised(layout: Layout) -> bool:
    return layout.supervisor_socket.exists()


def _has_control_groups(layout: Layout) -> bool:
    return any("control group" in line for line in node.leftovers(layout))


@pytest.mark.parametrize("moment", [_has_control_groups, _supervised])
def test_what_a_killed_start_left_is_taken_down(
    layout: Layout, moment: Callable[[Layout], bool]
) -> None:
    starting = subprocess.Popen([sys.executable, "-c", _UP, str(layout.state)], cwd=CHECKOUT)
    try:
        assert eventually(lambda: moment(layout), 60)
    finally:
        starting.send_signal(signal.SIGKILL)
        starting.wait()
    lifecycle.down(layout.state)
    assert node.leftovers(layout) == []
    assert not layout.state.exists()


def _assert_lacks_gateway_api(cluster: lifecycle.Cluster, folder: Path) -> None:
    """It is the one cluster here without: a user of it is told what is missing."""
    (folder / "backend.toml").write_text(UNUSED)
    cluster.kubectl("create", "namespace", "shop-trial")
    said = Project(folder).run(
        "status", "--env", "trial", KUBECONFIG=str(cluster.layout.kubeconfig)
    )
    assert (said.exit, said.code) == (5, "missing.gateway-api"), said.text


def _kill_api_server(cluster: lifecycle.Cluster) -> None:
    program = str(cluster.binaries / "kube-apiserver")
    [server] = [
        process
        for process in psutil.process_iter(["cmdline"])
        if (process.info["cmdline"] or [""])[0] == program
    ]
    server.kill()
    assert eventually(lambda: not server.is_running(), 10)


def _answers(cluster: lifecycle.Cluster) -> bool:
    try:
        return cluster.kubectl("get", "--raw", "/readyz", timeout=5) == "ok"
    except ClusterError:
        return False
