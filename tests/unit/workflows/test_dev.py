"""What `dev` starts ends with it, however that ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from backendctl.platforms.base import Invocation
from backendctl.platforms.local import launch
from backendctl.workflows import dev
from tests.waiting import eventually

_SERVER = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
_DEV = """
import sys, time
from pathlib import Path
from backendctl.platforms.base import Invocation
from backendctl.workflows import dev
dev._start(Invocation((sys.executable, "-c", sys.argv[1]), Path.cwd(), {}), None)
time.sleep(60)
"""


def test_the_server_ends_when_dev_is_killed_outright(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _DEV, _SERVER], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    server = int(process.stdout.readline())
    assert launch.identity(server) is not None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert eventually(lambda: launch.identity(server) is None)
    process.stdout.close()


def test_stopping_ends_the_server(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    process = dev._start(Invocation((sys.executable, "-c", _SERVER), tmp_path, {}), writing)
    os.close(writing)
    with os.fdopen(reading) as output:
        server = int(output.readline())
    assert launch.identity(server) is not None
    dev._stop(process)
    assert launch.identity(server) is None
