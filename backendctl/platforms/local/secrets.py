"""Secret values of one environment: in one private file, apart from code, releases and journals."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.filesystem import atomic_write, writing
from backendctl.platforms.local.layout import Layout


class LocalSecrets:
    """base.Secrets in a 0600 file. Making one touches nothing."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._folder = layout.secrets
        self._path = layout.secrets / "values.json"

    def set(self, name: str, value: str) -> str:
        """See base.Secrets. The value it already has keeps its version: nothing changed.

        Raises ValueError for a value that no process's environment can hold.
        """
        if "\0" in value:
            raise ValueError(f"the value of {name} holds a zero byte")
        with self._changing() as known:
            entry = known.setdefault(name, {"current": None, "versions": {}})
            current = entry["current"]
            if current is not None and entry["versions"][current] == value:
                return str(current)
            version = f"v{len(entry['versions']) + 1}"
            entry["versions"][version] = value
            entry["current"] = version
            return version

    def unset(self, name: str) -> None:
        """See base.Secrets. A name that is not set stays so."""
        with self._changing() as known:
            if name in known:
                known[name]["current"] = None

    def current(self) -> Mapping[str, str]:
        """See base.Secrets."""
        return {n: e["current"] for n, e in sorted(self._read().items()) if e["current"]}

    def reveal(self, name: str) -> str | None:
        """See base.Secrets."""
        entry = self._read().get(name, {"current": None})
        return None if entry["current"] is None else str(entry["versions"][entry["current"]])

    def values(self, pinned: Mapping[str, str]) -> Mapping[str, str]:
        """The values of the versions a release pinned, for its processes' environment only.

        Raises BackendctlError `missing.data` naming a version that is not there.
        """
        known = self._read()
        found = {}
        for name, version in pinned.items():
            versions = known.get(name, {}).get("versions", {})
            if version not in versions:
                raise BackendctlError(
                    "missing.data",
                    f"secret {name} has no version {version} here",
                    cause="the environment's secrets were deleted, or the release is another's",
                    state="no process was started",
                    next=(f"backendctl secrets set {name}", "backendctl deploy"),
                )
            found[name] = versions[version]
        return found

    def _read(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        return found

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        from filelock import FileLock

        self._layout.make(self._folder)
        path = self._folder / "lock"
        with writing(path):
            lock = FileLock(path, mode=0o600)
            lock.acquire()
        try:
            known = self._read()
            before = json.dumps(known)
            yield known
            if json.dumps(known) != before:
                atomic_write(self._path, json.dumps(known).encode())
        finally:
            lock.release()
