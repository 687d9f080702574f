"""The node: one process tree with its own network, mounts and process numbers.

Every path that a kubelet, a container runtime or a proxy writes to by habit (/run, /var/lib/cni,
firewall tables, network names) is the node's own, so that two clusters cannot meet, and killing
the first process of the node is enough for the kernel to take everything else away.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import psutil

from tests.cluster.commands import ClusterError, run
from tests.cluster.layout import Addresses, Layout

MEMORY_LIMIT = 6 * 1024**3
"""Bytes; a cluster that grows beyond it is stopped by the kernel, not the machine."""

_CGROUPS = Path("/sys/fs/cgroup")
_SCRIPT = """
set -e
mount --make-rprivate /
mount -t proc proc /proc
for folder in /run /var/lib/cni /var/log/containers /var/lib/kubelet; do
    mkdir -p "$folder"
    mount -t tmpfs -o mode=0755 tmpfs "$folder"
done
mkdir -p /run/netns /run/etcd
chmod 0700 /run/etcd
mount --make-rshared /
ip link set lo up
# Wait for this machine's end of the link. When who makes it dies meanwhile, so do we.
read -r _
echo 1 > /proc/sys/net/ipv4/ip_forward
exec "$@"
"""


@dataclass(frozen=True)
class Node:
    """The node's first process, as this machine numbers it."""

    process: int
    started: float
    """Seconds since the epoch: tells it from a later process of the same number."""

    def alive(self) -> bool:
        try:
            found = psutil.Process(self.process)
            same = abs(float(found.create_time()) - self.started) < 1
            return same and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def start(layout: Layout, addresses: Addresses) -> Node:
    """Start supervisord as the first process of a new node, and link the node to this machine."""
    _make_cgroups(layout.name)
    log = (layout.logs / "node.log").open("ab")
    unshare = subprocess.Popen(
        [
            "unshare",
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--",
            "/bin/sh",
            "-c",
            _SCRIPT,
            "node",
            str(Path(sys.executable).parent / "supervisord"),
            "--configuration",
            str(layout.config / "supervisord.conf"),
        ],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,
        cwd="/",
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"},
    )
    log.close()
    assert unshare.stdin is not None
    try:
        first = _only_child(unshare)
        node = Node(first.pid, first.create_time())
        _join_cgroups(layout.name, node.process)
        _link(layout.name, addresses, node.process)
    except BaseException:
        unshare.kill()
        raise
    # From here on the control groups tell which processes are the cluster's, whatever happens.
    unshare.stdin.write(b"\n")
    unshare.stdin.close()
    return node


def stop(node: Node) -> None:
    """End every process of the node; the kernel then takes its mounts and its network away."""
    if node.alive():
        os.kill(node.process, signal.SIGKILL)
    wait_for(lambda: not node.alive(), "the node's first process to end", timeout=30)


def leftovers(layout: Layout) -> list[str]:
    """What of this cluster is still on the machine, in words: processes, mounts, links, groups."""
    found = [f"process {words}" for words in _processes(layout.name)]
    mounts = Path("/proc/mounts").read_text().splitlines()
    found += [f"mount {line}" for line in mounts if f" {layout.state}/" in line]
    links = run(["ip", "-o", "link", "show"]).splitlines()
    found += [f"link {line}" for line in links if f" {layout.name}@" in line]
    return found + [f"control group {folder}" for folder in _cgroup_roots(layout.name)]


def _processes(name: str) -> Iterator[str]:
    """Command lines of what runs in the cluster's control groups, pods included."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"/{name}" in (folder / "cgroup").read_text():
                yield (folder / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile


def unmount(layout: Layout) -> None:
    """Take away mounts of ours on this machine: a build that was interrupted leaves some."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for folder in reversed(mounts):
        if folder.startswith(f"{layout.state}/"):
            # Busy, or gone with the one above it: whoever waits for the rest looks again.
            subprocess.run(["umount", folder], capture_output=True, check=False)


def remove_cgroups(name: str) -> None:
    """Kill what is left in the cluster's control groups, and remove them."""
    for root in _cgroup_roots(name):

        def gone(root: Path = root) -> bool:
            for folder in sorted(root.rglob("*/"), key=lambda path: -len(path.parts)):
                _empty(folder)
            _empty(root)
            return not root.exists()

        wait_for(gone, f"the control group {root} to be empty", timeout=30)


