"""One run of the tests that need a cluster: up, tests, down, and how long each took."""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from tests.cluster import lifecycle, toolchain
from tests.cluster.commands import ClusterError

KUBECONFIG = "BACKENDCTL_TEST_KUBECONFIG"
NEEDED = tuple(
    f"BACKENDCTL_TEST_{what}"
    for what in (
        "BASE_IMAGE",
        "BIN",
        "GATEWAY",
        "GATEWAY_CLASS",
        "GATEWAY_URL",
        "PROMETHEUS",
        "REGISTRY",
    )
)
"""What describes a cluster that is not ours, as `python -m tests.cluster env` does one of ours."""

CHECKOUT = Path(__file__).parents[2]


def state_folder() -> Path:
    """The same for every run in this checkout, so that a run cleans up after one that crashed.

    Short, because the path of a socket may have 107 characters at most.
    """
    digest = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"backendctl-cluster-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise ClusterError(f"{folder} is somebody else's")
    return folder


def run_tests(words: Sequence[str]) -> int:
    """pytest's exit status. A cluster that is given is used, and left as it is."""
    if os.environ.get(KUBECONFIG):
        missing = [name for name in NEEDED if not os.environ.get(name)]
        if missing:
            raise ClusterError(f"with {KUBECONFIG} the tests also need {', '.join(missing)}")
        print(f"the cluster of {KUBECONFIG} is used", flush=True)
        return _pytest(words, {})
    # Asked to end, we still take the cluster down.
    for asked in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, _interrupted)
    state = state_folder()
    cluster = lifecycle.up(state)
    try:
        with cluster.phase("tests"):
            status = _pytest(words, cluster.environment())
        if status:
            print(f"the logs are in {lifecycle.keep_logs(cluster.layout)}", flush=True)
    finally:
        with cluster.phase("taking it down"):
            lifecycle.down(state)
    return status


def run_engine_tests(words: Sequence[str]) -> int:
    """pytest's exit status. They need the pulumi program, and neither a cluster nor root."""
    pulumi = toolchain.built(toolchain.PULUMI) / "pulumi"
    return _pytest(words, {"BACKENDCTL_TEST_PULUMI": str(pulumi)}, marked="engine")


def _pytest(words: Sequence[str], environment: dict[str, str], marked: str = "cluster") -> int:
    argv = [sys.executable, "-m", "pytest", "-m", marked, *words]
    return subprocess.run(
        argv, cwd=CHECKOUT, env={**os.environ, **environment}, check=False
    ).returncode


def _interrupted(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)
