"""Names of images. Pure."""

import ipaddress
from dataclasses import dataclass

DOCKER_HUB = "docker.io"


@dataclass(frozen=True, slots=True)
class Repository:
    """Where the images of one name are kept."""

    host: str
    """With its port, if it has one."""
    path: str

    @classmethod
    def of(cls, registry: str, name: str) -> "Repository":
        """`name` within `registry` as backend.toml states it (`ghcr.io/acme`, `localhost:5000`)."""
        host, _, path = registry.partition("/")
        if not _is_host(host):  # "acme": an account of Docker Hub
            host, path = DOCKER_HUB, registry
        return cls(host, f"{path}/{name}" if path else name)

    def tagged(self, tag: str) -> str:
        return f"{self.host}/{self.path}:{tag}"

    def at(self, digest: str) -> str:
        """The reference that always means the same image."""
        return f"{self.host}/{self.path}@{digest}"


def is_loopback(reference: str) -> bool:
    """Whether the registry of a reference (or a registry's host) is on this machine."""
    host = reference.partition("/")[0].partition("@")[0]
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_host(part: str) -> bool:
    """Docker's rule: a dot, a port, or localhost makes the first part a host."""
    return "." in part or ":" in part or part == "localhost"
