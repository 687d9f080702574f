"""The one way to a cluster's API server: objects are plain dicts, as the API documents them.

Every failure is a BackendctlError of `errors.py`, within seconds. What can safely be asked again
(reading, server-side apply, and whatever was never sent) is, a few times.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from backendctl.clock import Clock, SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes import errors
from backendctl.platforms.kubernetes.connection import (
    APPLY,
    JSON,
    MERGE,
    Answer,
    Connection,
    KubeconfigConnection,
    NoAnswerError,
    decoded,
)
from backendctl.platforms.kubernetes.errors import Asked
from backendctl.platforms.kubernetes.kinds import KINDS
from backendctl.platforms.kubernetes.naming import FIELD_MANAGER

Object = dict[str, Any]
Manifest = Mapping[str, Any]

TIMEOUT = 10.0
"""Seconds until one request must be answered."""
PAUSES = (0.2, 0.5, 1.0)
"""Seconds before each further attempt."""
PAGE = 500
"""Objects per answer of a list."""


class Cluster:
    """One cluster, one account, and the namespace in which an environment lives.

    Making one touches nothing. Threads may share it.
    """

    def __init__(
        self,
        namespace: str,
        context: str = "",
        connection: Connection | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`context`: of the kubeconfig; "" for the current one, or the pod's own account."""
        self.namespace = namespace
        self._connection = connection or KubeconfigConnection(context)
        self._clock = clock or SystemClock()

    # --- reading ---

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """The object, None if there is none of that name."""
        asked = self._asked("get", kind, name, namespace)
        answer = self._ask(asked, "GET", self._path(asked))
        if answer.status == 404 and errors.absent(answer.body):
            return None
        return self._object(asked, answer)

    def list(
        self,
        kind: str,
        labels: Mapping[str, str] | None = None,
        namespace: str | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> list[Object]:
        """All objects with these labels (and field values), by name."""
        found, _version = self._list(kind, labels, namespace, fields)
        return sorted(found, key=lambda each: str(each["metadata"]["name"]))

    def watch(
        self,
        kind: str,
        labels: Mapping[str, str] | None = None,
        namespace: str | None = None,
        fields: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> Iterator[tuple[str, Object]]:
        """What is there (`ADDED`), then each change (`ADDED`, `MODIFIED`, `DELETED`), for at most
        `timeout` seconds. A connection that breaks is made anew: an object may come twice."""
        until = self._clock.monotonic() + timeout
        while (left := until - self._clock.monotonic()) > 0:
            found, version = self._list(kind, labels, namespace, fields)
            for each in found:
                yield "ADDED", each
            yield from self._changes(kind, labels, namespace, fields, version, left)

    def pod_logs(
        self,
        pod: str,
        *,
        container: str = "",
        lines: int | None = None,
        follow: bool = False,
        previous: bool = False,
        timestamps: bool = False,
        since: str = "",
        namespace: str | None = None,
    ) -> Iterator[str]:
        """A container's last lines, oldest first, then, if `follow`, those to come until it ends.

        With `timestamps` each begins with when it was written, and a space; `since` is such a
        time. None from a container that never ran. Silence of an hour ends the following, and so
        does a connection that breaks: whoever follows looks whether there is more to come."""
        asked = self._asked("get", "Pod", pod, namespace)
        query = {"follow": str(follow).lower(), "previous": str(previous).lower()}
        query |= {"container": container} if container else {}
        query |= {"tailLines": str(lines)} if lines is not None else {}
        query |= {"timestamps": "true"} if timestamps else {}
        query |= {"sinceTime": since} if since else {}
        following = False
        try:
            stream = self._connection.stream(
                self._path(asked) + "/log", query, 3600.0 if follow else TIMEOUT
            )
            if stream.status in (400, 404):
                stream.close()  # no such container yet, or no previous one
                return
            if stream.status >= 300:
                raise errors.refused(asked, stream.status, stream.read())
            following = follow
            try:
                for line in stream.lines():
                    yield line.decode(errors="replace").rstrip("\r")
            finally:
                stream.close()
        except NoAnswerError as error:
            if following:
                return
            raise self._unreachable(asked, error) from error

    def proxied(
        self, pod: str, port: int, path: str, query: Mapping[str, str], namespace: str
    ) -> bytes:
        """What a pod answers to a GET, asked through the API server: for whoever has no way to
        the pods themselves. An answer that is no 200 is an error, as silence is."""
        asked = self._asked("get", "Pod", pod, namespace)
        where = f"{self._path(asked)}:{port}/proxy{path}"
        answer = self._ask(asked, "GET", where, query)
        if answer.status != 200:
            raise errors.refused(self._named(asked), answer.status, answer.body)
        return answer.body

    # --- writing ---

    def apply(
        self, manifest: Manifest, namespace: str | None = None, *, dry_run: bool = False
    ) -> Object:
        """Make the object be as the manifest says, by server-side apply as `backendctl`: fields
        that the manifest leaves out are left to whoever owns them; those in it become ours."""
        asked = self._of(manifest, "patch", namespace)
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        query |= {"dryRun": "All"} if dry_run else {}
        return self._object(
            asked, self._ask(asked, "PATCH", self._path(asked), query, manifest, APPLY)
        )

    def create(self, manifest: Manifest, namespace: str | None = None) -> Object:
        """Raises Conflict if there is one of that name. `generateName` may stand for the name."""
        asked = self._of(manifest, "create", namespace)
        collection = Asked(asked.verb, asked.kind, "", asked.namespace, asked.server)
        return self._object(
            asked, self._ask(asked, "POST", self._path(collection), _ours(), manifest)
        )

    def replace(self, manifest: Manifest, namespace: str | None = None) -> Object:
        """Compare and swap: put the manifest in the place of the object that has its
        `metadata.resourceVersion`. Raises Conflict if it has another one by now, or is gone.

        Raises ValueError for a manifest without a version: it would overwrite blindly.
        """
        if not manifest["metadata"].get("resourceVersion"):
            raise ValueError(f"{manifest['kind']} to be replaced has no resourceVersion")
        asked = self._of(manifest, "update", namespace)
        answer = self._ask(asked, "PUT", self._path(asked), _ours(), manifest)
        if answer.status == 404 and errors.absent(answer.body):
            raise errors.refused(asked, 409, answer.body)
        return self._object(asked, answer)

    def patch(
        self,
        kind: str,
        name: str,
        change: Mapping[str, Any],
        namespace: str | None = None,
        *,
        subresource: str = "",
    ) -> Object:
        """Merge `change` into the object (JSON merge patch: null removes a key). With a
        `metadata.resourceVersion` in it, raises Conflict if the object has another by now."""
        asked = self._asked("patch", kind, name, namespace)
        path = self._path(asked) + (f"/{subresource}" if subresource else "")
        return self._object(asked, self._ask(asked, "PATCH", path, _ours(), change, MERGE))

    def delete(
        self,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        grace: int | None = None,
        wait_for_dependents: bool = False,
        resource_version: str = "",
    ) -> bool:
        """Whether there was one. What it owns goes too, before it with `wait_for_dependents`.

        `grace`: seconds, instead of the object's own. Raises Conflict if it does not have
        `resource_version`, if one is given."""
        asked = self._asked("delete", kind, name, namespace)
        policy = "Foreground" if wait_for_dependents else "Background"
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        if resource_version:
            body["preconditions"] = {"resourceVersion": resource_version}
        answer = self._ask(asked, "DELETE", self._path(asked), {}, body)
        if answer.status == 404 and errors.absent(answer.body):
            return False
        self._object(asked, answer)
        return True

    def allowed(self, verb: str, kind: str, name: str = "", namespace: str | None = None) -> bool:
        """Whether this account may do that (asked of the server: nothing is tried)."""
        asked = self._asked(verb, kind, name, namespace)
        group = KINDS[kind].group.rpartition("/")[0]
        attributes = {"verb": verb, "resource": KINDS[kind].plural, "group": group, "name": name}
        review = self.create(
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "metadata": {},
                "spec": {"resourceAttributes": {**attributes, "namespace": asked.namespace}},
            }
        )
        return bool(review["status"]["allowed"])

    def versions(self, group: str) -> Sequence[str]:
        """In which versions the server knows an API group; none if it does not know it."""
        asked = Asked("get", "APIGroup", group, "", self._connection.server)
        answer = self._ask(asked, "GET", f"/apis/{group}")
        if answer.status == 404:
            return ()
        return [str(each["version"]) for each in self._object(asked, answer)["versions"]]

    @property
    def server(self) -> str:
        """The API server's address; "" before the first request."""
        return self._connection.server

    # --- inside ---

    def _asked(self, verb: str, kind: str, name: str, namespace: str | None) -> Asked:
        inside = (namespace or self.namespace) if KINDS[kind].namespaced else ""
        return Asked(verb, kind, name, inside, self._connection.server)

    def _of(self, manifest: Manifest, verb: str, namespace: str | None) -> Asked:
        metadata = manifest["metadata"]
        return self._asked(
            verb,
            str(manifest["kind"]),
            str(metadata.get("name", "")),
            namespace or metadata.get("namespace"),
        )

    @staticmethod
    def _path(asked: Asked) -> str:
        kind = KINDS[asked.kind]
        inside = f"/namespaces/{quote(asked.namespace, safe='')}" if asked.namespace else ""
        name = f"/{quote(asked.name, safe='')}" if asked.name else ""
        return f"{kind.root}{inside}/{kind.plural}{name}"

    def _ask(
        self,
        asked: Asked,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content: str = JSON,
    ) -> Answer:
        repeatable = method == "GET" or content == APPLY
        for pause in (*PAUSES, None):
            try:
                answer = self._connection.request(method, path, query or {}, body, content, TIMEOUT)
            except NoAnswerError as error:
                if pause is None or (error.sent and not repeatable):
                    raise self._unreachable(asked, error) from error
                self._clock.wait(pause)
                continue
            again = answer.status == 429 or (repeatable and answer.status in (500, 502, 503, 504))
            if pause is None or not again:
                return answer
            self._clock.wait(max(pause, min(answer.retry_after, 2.0)))
        raise AssertionError("the last attempt returns or raises")

    def _object(self, asked: Asked, answer: Answer) -> Object:
        if answer.status >= 300:
            raise errors.refused(self._named(asked), answer.status, answer.body)
        try:
            return decoded(answer.body)
        except NoAnswerError as error:
            raise self._unreachable(asked, error) from error

    def _named(self, asked: Asked) -> Asked:
        """With the server's address, which is known only after the first request."""
        return Asked(asked.verb, asked.kind, asked.name, asked.namespace, self._connection.server)

    def _unreachable(self, asked: Asked, error: NoAnswerError) -> BackendctlError:
        return errors.unreachable(self._named(asked), error.cause, sent=error.sent)

    def _list(
        self,
        kind: str,
        labels: Mapping[str, str] | None,
        namespace: str | None,
        fields: Mapping[str, str] | None,
    ) -> tuple[Sequence[Object], str]:
        """Objects, and the version of the collection that they were read at."""
        asked = self._asked("list", kind, "", namespace)
        query = {**_selecting(labels, fields), "limit": str(PAGE)}
        found: list[Object] = []
        while True:
            answer = self._ask(asked, "GET", self._path(asked), query)
            if answer.status == 410 and "continue" in query:
                # The server has forgotten the version that the pages are of: then all at once.
                found, query = [], _selecting(labels, fields)
                continue
            page = self._object(asked, answer)
            api = page.get("apiVersion", KINDS[kind].group)
            found += [{"apiVersion": api, "kind": kind, **each} for each in page["items"] or ()]
            metadata = page["metadata"]
            if not metadata.get("continue"):
                return found, str(metadata.get("resourceVersion", ""))
            query["continue"] = metadata["continue"]

    def _changes(
        self,
        kind: str,
        labels: Mapping[str, str] | None,
        namespace: str | None,
        fields: Mapping[str, str] | None,
        version: str,
        seconds: float,
    ) -> Iterator[tuple[str, Object]]:
        """Until the time is over, the connection ends, or the server has forgotten the version."""
        asked = self._asked("watch", kind, "", namespace)
        query = {
            **_selecting(labels, fields),
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(max(1, round(seconds))),
        }
        try:
            stream = self._connection.stream(self._path(asked), query, seconds + 2.0)
            if stream.status == 410:
                stream.close()
                return
            if stream.status >= 300:
                raise errors.refused(self._named(asked), stream.status, stream.read())
            try:
                for line in stream.lines():
                    event = decoded(line)
                    if event["type"] == "ERROR":
                        return
                    yield event["type"], event["object"]
            finally:
                stream.close()
        except NoAnswerError:
            return  # whoever watches lists again, and that says it if the server is gone


def _ours() -> Mapping[str, str]:
    return {"fieldManager": FIELD_MANAGER}


def _selecting(
    labels: Mapping[str, str] | None, fields: Mapping[str, str] | None
) -> dict[str, str]:
    found = {}
    if labels:
        found["labelSelector"] = ",".join(f"{key}={value}" for key, value in labels.items())
    if fields:
        found["fieldSelector"] = ",".join(f"{key}={value}" for key, value in fields.items())
    return found
