"""The `app` stack on a real cluster: up, again, drift, a killed engine, adoption, destruction."""

import os
import shutil
import signal
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.provision import app
from backendctl.provision.locks import read_locks
from backendctl.spec.model import Environment, PlatformName, Spec
from backendctl.workflows.infra import adopt, destroy, drift, recovery
from tests.cluster import pulumi_plugin
from tests.cluster.infra_world import Silent, World, sound
from tests.waiting import eventually

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("infra"),
    pytest.mark.skipif(
        not os.environ.get("BACKENDCTL_TEST_PULUMI"), reason="BACKENDCTL_TEST_PULUMI is not set"
    ),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = pulumi_plugin.find()
    if found is None:
        pytest.skip("Pulumi's Kubernetes provider is not here")
    folder = tmp_path_factory.mktemp("pulumi")
    target = folder / "plugins" / f"resource-kubernetes-v{pulumi_plugin.VERSION}"
    target.mkdir(parents=True)
    os.link(found, target / pulumi_plugin.PROGRAM) if _same_disk(found, target) else shutil.copy(
        found, target / pulumi_plugin.PROGRAM
    )
    return folder


def _same_disk(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


@pytest.fixture
def namespace() -> str:
    return f"infra-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def cluster(namespace: str) -> Iterator[Cluster]:
    found = Cluster(namespace)
    yield found
    if found.get("Namespace", namespace) is not None:
        found.delete("Namespace", namespace)


def standing(spec: Spec, environment: Environment) -> Sequence[Mapping[str, Any]]:
    """Little, so that the test is about the stack: a namespace, an account, a quota, a policy."""
    namespace = environment.namespace

    def manifest(version: str, kind: str, name: str, **rest: Any) -> Mapping[str, Any]:
        metadata = {"name": name, "namespace": namespace}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}

    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        manifest("v1", "ServiceAccount", "shop-service"),
        manifest("v1", "ConfigMap", "settings", data={"colour": "blue"}),
        manifest("v1", "ResourceQuota", "shop", spec={"hard": {"pods": "42"}}),
    ]


@pytest.fixture
def world(tmp_path: Path, home: Path, namespace: str, cluster: Cluster) -> World:
    environment = Environment(name="prod", platform=PlatformName.KUBERNETES, namespace=namespace)
    return World(
        tmp_path / "shop",
        home,
        (app.definition(environment, standing),),
        PlatformName.KUBERNETES,
        namespace,
        {"KUBECONFIG": os.environ["BACKENDCTL_TEST_KUBECONFIG"]},
    )


def test_the_stack_comes_up_drifts_is_restored_and_goes(world: World, cluster: Cluster) -> None:
    assert len(sound(world.up()["app"]).changed) == 4
    _, again = world.preview()
    assert again[0].changed == ()
    # What a rollout makes, and what others add, is not the stack's.
    release = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "shop-r1", "namespace": world.namespace},
        "data": {"RELEASE": "1"},
    }
    cluster.apply(release)
    account = cluster.get("ServiceAccount", "shop-service")
    assert account is not None
    account["metadata"].setdefault("annotations", {})["note"] = "somebody's"
    account["metadata"].pop("managedFields", None)
    cluster.replace(account)
    assert drift.drift(world.opened(), Silent()).found == 0

    quota = cluster.get("ResourceQuota", "shop")
    assert quota is not None
    quota["spec"]["hard"]["pods"] = "3"
    quota["metadata"].pop("managedFields", None)
    cluster.replace(quota)
    cluster.delete("ConfigMap", "settings")
    found = drift.drift(world.opened(), Silent())
    assert [line.strip() for line in found.lines()] == [
        "app: ConfigMap settings is gone",
        "app: ResourceQuota shop was changed",
        'spec.hard.pods changes from "42" to "3"',
    ]
    restored = sound(world.up()["app"])
    assert len(restored.changed) == 2
    assert drift.drift(world.opened(), Silent()).found == 0
    assert cluster.get("ConfigMap", "shop-r1") is not None

    with pytest.raises(BackendctlError) as raised:
        destroy.destroy(world.opened(), Silent(), lambda _losses: None)
    assert raised.value.code == "infra.protected"
    assert cluster.get("ResourceQuota", "shop") is not None
    destroy.destroy(world.opened(), Silent(), lambda _losses: None, delete_data=True)
    assert cluster.get("Namespace", world.namespace) is None


def test_an_engine_killed_in_the_middle_is_recovered_from(world: World, cluster: Cluster) -> None:
    infrastructure, previews = world.preview()
    plan = infrastructure.plan(previews, "a test")
    world.awaited = "settings"
    world.begun.clear()

    def kill() -> None:
        assert world.begun.wait(120)
        [engine] = infrastructure._running()
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    assert infrastructure.up(plan)["app"].error is not None
    killer.join()
    state = world.backend().state_folder
    assert state is not None
    [lock] = read_locks(state, "shop-app", "prod")
    assert lock.alive is False
    repaired = recovery.unlock(world.opened(), Silent(), lambda _damage: None)
    assert repaired.backups
    assert repaired.forgotten == []  # objects of a cluster are found again by their names
    sound(world.up()["app"])
    _, again = world.preview()
    assert again[0].changed == ()
    for kind, name in (("ConfigMap", "settings"), ("ResourceQuota", "shop")):
        assert cluster.get(kind, name) is not None
    destroy.destroy(world.opened(), Silent(), lambda _losses: None, delete_data=True)


def test_a_deployment_that_serves_is_adopted_as_it_is(world: World, cluster: Cluster) -> None:
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}})
    labels = {"app": "legacy"}
    container = {
        "name": "web",
        "image": os.environ["BACKENDCTL_TEST_BASE_IMAGE"],
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-m", "http.server", "8000"],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1},
    }
    cluster.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "legacy", "namespace": world.namespace},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }
    )

    def ready() -> bool:
        found = cluster.get("Deployment", "legacy") or {}
        return bool(found.get("status", {}).get("readyReplicas"))

    eventually(ready, 120)
    before, pods = cluster.get("Deployment", "legacy"), names(cluster)
    done = adopt.adopt(world.opened(), Silent(), "deployment", "legacy", lambda _id: None)
    assert done.id == f"{world.namespace}/legacy"
    after = cluster.get("Deployment", "legacy")
    assert before is not None
    assert after is not None
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert names(cluster) == pods
    assert drift.drift(world.opened(), Silent()).found == 0

    after["spec"]["replicas"] = 2
    after["metadata"].pop("managedFields", None)
    cluster.replace(after)
    assert drift.drift(world.opened(), Silent()).found == 1
    again = adopt.adopt(world.opened(), Silent(), "deployment", "legacy", lambda _id: None)
    assert again.already
    gone = destroy.destroy(world.opened(), Silent(), lambda _losses: None)
    assert [each.id for each in gone.kept] == [f"{world.namespace}/legacy"]
    assert cluster.get("Deployment", "legacy") is not None


def names(cluster: Cluster) -> Sequence[str]:
    return sorted(each["metadata"]["name"] for each in cluster.list("Pod", {"app": "legacy"}))
