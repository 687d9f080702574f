"""The demo's stage in a cluster: a namespace of its own, with everything the shop needs in it.

What the `app` stack would make is applied directly, so that the demo needs no Pulumi, and the
database and the cache are a pod that is thrown away with the namespace (`stores_in_cluster.py`).
"""

import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backendctl.errors import BackendctlError
from backendctl.platforms.base import OnLine
from backendctl.spec.edit import add_table
from backendctl.spec.splice import Value
from backendctl.workflows.demo import shop
from backendctl.workflows.demo import stores_in_cluster as stores
from backendctl.workflows.demo.stage import Stage
from backendctl.workflows.environment import Opened

if TYPE_CHECKING:
    from backendctl.platforms.kubernetes.cluster import Cluster

ENVIRONMENT = "kubernetes"
USERS_RPS = 75.0
"""Requests per second of the demo's users: the expected peak. Fewer take longer to judge, and a
cluster has others to serve."""
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
            image = stores.image(opened.project, place.registry, place.python_image, say)
            say("starting PostgreSQL and Valkey in it")
            for manifest in stores.manifests(opened, image):
                cluster.apply(manifest)
            stores.await_ready(cluster)
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
