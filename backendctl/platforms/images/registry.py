"""Asking a registry, by the OCI distribution API, what it has, and leaving a document beside an
image there. Images themselves are pushed by the tool that built them."""

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backendctl.errors import BackendctlError
from backendctl.platforms.images.credentials import Account, account_for
from backendctl.platforms.images.reference import DOCKER_HUB, Repository, is_loopback
from backendctl.platforms.images.registries_conf import is_insecure

if TYPE_CHECKING:
    import httpx

TIMEOUT = 10.0
"""Seconds for one answer."""
CONNECT_TIMEOUT = 5.0

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_ACCEPTED = ", ".join(
    (
        MANIFEST,
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)
_EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class Registry:
    """One repository in its registry. Making one touches nothing."""

    def __init__(self, repository: Repository, environ: Mapping[str, str] | None = None) -> None:
        self._repository = repository
        self._environ = os.environ if environ is None else environ
        plain = is_loopback(repository.host) or is_insecure(repository.host, self._environ)
        host = "registry-1.docker.io" if repository.host == DOCKER_HUB else repository.host
        self._api = f"{'http' if plain else 'https'}://{host}/v2/{repository.path}"
        self._client: httpx.Client | None = None
        self._authorization = ""

    def digest(self, tag: str) -> str | None:
        """The digest (`sha256:...`) of what the tag names; None if there is nothing.

        Raises BackendctlError `missing.registry`, `registry.credentials`.
        """
        answer = self._ask("HEAD", f"/manifests/{tag}", headers={"Accept": _ACCEPTED})
        if answer.status_code == 404:
            return None
        self._check(answer)
        found = answer.headers.get("Docker-Content-Digest")
        if found:
            return str(found)
        answer = self._ask("GET", f"/manifests/{tag}", headers={"Accept": _ACCEPTED})
        self._check(answer)
        return _sha256(answer.content)

    def attach(self, digest: str, document: bytes, kind: str) -> str:
        """Leave a document with the image of that digest, where scanners look for it (OCI
        distribution 1.1, referrers); returns the digest of what holds it.

        Raises as `digest`, and `build.push` if the registry does not take it.
        """
        image = self._ask("GET", f"/manifests/{digest}", headers={"Accept": _ACCEPTED})
        self._check(image)
        for blob in (document, _EMPTY):
            self._upload(blob)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": kind,
            "config": _described(_EMPTY, _EMPTY_TYPE),
            "layers": [_described(document, kind)],
            "subject": _described(
                image.content, image.headers.get("Content-Type", MANIFEST).partition(";")[0]
            ),
        }
        body = json.dumps(manifest, separators=(",", ":")).encode()
        made = _sha256(body)
        answer = self._ask(
            "PUT", f"/manifests/{made}", content=body, headers={"Content-Type": MANIFEST}
        )
        self._check(answer)
        if "OCI-Subject" not in answer.headers:
            self._list_by_tag(digest, body, kind)
        return made

    def _list_by_tag(self, digest: str, manifest: bytes, kind: str) -> None:
        """What a client does for a registry that keeps no such list by itself: an index under a
        tag that follows from the image's digest (referrers tag schema)."""
        tag = digest.replace(":", "-")
        kept = self._ask("GET", f"/manifests/{tag}", headers={"Accept": _ACCEPTED})
        listed = kept.json().get("manifests", []) if kept.status_code == 200 else []
        entry = {**_described(manifest, MANIFEST), "artifactType": kind}
        others = [each for each in listed if each["digest"] != entry["digest"]]
        kind_of_index = "application/vnd.oci.image.index.v1+json"
        index = {"schemaVersion": 2, "mediaType": kind_of_index, "manifests": [*others, entry]}
        body = json.dumps(index, separators=(",", ":")).encode()
        answer = self._ask(
            "PUT", f"/manifests/{tag}", content=body, headers={"Content-Type": kind_of_index}
        )
        self._check(answer)

    def close(self) -> None:
        """Give its connections back."""
        if self._client is not None:
            self._client.close()
            self._client = None

    # --- inside ---

    def _upload(self, blob: bytes) -> None:
        if self._ask("HEAD", f"/blobs/{_sha256(blob)}").status_code == 200:
            return
        begun = self._ask("POST", "/blobs/uploads/")
        self._check(begun)
        import httpx

        place = httpx.URL(self._api).join(begun.headers["Location"])
        where = str(place.copy_merge_params({"digest": _sha256(blob)}))
        kind = {"Content-Type": "application/octet-stream"}
        self._check(self._ask("PUT", where, content=blob, headers=kind))

    def _ask(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> "httpx.Response":
        """Ask; when it wants to know who we are, say it and ask again."""
        url = path if path.startswith("http") else self._api + path
        answer = self._send(method, url, content, headers)
        if answer.status_code == 401:
            push = method not in ("GET", "HEAD")
            self._authorization = self._authorized(answer, "pull,push" if push else "pull")
            answer = self._send(method, url, content, headers)
        return answer

    def _send(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str] | None
    ) -> "httpx.Response":
        import httpx

        if self._client is None:
            timeout = httpx.Timeout(TIMEOUT, connect=CONNECT_TIMEOUT)
            self._client = httpx.Client(timeout=timeout, follow_redirects=True)
        sent = dict(headers or {})
        if self._authorization:
            sent["Authorization"] = self._authorization
        try:
            return self._client.request(method, url, content=content, headers=sent)
        except httpx.HTTPError as error:
            raise unreachable(self._repository.host, str(error) or type(error).__name__) from error

    def _authorized(self, refusal: "httpx.Response", scope: str) -> str:
        """The header that answers a challenge (RFC 6750, and Docker's token protocol)."""
        import httpx

        account = account_for(self._repository.host, self._repository.path, self._environ)
        challenge = refusal.headers.get("WWW-Authenticate", "")
        if not challenge.lower().startswith("bearer"):
            if account is None:
                raise self._refused("it asks for an account, and none is known here")
            return _basic(account)
        asked = dict(_CHALLENGE.findall(challenge))
        query = {"scope": f"repository:{self._repository.path}:{scope}"}
        if "service" in asked:
            query["service"] = asked["service"]
        realm = httpx.URL(asked.get("realm", "")).copy_merge_params(query)
        self._authorization = _basic(account) if account else ""
        answer = self._send("GET", str(realm), None, None)
        if answer.status_code >= 400:
            whose = f"the account {account.user}" if account else "a caller without an account"
            raise self._refused(f"{whose} was answered {answer.status_code}")
        body: Mapping[str, Any] = answer.json()
        return f"Bearer {body.get('token') or body.get('access_token')}"

    def _check(self, answer: "httpx.Response") -> None:
        if answer.status_code in (401, 403):
            raise self._refused(f"it answered {answer.status_code}: {answer.text[:200]}")
        if answer.status_code >= 500:
            raise unreachable(self._repository.host, f"it answered {answer.status_code}")
        if answer.status_code >= 400:
            raise BackendctlError(
                "build.push",
                f"the registry {self._repository.host} does not accept a request",
                cause=f"{answer.request.method} {answer.request.url.path}: "
                f"{answer.status_code} {answer.text[:200]}",
                state="what runs goes on running",
            )

    def _refused(self, cause: str) -> BackendctlError:
        return refused(self._repository.host, self._repository.path, cause)


def unreachable(host: str, cause: str) -> BackendctlError:
    """The error for a registry that does not answer."""
    return BackendctlError(
        "missing.registry",
        f"the registry {host} cannot be reached",
        cause=cause,
        state="no release was made; what runs goes on running",
        next=(f"curl -v https://{host}/v2/", "check `registry` of the environment in backend.toml"),
    )


def refused(host: str, path: str, cause: str) -> BackendctlError:
    """The error for a registry that does not take us for somebody who may."""
    return BackendctlError(
        "registry.credentials",
        f"the registry {host} refuses access to {path}",
        cause=cause,
        state="no release was made; what runs goes on running",
        next=(f"docker login {host}", f"or: podman login {host}, buildah login {host}"),
    )


def _basic(account: Account) -> str:
    text = f"{account.user}:{account.password}".encode()
    return f"Basic {base64.b64encode(text).decode()}"


def _sha256(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _described(body: bytes, kind: str) -> dict[str, Any]:
    """An OCI descriptor."""
    return {"mediaType": kind, "digest": _sha256(body), "size": len(body)}
