"""The `app` stack on a real cluster: a killed engine, what is gone, protection, destruction.

Under a service that serves users: test_infra_rollout.py.
"""

import os
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.provision import app
from backendctl.provision.locks import read_locks
from backendctl.spec.model import Environment, PlatformName, Spec
from backendctl.workflows.infra import destroy, drift, recovery
from tests.engine.world import Silent, World, in_flight, kubernetes_home, sound
from tests.waiting import eventually

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("infra"),
    pytest.mark.skipif(
        not os.environ.get("BACKENDCTL_TEST_PULUMI"), reason="BACKENDCTL_TEST_PULUMI is not set"
    ),
]


WAITING = ("Service", "shop")
"""What is being created until the engine is killed: a state that is being written is no subject."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kubernetes_home(tmp_path_factory.mktemp("pulumi"))


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
        # The engine waits for pods behind it, and there are none.
        manifest("v1", "Service", "shop", spec={"selector": {"app": "x"}, "ports": [{"port": 80}]}),
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


def test_an_engine_killed_in_the_middle_is_recovered_from(world: World, cluster: Cluster) -> None:
    infrastructure, previews = world.preview()
    plan = infrastructure.plan(previews, "a test")
    file = world.backend().folder / "state/.pulumi/stacks/shop-app/prod.json"

    def kill() -> None:
        assert eventually(lambda: in_flight(file) == [WAITING], 60)
        [engine] = infrastructure._running()
        assert engine.pid is not None
        process = psutil.Process(engine.pid)
        for each in (process, *process.children()):  # its provider would outlive it by minutes
            each.kill()

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
    for kind, name in (("ConfigMap", "settings"), WAITING):
        assert cluster.get(kind, name) is not None

    cluster.delete("ConfigMap", "settings")
    found = drift.drift(world.opened(), Silent())
    assert list(found.lines()) == ["app: ConfigMap settings is gone"]
    with pytest.raises(BackendctlError) as raised:
        destroy.destroy(world.opened(), Silent(), lambda _losses: None)
    assert raised.value.code == "infra.protected"
    assert cluster.get("ResourceQuota", "shop") is not None
    destroy.destroy(world.opened(), Silent(), lambda _losses: None, delete_data=True)
    assert cluster.get("Namespace", world.namespace) is None
