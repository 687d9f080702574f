"""An environment's standing parts on the test cluster, and the accounts that come with them."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.connection import JSON, KubeconfigConnection
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.standing import manifests
from backendctl.spec.model import Environment, Spec

ADMIN = "BACKENDCTL_TEST_KUBECONFIG"
UNUSED = """\
[service]
name = "shop"
start = "serve"

[load]
peak_rps = 1
peak_users = 10

[environments.trial]
platform = "kubernetes"
gateway_class = "any"
registry = "registry.invalid"
"""
"""A project whose environment is never worked with: its cluster cannot be."""


@contextmanager
def kubeconfig(path: Path | str) -> Iterator[None]:
    """Whoever opens a cluster meanwhile is the account of that file."""
    before = os.environ.get("KUBECONFIG")
    os.environ["KUBECONFIG"] = str(path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["KUBECONFIG"]
        else:
            os.environ["KUBECONFIG"] = before


def administrator(namespace: str) -> Cluster:
    """Whoever runs the cluster; connected on return, whatever KUBECONFIG becomes."""
    with kubeconfig(os.environ[ADMIN]):
        found = Cluster(namespace)
        found.list("Namespace")
    return found


@contextmanager
def standing(spec: Spec, environment: Environment) -> Iterator[Cluster]:
    """All that outlives a release, as the `app` stack makes it; gone in the end."""
    naming = Naming.of(spec, environment)
    admin = administrator(naming.namespace)
    wanted = manifests(spec, environment)
    try:
        for manifest in wanted:
            admin.apply(manifest)
        yield admin
    finally:
        outside = [each for each in wanted if _namespace(each) != naming.namespace]
        for manifest in reversed(outside):
            metadata = manifest["metadata"]
            admin.delete(manifest["kind"], metadata["name"], metadata.get("namespace"))


def _namespace(manifest: Mapping[str, Any]) -> str:
    return str(manifest["metadata"].get("namespace", ""))


def account(naming: Naming, role: str, path: Path) -> Path:
    """A kubeconfig with a token of one of the environment's accounts and nothing else."""
    token = token_of(naming.namespace, naming.account(role))
    config = yaml.safe_load(Path(os.environ[ADMIN]).read_text())
    config["users"] = [{"name": role, "user": {"token": token}}]
    for context in config["contexts"]:
        context["context"]["user"] = role
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


def token_of(namespace: str, name: str) -> str:
    """A token of the service account of that name, signed by the cluster."""
    with kubeconfig(os.environ[ADMIN]):
        answer = KubeconfigConnection().request(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            {},
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": 3600},
            },
            JSON,
            10.0,
        )
    assert answer.status == 201, answer.body
    return str(json.loads(answer.body)["status"]["token"])
