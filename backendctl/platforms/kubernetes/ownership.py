"""Whose the records in a namespace are. Names of objects do not tell environments of one service
apart: namespaces do, and two environments may state the same one by mistake."""

from collections.abc import Mapping
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.naming import ENVIRONMENT_LABEL, Naming


def require_ours(naming: Naming, record: Mapping[str, Any]) -> None:
    """Raises BackendctlError `spec.environment` for a record of another environment."""
    whose = record["metadata"].get("labels", {}).get(ENVIRONMENT_LABEL)
    if whose == naming.environment:
        return
    raise BackendctlError(
        "spec.environment",
        f"namespace {naming.namespace} holds environment {whose!r} of {naming.service}, "
        f"not {naming.environment!r}",
        cause="two environments state one namespace of one cluster, or the kubeconfig leads to "
        "another environment's cluster",
        state="nothing was changed",
        next=(
            "kubectl config current-context",
            f"namespace = ...  # of its own, in [environments.{naming.environment}] of "
            "backend.toml",
        ),
    )
