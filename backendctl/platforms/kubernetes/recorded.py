"""What the last `up` wrote down in the cluster, for whoever has only the kubeconfig: the watchdog,
and `rollout recover` in another folder. They must not need `backend.toml`: whoever is editing that
at the time must not keep stable from being restored.
"""

import json
from collections.abc import Mapping
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.spec.model import Spec

KEY = "recorded.json"
"""The key in the ConfigMap, and the file's name where that is mounted."""


def manifest(spec: Spec, naming: Naming) -> Mapping[str, Any]:
    """The ConfigMap with the promises. Pure; they hold no secret."""
    body = {"environment": naming.environment, "spec": spec.model_dump(mode="json")}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": naming.recorded,
            "namespace": naming.namespace,
            "labels": dict(naming.labels("recorded")),
        },
        "data": {KEY: json.dumps(body, sort_keys=True)},
    }


def record(cluster: Cluster, spec: Spec, naming: Naming) -> None:
    """Write the promises down."""
    cluster.apply(manifest(spec, naming))


def promises(cluster: Cluster, naming: Naming) -> Spec:
    """The promises as of the last `up`.

    Raises BackendctlError `missing.environment` when nothing (or nothing that this version can
    read) is written down.
    """
    found = cluster.get("ConfigMap", naming.recorded)
    if found is None:
        raise _unreadable(naming, "it is not there")
    return parse(str((found.get("data") or {}).get(KEY, "")), naming)[0]


def parse(text: str, naming: Naming | None = None) -> tuple[Spec, str]:
    """The promises in a recorded file, and the environment that they are of. Raises as above."""
    from pydantic import ValidationError

    try:
        body = json.loads(text)
        return Spec.model_validate(body["spec"]), str(body["environment"])
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(naming, str(error).splitlines()[0]) from error


def _unreadable(naming: Naming | None, cause: str) -> BackendctlError:
    where = f"ConfigMap {naming.recorded} in namespace {naming.namespace}" if naming else KEY
    return BackendctlError(
        "missing.environment",
        f"{where} cannot be read: it holds what the last `backendctl up` wrote down",
        cause=cause,
        state="nothing was changed",
        next=("backendctl up",),
    )
