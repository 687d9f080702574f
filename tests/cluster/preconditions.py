"""Whether this machine can run a test cluster at all; what it lacks, in words."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.cluster import debian
from tests.cluster.commands import ClusterError
from tests.cluster.toolchain import go_command


def lacking() -> list[str]:
    """Every reason why a cluster cannot be started here; none when it can."""
    if os.geteuid() != 0:
        return ["root (networks, mounts and containers are made)"]
    found = []
    missing = debian.missing_packages()
    if missing and shutil.which("apt-get") is None:
        found.append(f"the Debian packages {', '.join(missing)}, or apt-get to install them")
    try:
        go_command()
    except ClusterError as absent:
        found.append(str(absent))
    if "\toverlay\n" not in Path("/proc/filesystems").read_text():
        found.append("overlayfs in the kernel")
    found += [f"{what} in the kernel" for what, argv in _KERNEL.items() if not _works(argv)]
    return found


_OWN_NETWORK = ["unshare", "--net", "--mount", "--pid", "--fork", "--"]
_KERNEL = {
    "network namespaces of our own": [*_OWN_NETWORK, "true"],
    "bridges and veth pairs": [
        *_OWN_NETWORK,
        "sh",
        "-c",
        "ip link add probe0 type bridge && ip link add probe1 type veth peer name probe2",
    ],
}


def _works(argv: list[str]) -> bool:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode == 0
