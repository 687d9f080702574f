"""What every pod of ours is allowed: the restricted Pod Security Standard, and no root file system
that can be written (kubernetes.io/docs/concepts/security/pod-security-standards). Pure.

Each call gives a `securityContext` of its own, because a YAML dump would make aliases of one.
"""

from typing import Any

Manifest = dict[str, Any]


def pod() -> Manifest:
    """Of a pod."""
    return {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def container() -> Manifest:
    """Of each of its containers."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
