"""The accounts that come with an environment may do what they are for, and nothing beside it."""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Errand
from backendctl.platforms.kubernetes import access, errands, removal
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.secrets import KubernetesSecrets
from backendctl.platforms.kubernetes.store import KubernetesStore
from backendctl.spec.model import Environment, Load, PlatformName, Service, Spec
from tests.cluster.standing import account, kubeconfig, standing

pytestmark = pytest.mark.cluster

Connect = Callable[[str], Cluster]


@pytest.fixture(scope="module")
def naming() -> Naming:
    return Naming("shop", "trial", f"accounts-{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def admin(naming: Naming) -> Iterator[Cluster]:
    environment = Environment(
        name=naming.environment,
        platform=PlatformName.KUBERNETES,
        namespace=naming.namespace,
        gateway=os.environ["BACKENDCTL_TEST_GATEWAY"],
    )
    spec = Spec(
        service=Service(name=naming.service, start=("serve",)),
        load=Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1),
        environments={environment.name: environment},
    )
    with standing(spec, environment) as found:
        yield found


@pytest.fixture(scope="module")
def connect(admin: Cluster, naming: Naming, tmp_path_factory: pytest.TempPathFactory) -> Connect:
    """A cluster as one role sees it."""
    folder = tmp_path_factory.mktemp("accounts")
    known: dict[str, Cluster] = {}

    def found(role: str) -> Cluster:
        if role not in known:
            with kubeconfig(account(naming, role, folder / role)):
                known[role] = Cluster(naming.namespace)
                known[role].list("ConfigMap")
        return known[role]

    return found


MAY = [
    (access.CI, "create", "Secret"),
    (access.CI, "create", "Deployment"),
    (access.CI, "patch", "HTTPRoute"),
    (access.DRIVER, "patch", "HTTPRoute"),
    (access.WATCHDOG, "patch", "HTTPRoute"),
    (access.WATCHDOG, "update", "Lease"),
    (access.VIEWER, "get", "Lease"),
    (access.VIEWER, "list", "Pod"),
]
MAY_NOT = [
    *(
        (role, verb, kind)
        for role in access.ROLES
        for verb, kind in (
            ("create", "Role"),
            ("create", "RoleBinding"),
            ("patch", "Role"),
            ("create", "ServiceAccount"),
            ("delete", "Namespace"),
            ("patch", "NetworkPolicy"),
            ("delete", "NetworkPolicy"),
            ("patch", "ResourceQuota"),
            ("delete", "Gateway"),
            ("list", "Node"),
        )
    ),
    (access.DRIVER, "create", "Secret"),
    (access.DRIVER, "list", "Secret"),
    (access.DRIVER, "delete", "Lease"),
    (access.WATCHDOG, "create", "Secret"),
    (access.WATCHDOG, "delete", "Secret"),
    (access.VIEWER, "get", "Secret"),
    (access.VIEWER, "create", "ConfigMap"),
    (access.VIEWER, "patch", "HTTPRoute"),
    (access.VIEWER, "update", "Lease"),
]


@pytest.mark.parametrize(("role", "verb", "kind"), MAY)
def test_an_account_may_do_what_it_is_for(
    connect: Connect, role: str, verb: str, kind: str
) -> None:
    assert connect(role).allowed(verb, kind)


@pytest.mark.parametrize(("role", "verb", "kind"), MAY_NOT)
def test_an_account_may_do_nothing_that_it_is_not_for(
    connect: Connect, role: str, verb: str, kind: str
) -> None:
    assert not connect(role).allowed(verb, kind)


def test_no_account_reaches_into_another_namespace(connect: Connect) -> None:
    for role in access.ROLES:
        for kind in ("Secret", "ConfigMap", "Deployment"):
            assert not connect(role).allowed("get", kind, namespace="kube-system")


def test_what_is_not_allowed_is_refused_with_what_and_how_to_be_granted_it(
    connect: Connect,
) -> None:
    with pytest.raises(BackendctlError) as caught:
        connect(access.VIEWER).list("Secret")
    assert caught.value.code == "platform.forbidden"
    assert "list Secret" in caught.value.message
    assert "rolebinding" in " ".join(caught.value.next)


