"""What the head leads to: immutable ConfigMaps named by their contents, and people's commands."""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.journal.records import decode, encode
from backendctl.platforms.kubernetes.cluster import Cluster, Object
from backendctl.platforms.kubernetes.errors import Conflict
from backendctl.platforms.kubernetes.head import Segment, gone, packed, unpacked
from backendctl.platforms.kubernetes.naming import DOMAIN, Naming

_RECORD = f"{DOMAIN}/record"
"""Label: what is in it."""
_ROLLOUT = f"{DOMAIN}/rollout"
"""Label: whose it is."""
_BEFORE = f"{DOMAIN}/before"
"""Annotation: the digest of the segment before."""

_COMMANDS = "commands"
_ATTEMPTS = 20

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,28}[a-z0-9])?")


class Archive:
    """The closed records of one environment. Reading remembers what cannot change."""

    def __init__(self, cluster: Cluster, naming: Naming) -> None:
        self._cluster = cluster
        self._naming = naming
        self._releases: dict[str, tuple[str, bytes]] = {}
        self._segments: tuple[str, dict[str, Object]] = ("", {})

    def any(self) -> str:
        """The name of something that was recorded; "" if nothing was."""
        found = self._cluster.list("ConfigMap", self._naming.labels("record"))
        return f"ConfigMap {found[0]['metadata']['name']}" if found else ""

    # --- segments ---

    def keep(self, segment: Segment | None) -> None:
        """Close a segment; None needs nothing."""
        if segment is None:
            return
        slug = _slug(segment.rollout)
        self._make(
            f"{self._naming.journal}-{slug}-{segment.digest}",
            {_RECORD: "segment", _ROLLOUT: slug},
            {_BEFORE: segment.before},
            segment.text,
        )

    def segments(self, rollout: str, last: str) -> Sequence[tuple[str, bytes]]:
        """The closed segments of a rollout up to the one of digest `last`: name and text, oldest
        first. Raises `journal.corrupt` if one is gone."""
        slug = _slug(rollout)
        known = self._segments[1] if self._segments[0] == slug else {}
        if last and last not in known:
            found = self._cluster.list(
                "ConfigMap",
                {**self._naming.labels("record"), _RECORD: "segment", _ROLLOUT: slug},
            )
            known = {each["metadata"]["name"].rpartition("-")[2]: each for each in found}
            self._segments = slug, known
        chain: list[tuple[str, bytes]] = []
        while last:
            name = f"ConfigMap {self._naming.journal}-{slug}-{last}"
            if last not in known:
                raise gone(name, "it was deleted, and the journal has a gap there")
            chain.append((name, unpacked(known[last].get("binaryData") or {}, name)))
            last = known[last]["metadata"]["annotations"][_BEFORE]
        return chain[::-1]

    # --- releases ---

    def keep_release(self, number: int, digest: str, text: bytes) -> None:
        """Record one; it counts once the head names it."""
        self._make(self._release(number, digest), {_RECORD: "release"}, {}, text)

    def releases(self, digests: Sequence[str]) -> Sequence[tuple[str, bytes]]:
        """Name and text of these, in their order. Raises `journal.corrupt` if one is gone."""
        if any(each not in self._releases for each in digests):
            found = self._cluster.list(
                "ConfigMap", {**self._naming.labels("record"), _RECORD: "release"}
            )
            for each in found:
                name = f"ConfigMap {each['metadata']['name']}"
                text = unpacked(each.get("binaryData") or {}, name)
                self._releases[name.rpartition("-")[2]] = (name, text)
        for number, digest in enumerate(digests, start=1):
            if digest not in self._releases:
                raise gone(f"ConfigMap {self._release(number, digest)}", "it was deleted")
        return [self._releases[digest] for digest in digests]

    def _release(self, number: int, digest: str) -> str:
        return f"{self._naming.release(number)}-record-{digest}"

    # --- examples ---

    def keep_samples(self, digest: str, text: bytes) -> None:
        self._make(self._sample(digest), {_RECORD: "samples"}, {}, text)

    def samples(self, digest: str) -> bytes | None:
        """None if they are gone."""
        name = self._sample(digest)
        found = self._cluster.get("ConfigMap", name)
        return None if found is None else unpacked(found.get("binaryData") or {}, name)

    def forget_samples(self, digest: str) -> None:
        self._cluster.delete("ConfigMap", self._sample(digest))

    def _sample(self, digest: str) -> str:
        return f"{self._naming.service}-samples-{digest}"

    # --- commands ---

    def add_command(self, rollout: str, command: Mapping[str, Any]) -> None:
        """Add to what people asked of a rollout; nobody's is lost."""
        name = self._command(rollout)
        written, lost = b"", False
        for _ in range(_ATTEMPTS):
            found = self._cluster.get("ConfigMap", name)
            text = b"" if found is None else found["data"][_COMMANDS].encode()
            if written and text.endswith(written):
                return  # it was written; only the answer was lost
            written = encode(command, decode(text, source=name).last)
            body = self._object(name, {_RECORD: _COMMANDS, _ROLLOUT: _slug(rollout)})
            body["data"] = {_COMMANDS: (text + written).decode("ascii")}
            try:
                if found is None:
                    self._cluster.create(body)
                else:
                    body["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
                    self._cluster.replace(body)
                return
            except Conflict:
                written = b""
            except BackendctlError as error:
                if error.code != "missing.cluster" or lost:
                    raise
                lost = True
        raise BackendctlError(
            "platform.conflict",
            f"the command could not be left for rollout {rollout}",
            cause="others leave commands for it faster than they can be written",
            state="nothing was changed",
        )

    def commands(self, rollout: str) -> Sequence[Mapping[str, Any]]:
        """Oldest first."""
        name = self._command(rollout)
        found = self._cluster.get("ConfigMap", name)
        if found is None:
            return []
        return decode(found["data"][_COMMANDS].encode(), source=f"ConfigMap {name}").records

    def _command(self, rollout: str) -> str:
        return f"{self._naming.service}-commands-{_slug(rollout)}"

    # --- inside ---

    def _object(self, name: str, labels: Mapping[str, str]) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "namespace": self._naming.namespace,
                "labels": {**self._naming.labels("record"), **labels},
            },
        }

    def _make(
        self, name: str, labels: Mapping[str, str], annotations: Mapping[str, str], text: bytes
    ) -> None:
        """Make an immutable object, named by its contents: one that is there already is it."""
        body = self._object(name, labels)
        body["metadata"]["annotations"] = dict(annotations)
        body["immutable"] = True
        body["binaryData"] = dict(packed(text))
        for last in (False, True):
            try:
                self._cluster.create(body)
            except Conflict:
                return
            except BackendctlError as error:
                if error.code != "missing.cluster" or last:
                    raise
                continue  # perhaps it was made, and only the answer was lost
            return


def _slug(rollout: str) -> str:
    """The identifier itself where a label and a name can hold it, as it usually can."""
    if _LABEL.fullmatch(rollout):
        return rollout
    return sha256(rollout.encode()).hexdigest()[:20]
