"""Debian's part of the cluster: installed when it is missing, without starting its daemons."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from tests.cluster.commands import ClusterError, run

PROGRAMS = {
    "/usr/bin/etcd": "etcd-server",
    "/usr/bin/containerd": "containerd",
    "/usr/sbin/runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/bin/buildah": "buildah",
    "/usr/bin/mmdebstrap": "mmdebstrap",
    "/usr/bin/prometheus": "prometheus",
    "/usr/sbin/nft": "nftables",
    "/usr/sbin/conntrack": "conntrack",
    "/usr/sbin/ip": "iproute2",
}
"""A program that the cluster runs, and the package that holds it."""

_POLICY = Path("/usr/sbin/policy-rc.d")
_START_NOTHING = "#!/bin/sh\nexit 101\n"


def missing_packages() -> list[str]:
    return [package for program, package in PROGRAMS.items() if not Path(program).exists()]


def install(packages: Iterable[str]) -> None:
    """Install packages; daemons that they bring are not started."""
    wanted = list(packages)
    if not wanted:
        return
    if shutil.which("apt-get") is None:
        raise ClusterError(f"missing: {', '.join(wanted)}; and there is no apt-get to install them")
    ours = not _POLICY.exists()
    if ours:
        _POLICY.write_text(_START_NOTHING)
        _POLICY.chmod(0o755)
    try:
        _apt("update", "--quiet")
        _apt("install", "--yes", "--quiet", "--no-install-recommends", *wanted)
    finally:
        if ours:
            _POLICY.unlink(missing_ok=True)


def _apt(*words: str) -> None:
    run(
        ["apt-get", "-o", "DPkg::Lock::Timeout=300", *words],
        timeout=900,
        environment={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )
