"""Which registries speak plain HTTP: what Podman and Buildah are told in registries.conf counts for
our own requests too (containers-registries.conf(5))."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path


def is_insecure(host: str, environ: Mapping[str, str], home: Path | None = None) -> bool:
    """Whether a registry is stated to be `insecure`."""
    for path in _files(environ, home or Path.home()):
        try:
            stated = tomllib.loads(path.read_text())
        except (OSError, tomllib.TOMLDecodeError):
            continue  # the tools say it if theirs is broken
        for registry in stated.get("registry", ()):
            where = registry.get("location") or registry.get("prefix") or ""
            if where.partition("/")[0] == host:
                return bool(registry.get("insecure", False))
    return False


def _files(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    """The one that counts first."""
    if environ.get("CONTAINERS_REGISTRIES_CONF"):
        yield Path(environ["CONTAINERS_REGISTRIES_CONF"])
        return
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers/registries.conf"
    yield Path("/etc/containers/registries.conf")
