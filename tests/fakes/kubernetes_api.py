"""A fake API server in memory: what tests of our own logic need of one, and no more.

It is faithful in what the store leans on: resourceVersions that rise with every change, creation
that fails if the name is taken, replacement that fails unless the version is the present one,
immutable ConfigMaps and Secrets, preconditions of deletion. It is not faithful in much else:
server-side apply is a deep merge, nothing is validated or defaulted, no controller runs, nobody is
forbidden anything. What rests on those is tested on a real cluster.

A test can come between two requests (`before`), lose one, or lose only its answer.
"""

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any
from urllib.parse import unquote

from backendctl.platforms.kubernetes.connection import Answer, NoAnswerError, Streamed
from backendctl.platforms.kubernetes.kinds import KINDS

Object = dict[str, Any]
_BY_PLURAL = {kind.plural: name for name, kind in KINDS.items()}


class FakeApi:
    """backendctl.platforms.kubernetes.connection.Connection, without a network."""

    server = "https://fake.invalid"

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.requests: list[tuple[str, str]] = []
        """Method and path of all that were carried out."""
        self.before: Callable[[str, str], None] = lambda _method, _path: None
        """Called before each request; may make others, or raise NoAnswerError."""
        self.groups = {"gateway.networking.k8s.io": ["v1", "v1beta1"]}
        """API groups that are asked for by name, with their versions."""
        self.forbidden: set[tuple[str, str]] = set()
        """Verb and resource (with its subresource) of what the account may not do, it is told."""
        self.lost_answers = 0
        """So many of the next changes are carried out, and the answer does not arrive."""
        self._versions = count(1)
        self._names = count(1)

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        content: str,
        timeout: float,
    ) -> Answer:
        sent = json.loads(json.dumps(body))
        self.before(method, path)
        self.requests.append((method, path))
        if path.startswith("/apis/") and path.count("/") == 2:
            return self._group(path.rpartition("/")[2])
        kind, namespace, name, subresource = _parse(path)
        status, answer = self._do(method, kind, namespace, name or "", query, sent, subresource)
        if method != "GET" and self.lost_answers:
            self.lost_answers -= 1
            raise NoAnswerError("the fake lost its answer", sent=True)
        return Answer(status, json.dumps(answer).encode())

    def stream(self, path: str, query: Mapping[str, str], timeout: float) -> Streamed:
        return _NoNews()

    # --- inside ---

    def _do(
        self,
        method: str,
        kind: str,
        namespace: str,
        name: str,
        query: Mapping[str, str],
        body: Any,
        subresource: str,
    ) -> tuple[int, Any]:
        if method == "GET" and not name:
            return 200, self._list(kind, namespace, query)
        key = (kind, namespace, name or self._name(body))
        there = self.objects.get(key)
        if kind.startswith("SelfSubject"):
            return 201, {**body, "status": self._review(body)}
        if method == "POST":
            return self._create(key, body) if there is None else _status(409, "AlreadyExists", key)
        if there is None and not (method == "PATCH" and query.get("force")):
            return _status(404, "NotFound", key)
        if method == "GET":
            return 200, copy.deepcopy(there)
        if method == "DELETE":
            return self._delete(key, body or {})
        if method == "PUT":
            return self._replace(key, body)
        if there is None:
            if body["metadata"].get("uid"):
                return _status(409, "Conflict", key)
            return self._create(key, body)
        change = {"status": body["status"]} if subresource == "status" else body
        return self._replace(key, _merged(there, change))

    def _group(self, name: str) -> Answer:
        if name not in self.groups:
            return Answer(404, b"404 page not found")
        versions = [{"version": each} for each in self.groups[name]]
        return Answer(200, json.dumps({"versions": versions}).encode())

    def _review(self, body: Object) -> Object:
        if body["kind"] == "SelfSubjectReview":
            return {"userInfo": {"username": "ana"}}
        asked = body["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource", ""))))
        return {"allowed": (asked["verb"], resource) not in self.forbidden}

    def _list(self, kind: str, namespace: str, query: Mapping[str, str]) -> Object:
        wanted = dict(
            each.split("=", 1) for each in query.get("labelSelector", "").split(",") if each
        )
        items = [
            copy.deepcopy(each)
            for (of, inside, _name), each in sorted(self.objects.items())
            if of == kind
            and (not namespace or inside == namespace)
            and wanted.items() <= each["metadata"].get("labels", {}).items()
        ]
        return {"metadata": {"resourceVersion": str(next(self._versions))}, "items": items}

    def _name(self, body: Any) -> str:
        metadata = (body or {}).get("metadata", {})
        if "name" not in metadata and "generateName" in metadata:
            metadata["name"] = f"{metadata['generateName']}{next(self._names):05d}"
        return str(metadata.get("name", ""))

    def _create(self, key: tuple[str, str, str], body: Object) -> tuple[int, Any]:
        return 201, self._put(key, body, f"uid-{next(self._names)}")

    def _put(self, key: tuple[str, str, str], body: Object, uid: str) -> Object:
        metadata = {**body["metadata"], "uid": uid, "resourceVersion": str(next(self._versions))}
        if key[1]:
            metadata["namespace"] = key[1]
        self.objects[key] = {**copy.deepcopy(body), "metadata": metadata}
        return copy.deepcopy(self.objects[key])

    def _replace(self, key: tuple[str, str, str], body: Object) -> tuple[int, Any]:
        there = self.objects[key]
        stated = body["metadata"].get("resourceVersion")
        if stated and stated != there["metadata"]["resourceVersion"]:
            return _status(409, "Conflict", key)
        if there.get("immutable") and any(
            body.get(part) != there.get(part) for part in ("data", "binaryData", "immutable")
        ):
            return _status(422, "Invalid", key)
        return 200, self._put(key, body, there["metadata"]["uid"])

    def _delete(self, key: tuple[str, str, str], options: Object) -> tuple[int, Any]:
        stated = (options.get("preconditions") or {}).get("resourceVersion")
        if stated and stated != self.objects[key]["metadata"]["resourceVersion"]:
            return _status(409, "Conflict", key)
        del self.objects[key]
        return 200, {"kind": "Status", "status": "Success"}


class _NoNews:
    """A watch on which nothing happens."""

    status = 200

    def read(self) -> bytes:
        return b""

    def lines(self) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        return


def _parse(path: str) -> tuple[str, str, str, str]:
    """Kind, namespace, name ("" for the collection) and subresource."""
    parts = [unquote(each) for each in path.strip("/").split("/")]
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    plural, name, subresource = (*parts, "", "")[:3]
    return _BY_PLURAL[plural], namespace, name, subresource


def _status(code: int, reason: str, key: tuple[str, str, str]) -> tuple[int, Any]:
    kind, _namespace, name = key
    return code, {
        "kind": "Status",
        "reason": reason,
        "message": f"{kind} {name}: {reason}",
        "details": {"kind": KINDS[kind].plural, "name": name},
    }


def _merged(old: Any, change: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(change, dict):
        return copy.deepcopy(change)
    found = {key: value for key, value in old.items() if key not in change}
    for key, value in change.items():
        if value is not None:
            found[key] = _merged(old.get(key), value)
    return found
