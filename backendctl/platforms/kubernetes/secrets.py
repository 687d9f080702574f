"""Secret values of one environment: an immutable Secret for each version, which pods are given by
reference, and a ConfigMap that says which version of each name is current.

Values are in no log, error or argument; nothing but `reveal` and `set`, which compares, reads one.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.cluster import Cluster, Object
from backendctl.platforms.kubernetes.errors import Conflict
from backendctl.platforms.kubernetes.naming import SECRET_KEY, Naming
from backendctl.platforms.kubernetes.ownership import require_ours

_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the index says of one name."""

    current: str = ""
    """"" if the name is not set."""
    last: int = 0
    """The highest version ever made."""


_Change = Callable[[dict[str, _Entry]], None]


class KubernetesSecrets:
    """base.Secrets in a namespace. Making one touches nothing."""

    def __init__(self, cluster: Cluster, naming: Naming) -> None:
        self._cluster = cluster
        self._naming = naming

    def set(self, name: str, value: str) -> str:
        """See base.Secrets. The value it already has keeps its version: nothing changed.

        Raises ValueError for a value that no process's environment can hold.
        """
        if "\0" in value:
            raise ValueError(f"the value of {name} holds a zero byte")
        entry = self._index()[0].get(name, _Entry())
        if entry.current and self._value(name, entry.current) == value:
            return entry.current
        number = self._make(name, value, entry.last + 1)
        version = f"v{number}"

        def point(known: dict[str, _Entry]) -> None:
            last = max(known.get(name, _Entry()).last, number)
            known[name] = _Entry(version, last)

        self._change(point)
        return version

    def unset(self, name: str) -> None:
        """See base.Secrets. A name that is not set stays so."""

        def forget(known: dict[str, _Entry]) -> None:
            if name in known:
                known[name] = replace(known[name], current="")

        self._change(forget)

    def reveal(self, name: str) -> str | None:
        """See base.Secrets. Raises `missing.data` if the version that is current was deleted."""
        current = self.current().get(name)
        if current is None:
            return None
        value = self._value(name, current)
        if value is None:
            raise BackendctlError(
                "missing.data",
                f"version {current} of secret {name} is gone",
                cause=f"the Secret {self._naming.secret(name, current)} was deleted",
                state="releases that pinned it run on; they cannot be started again",
                next=(f"backendctl secrets set {name}", "backendctl deploy"),
            )
        return value

    def current(self) -> Mapping[str, str]:
        """See base.Secrets."""
        known = self._index()[0]
        return {name: entry.current for name, entry in sorted(known.items()) if entry.current}

    # --- inside ---

    def _make(self, name: str, value: str, number: int) -> int:
        """The number of the new version: the next that nobody has made."""
        body: Object = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "namespace": self._naming.namespace,
                "labels": dict(self._naming.labels("secret")),
            },
            "type": "Opaque",
            "immutable": True,
            "data": {SECRET_KEY: b64encode(value.encode()).decode("ascii")},
        }
        for candidate in range(number, number + _ATTEMPTS):
            body["metadata"]["name"] = self._naming.secret(name, f"v{candidate}")
            try:
                self._cluster.create(body)
            except Conflict:
                continue
            return candidate
        raise self._too_busy(name)

    def _value(self, name: str, version: str) -> str | None:
        found = self._cluster.get("Secret", self._naming.secret(name, version))
        return None if found is None else b64decode(found["data"][SECRET_KEY]).decode()

    def _index(self) -> tuple[dict[str, _Entry], str]:
        """What is known, and the version of the object that says it; "" if there is none."""
        found = self._cluster.get("ConfigMap", self._naming.secrets)
        if found is None:
            return {}, ""
        require_ours(self._naming, found)
        data = found.get("data") or {}
        known = {name: _Entry(**json.loads(text)) for name, text in data.items()}
        return known, found["metadata"]["resourceVersion"]

    def _change(self, change: _Change) -> None:
        for _ in range(_ATTEMPTS):
            known, version = self._index()
            changed = dict(known)
            change(changed)
            if changed == known:
                return
            try:
                self._save(changed, version)
            except Conflict:
                continue
            return
        raise self._too_busy("index")

    def _save(self, known: Mapping[str, _Entry], version: str) -> None:
        body: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self._naming.secrets,
                "namespace": self._naming.namespace,
                "labels": dict(self._naming.labels("secrets")),
            },
            "data": {
                name: json.dumps({"current": entry.current, "last": entry.last})
                for name, entry in known.items()
            },
        }
        if version:
            body["metadata"]["resourceVersion"] = version
            self._cluster.replace(body)
        else:
            self._cluster.create(body)

    @staticmethod
    def _too_busy(name: str) -> BackendctlError:
        return BackendctlError(
            "platform.conflict",
            f"the secret {name} could not be written",
            cause="somebody else changes it all the time",
            state="nothing was changed",
        )
