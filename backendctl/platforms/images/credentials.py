"""The registry accounts that `docker login`, `podman login` or `buildah login` have left here.

The formats are those of Docker's `config.json` (`auths`, `credHelpers`, `credsStore`) and of
containers-auth.json(5), which are alike.
"""

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backendctl.platforms.images.reference import DOCKER_HUB

HELPER_DEADLINE = 20.0
"""Seconds: a helper may ask a cloud for a token."""
_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "docker.io")


@dataclass(frozen=True, slots=True)
class Account:
    """Who we are to a registry."""

    user: str
    password: str = field(repr=False)


def account_for(
    host: str, path: str, environ: Mapping[str, str], home: Path | None = None
) -> Account | None:
    """The account for a repository; the most specific entry wins. None if there is none."""
    for file in _files(environ, home or Path.home()):
        settings = _read(file)
        for key in _keys(host, path):
            helper = (settings.get("credHelpers") or {}).get(key)
            found = _from_helper(helper, key) if helper else _from_entry(settings, key)
            if found is not None:
                return found
    return None


def _files(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    if environ.get("REGISTRY_AUTH_FILE"):
        yield Path(environ["REGISTRY_AUTH_FILE"])
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    yield Path(runtime) / "containers" / "auth.json"
    yield Path(f"/run/containers/{os.getuid()}/auth.json")
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json"
    yield Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _keys(host: str, path: str) -> Iterator[str]:
    """`ghcr.io/acme/shop`, `ghcr.io/acme`, `ghcr.io`, and as old versions of Docker wrote it."""
    parts = [host, *path.split("/")]
    for length in range(len(parts), 0, -1):
        yield "/".join(parts[:length])
    yield from _HUB_KEYS if host == DOCKER_HUB else (f"https://{host}", f"https://{host}/v2/")


def _from_entry(settings: Mapping[str, Any], key: str) -> Account | None:
    auths = settings.get("auths") or {}
    if key not in auths:
        return None
    entry = auths[key] or {}
    if entry.get("auth"):
        try:
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except ValueError:
            return None
        return Account(user, entry.get("identitytoken") or password)
    if entry.get("username"):
        return Account(entry["username"], entry.get("password", ""))
    store = settings.get("credsStore")
    return _from_helper(store, key) if store else None


def _from_helper(name: str, key: str) -> Account | None:
    """Ask `docker-credential-NAME`, whose protocol is one line in and JSON out."""
    try:
        done = subprocess.run(
            [f"docker-credential-{name}", "get"],
            input=key.encode(),
            capture_output=True,
            timeout=HELPER_DEADLINE,
            check=False,
        )
        found = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    return Account(str(found["Username"]), str(found["Secret"])) if found else None
