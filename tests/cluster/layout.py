"""Where a test cluster keeps what it needs, and which addresses are its own."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

BLOCKS = [IPv4Network(f"10.{second}.0.0/16") for second in range(64, 128)]
"""A cluster takes one of these whole: pods, services and the link to the machine."""


def cache_folder() -> Path:
    """Binaries and images, shared by every cluster of this user."""
    given = os.environ.get("BACKENDCTL_TEST_CACHE")
    if given:
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "backendctl" / "test-cluster"


@dataclass(frozen=True)
class Addresses:
    """One /16: the lower half for pods, then services, and at the end the link."""

    block: IPv4Network

    @property
    def pods(self) -> IPv4Network:
        return next(self.block.subnets(new_prefix=17))

    @property
    def services(self) -> IPv4Network:
        return list(self.block.subnets(new_prefix=18))[2]

    @property
    def load_balancers(self) -> IPv4Network:
        """What Services of type LoadBalancer get their addresses from."""
        return list(self.block.subnets(new_prefix=24))[192]

    @property
    def api_service(self) -> IPv4Address:
        return self.services[1]

    @property
    def host(self) -> IPv4Address:
        """This machine's end of the link."""
        return self.block[-3]

    @property
    def node(self) -> IPv4Address:
        """The node's end of the link: API server, DNS, registry, Prometheus, gateway."""
        return self.block[-2]


def free_block(name: str, taken: Iterable[IPv4Network]) -> IPv4Network:
    """The block a cluster of this name takes: the same one each time when it is free.

    Raises LookupError when every block overlaps a network this machine already reaches.
    """
    first = int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(BLOCKS)
    used = [network for network in taken if network.prefixlen > 0]
    for block in BLOCKS[first:] + BLOCKS[:first]:
        if not any(block.overlaps(network) for network in used):
            return block
    raise LookupError("every network from 10.64.0.0/16 to 10.127.0.0/16 is in use on this machine")


@dataclass(frozen=True)
class Layout:
    """The files of one cluster, all under its state folder."""

    state: Path

    @property
    def name(self) -> str:
        """Short and unlike any other cluster's: names the cgroup and the link."""
        return "bctl" + hashlib.sha256(str(self.state).encode()).hexdigest()[:8]

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    def component_kubeconfig(self, component: str) -> Path:
        return self.pki / f"{component}.kubeconfig"

    @property
    def config(self) -> Path:
        return self.state / "config"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def supervisor_socket(self) -> Path:
        return self.state / "supervisor.sock"

    @property
    def containerd_socket(self) -> Path:
        return self.state / "containerd.sock"

    @property
    def containers_storage(self) -> Path:
        """Configuration of buildah's storage, apart from the user's own."""
        return self.config / "storage.conf"

    @property
    def containers_registries(self) -> Path:
        """Tells buildah that the cluster's registry speaks plain HTTP."""
        return self.config / "registries.conf"

    @property
    def record(self) -> Path:
        """What is running: process, addresses. Written before anything is started."""
        return self.state / "cluster.json"