def test_a_pipeline_takes_the_lock_writes_a_journal_and_sets_secrets(
    connect: Connect, naming: Naming
) -> None:
    pipeline = connect(access.CI)
    store = KubernetesStore(pipeline, naming)
    grant = store.acquire("ci", "deploy", lease=30, take_over=True)
    for n in range(60):
        store.append(grant, "0001", {"n": n, "text": "x" * 2000})
    secrets = KubernetesSecrets(pipeline, naming)
    first = secrets.set("API_KEY", "one")
    assert secrets.set("API_KEY", "one") == first
    second = secrets.set("API_KEY", "two")
    assert (secrets.current(), secrets.reveal("API_KEY")) == ({"API_KEY": second}, "two")
    with pytest.raises(BackendctlError):  # a version never changes: the cluster itself sees to it
        pipeline.patch("Secret", naming.secret("API_KEY", first), {"data": {"value": "b25l"}})
    watching = KubernetesStore(connect(access.WATCHDOG), naming)
    assert [each["n"] for each in watching.records("0001")] == list(range(60))
    newer = watching.acquire("the watchdog", "recover", lease=30, take_over=True)
    with pytest.raises(BackendctlError) as caught:
        store.append(grant, "0001", {"n": "late"})
    assert caught.value.code == "rollout.fenced"
    watching.release(newer)
    assert KubernetesStore(connect(access.VIEWER), naming).holder() is None


def test_a_pipeline_deletes_all_that_is_recorded(
    admin: Cluster, connect: Connect, naming: Naming
) -> None:
    pipeline = connect(access.CI)
    store = KubernetesStore(pipeline, naming)
    grant = store.acquire("ci", "down", lease=30, take_over=True)
    store.append(grant, "0002", {"n": 1})
    KubernetesSecrets(pipeline, naming).set("API_KEY", "three")
    over = Errand("driver", ("backendctl", "deploy"), 60.0)
    pipeline.create(errands.job(over, naming, "backendctl:1", "shop-driver-over"))
    removal.purge(pipeline, naming, lambda _: None)
    for kind in ("ConfigMap", "Secret", "Lease", "Job"):
        assert admin.list(kind, naming.selector) == []


def test_credentials_that_are_not_valid_are_said_at_once(
    admin: Cluster, naming: Naming, tmp_path: Path
) -> None:
    import yaml

    path = account(naming, access.CI, tmp_path / "expired")
    config = yaml.safe_load(path.read_text())
    config["users"][0]["user"]["token"] = "eyJ.eyJ.x"
    path.write_text(yaml.safe_dump(config))
    with kubeconfig(path), pytest.raises(BackendctlError) as caught:
        Cluster(naming.namespace).list("ConfigMap")
    assert caught.value.code == "platform.credentials"
    assert "eyJ" not in str(vars(caught.value))


def test_a_quota_that_is_used_up_is_named(admin: Cluster, naming: Naming) -> None:
    admin.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "tight"},
            "spec": {"hard": {"count/secrets": "0"}},
        }
    )
    quota = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "one-more"}, "data": {}}
    try:
        from tests.waiting import eventually

        def refused() -> bool:
            try:
                admin.create(quota)
            except BackendctlError as error:
                assert error.code == "platform.quota", error.message  # noqa: PT017
                assert "tight" in error.message  # noqa: PT017
                return True
            admin.delete("Secret", "one-more")
            return False

        assert eventually(refused, 20)
    finally:
        admin.delete("ResourceQuota", "tight")


def test_pods_that_ask_for_too_much_are_refused_by_name_of_the_policy(
    admin: Cluster, naming: Naming
) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root"},
        "spec": {
            "containers": [
                {
                    "name": "root",
                    "image": "registry.invalid/none:1",
                    "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}},
                }
            ]
        },
    }
    with pytest.raises(BackendctlError) as caught:
        admin.create(pod)
    assert caught.value.code == "platform.admission"
    assert "restricted" in caught.value.message