def taken_networks() -> list[IPv4Network]:
    """What this machine already reaches by a route of its own."""
    found = []
    for line in run(["ip", "-4", "route", "show", "table", "all"]).splitlines():
        words = line.split()
        target = words[1] if words[0] in {"local", "broadcast", "unreachable"} else words[0]
        if target[0].isdigit():
            found.append(IPv4Network(target, strict=False))
    return found


def wait_for(
    condition: Callable[[], object], what: str, *, timeout: float, every: float = 0.1
) -> None:
    """Look again and again. Raises ClusterError when it did not come within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {timeout:.0f} s in vain for {what}")
        time.sleep(every)


def _only_child(parent: "subprocess.Popen[bytes]") -> psutil.Process:
    outside = Path("/proc/self/ns/net").readlink()
    found: list[psutil.Process] = []

    def there() -> bool:
        if parent.poll() is not None:
            raise ClusterError("this machine does not let us make a network of our own (unshare)")
        found[:] = psutil.Process(parent.pid).children()
        return bool(found) and Path(f"/proc/{found[0].pid}/ns/net").readlink() != outside

    wait_for(there, "the node's first process", timeout=20, every=0.02)
    return found[0]


def _link(name: str, addresses: Addresses, process: int) -> None:
    inside = ["nsenter", "--target", str(process), "--net", "ip"]
    run(["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(process)])
    run(["ip", "address", "add", f"{addresses.host}/30", "dev", name])
    run(["ip", "link", "set", name, "up"])
    run([*inside, "address", "add", f"{addresses.node}/30", "dev", "eth0"])
    run([*inside, "link", "set", "eth0", "up"])
    run([*inside, "route", "add", "default", "via", str(addresses.host)])
    # Pods and services are reached from this machine as from the node itself.
    run(["ip", "route", "add", str(addresses.block), "via", str(addresses.node), "dev", name])


def _hierarchies() -> Iterator[Path]:
    """Where control groups are made: one tree (version 2) or one per controller (version 1)."""
    if (_CGROUPS / "cgroup.controllers").exists():
        yield _CGROUPS
        return
    for line in Path("/proc/mounts").read_text().splitlines():
        _, folder, kind, options, *_ = line.split()
        if kind == "cgroup" and not any(word.startswith("name=") for word in options.split(",")):
            yield Path(folder)
    yield from (path for path in [_CGROUPS / "systemd", _CGROUPS / "unified"] if path.is_dir())


def _cgroup_roots(name: str) -> list[Path]:
    return [root / name for root in _hierarchies() if (root / name).exists()]


def _make_cgroups(name: str) -> None:
    for root in _hierarchies():
        folder = root / name
        folder.mkdir(exist_ok=True)
        if root == _CGROUPS:
            enabled = (root / "cgroup.controllers").read_text().split()
            for parent in (root, folder):
                (parent / "cgroup.subtree_control").write_text(
                    " ".join(f"+{controller}" for controller in enabled)
                )
        for inherited in ("cpuset.cpus", "cpuset.mems"):
            if (root / inherited).exists():
                (folder / inherited).write_text((root / inherited).read_text())
        (folder / "programs").mkdir(exist_ok=True)
        for inherited in ("cpuset.cpus", "cpuset.mems"):
            if (root / inherited).exists():
                (folder / "programs" / inherited).write_text((root / inherited).read_text())
        for limit in ("memory.limit_in_bytes", "memory.max"):
            if (folder / limit).exists():
                (folder / limit).write_text(str(MEMORY_LIMIT))


def _join_cgroups(name: str, process: int) -> None:
    for root in _cgroup_roots(name):
        (root / "programs" / "cgroup.procs").write_text(str(process))


def _empty(folder: Path) -> None:
    try:
        for process in (folder / "cgroup.procs").read_text().split():
            os.kill(int(process), signal.SIGKILL)
        folder.rmdir()
    except (FileNotFoundError, ProcessLookupError, OSError):
        return  # gone meanwhile, or not empty yet: looked at again
