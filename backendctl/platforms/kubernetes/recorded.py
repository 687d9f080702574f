"""What the last `up` wrote down in the cluster, for whoever has only the kubeconfig: the watchdog,
and `rollout recover` in another folder. They must not need `backend.toml`: whoever is editing that
at the time must not keep stable from being restored.
"""

import json
from collections.abc import Mapping
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.naming import (
    COMPONENT_LABEL,
    ENVIRONMENT_LABEL,
    FIELD_MANAGER,
    MANAGED_BY_LABEL,
    Naming,
)
from backendctl.spec.model import Environment, Spec

KEY = "recorded.json"
"""The key in the ConfigMap, and the file's name where that is mounted."""
_COMPONENT = "recorded"


def manifest(spec: Spec, naming: Naming) -> Mapping[str, Any]:
    """The ConfigMap with the promises. Pure; they hold no secret."""
    body = {"environment": naming.environment, "spec": spec.model_dump(mode="json")}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": naming.recorded,
            "namespace": naming.namespace,
            "labels": dict(naming.labels(_COMPONENT)),
        },
        "data": {KEY: json.dumps(body, sort_keys=True)},
    }


def record(cluster: Cluster, spec: Spec, naming: Naming) -> None:
    """Write the promises down."""
    cluster.apply(manifest(spec, naming))


def find(cluster: Cluster, environment: str | None = None) -> tuple[Spec, Environment]:
    """The promises as of the last `up` of an environment in the cluster's namespace; None: of the
    only one. Whoever reads them has a kubeconfig of their own: the context's name is left out.

    Raises BackendctlError `missing.environment` when nothing (or nothing that this version can
    read) is written down there, `spec.environment` when there are several and none is named.
    """
    labels = {COMPONENT_LABEL: _COMPONENT, MANAGED_BY_LABEL: FIELD_MANAGER}
    named = {ENVIRONMENT_LABEL: environment} if environment else {}
    found = cluster.list("ConfigMap", {**labels, **named})
    where = f"namespace {cluster.namespace}"
    if not found:
        raise _unreadable(f"{where} holds no record of it", "`backendctl up` never ran there")
    if len(found) > 1:
        names = sorted(each["metadata"]["labels"][ENVIRONMENT_LABEL] for each in found)
        raise BackendctlError(
            "spec.environment",
            f"{where} holds {len(names)} environments; name one with --env",
            cause=f"there are: {', '.join(names)}",
            state="nothing was changed",
            next=tuple(f"--env {each}" for each in names),
        )
    source = f"ConfigMap {found[0]['metadata']['name']} in {where}"
    spec, name = parse(str((found[0].get("data") or {}).get(KEY, "")), source)
    here = spec.environments[name].model_copy(
        update={"context": "", "namespace": cluster.namespace}
    )
    return spec.model_copy(update={"environments": {**spec.environments, name: here}}), here


def parse(text: str, source: str = KEY) -> tuple[Spec, str]:
    """The promises in a recorded file, and the environment that they are of.

    Raises BackendctlError `missing.environment`.
    """
    from pydantic import ValidationError

    try:
        body = json.loads(text)
        spec, name = Spec.model_validate(body["spec"]), str(body["environment"])
        spec.environments[name]
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(f"{source} cannot be read", str(error).splitlines()[0]) from error
    return spec, name


def _unreadable(what: str, cause: str) -> BackendctlError:
    return BackendctlError(
        "missing.environment",
        f"{what}: what the last `backendctl up` wrote down is needed",
        cause=cause,
        state="nothing was changed",
        next=("backendctl up",),
    )
