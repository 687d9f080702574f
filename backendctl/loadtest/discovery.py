"""Finds out what a running service can be asked."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.loadtest.openapi import from_document
from backendctl.loadtest.scenario import Scenario, plain_paths
from backendctl.spec.model import Spec

PROBE_TIMEOUT = 5.0
"""Seconds for each of the few requests sent before the test."""


def scenario_of(target: str, spec: Spec, *, with_token: bool, host: str = "") -> Scenario:
    """What to send: from the service's OpenAPI document, else from paths.

    `host`: what requests name as their Host, where that is not the target's.

    Paths of `[loadtest]` in backend.toml are used in place of the document. Without either, the
    readiness path and `/` (if it is there) are read. Raises `loadtest.target` if nothing answers.
    """
    import httpx

    ready, openapi = spec.service.health.ready, spec.service.openapi
    left_out: Mapping[str, str] = {}
    headers = {"Host": host} if host else {}
    # No proxy from the environment: what is asked must be what the load will reach.
    with httpx.Client(
        base_url=target, headers=headers, timeout=PROBE_TIMEOUT, trust_env=False
    ) as client:
        try:
            if spec.loadtest.paths:
                _status(client, spec.loadtest.paths[0])
                return plain_paths(spec.loadtest.paths, "the paths of [loadtest] in backend.toml")
            document = _document(client, openapi) if openapi else None
            if document is not None:
                skip = {ready, spec.service.health.live, "/metrics", openapi}
                source = f"the OpenAPI document at {openapi}"
                found = from_document(document, with_token=with_token, skip=skip, source=source)
                if found.operations:
                    return found
                left_out = found.left_out
            answers = {path: _status(client, path) for path in dict.fromkeys((ready, "/"))}
            paths = [path for path, status in answers.items() if status < 400]
        except httpx.HTTPError as error:
            raise BackendctlError(
                "loadtest.target",
                f"the target {target} does not answer",
                cause=str(error) or type(error).__name__,
                state="nothing was sent",
                next=("backendctl status", "backendctl up"),
            ) from error
    if not paths and answers[ready] >= 500:
        raise BackendctlError(
            "loadtest.target",
            f"the target {target} is not ready",
            cause=f"GET {ready} answered {answers[ready]}",
            state="nothing was sent",
            next=("backendctl status", "backendctl logs"),
        )
    if not paths:
        raise BackendctlError(
            "loadtest.target",
            f"the target {target} has nothing that could be asked for",
            cause=f"neither an OpenAPI document at {openapi!r} nor an answer at {ready!r} or '/'",
            state="nothing was sent",
            next=('add `paths = ["/..."]` under [loadtest] to backend.toml',),
        )
    why = "nothing in the OpenAPI document can be sent" if left_out else "no OpenAPI document"
    return replace(plain_paths(paths, f"{why}: paths that answer"), left_out=left_out)


def _document(client: Any, path: str) -> Mapping[str, Any] | None:
    answer = client.get(path)
    if answer.status_code != 200:
        return None
    try:
        document = answer.json()
    except ValueError:
        return None
    version = str(document.get("openapi", "")) if isinstance(document, dict) else ""
    return document if version.startswith("3.") else None


def _status(client: Any, path: str) -> int:
    return int(client.get(path).status_code)
