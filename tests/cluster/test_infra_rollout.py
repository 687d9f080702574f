"""The stack under a service that serves users: its own manifests, a real rollout, real commands."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from backendctl.errors import BackendctlError
from backendctl.loadtest.traffic import Traffic, TrafficRequest
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.spec.load import load_spec
from backendctl.spec.model import Environment, PlatformName
from backendctl.workflows.infra.meant import require_gateway
from tests.cluster.trial import write_project
from tests.commands import Project
from tests.engine.world import kubernetes_home
from tests.waiting import eventually

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("infra"),
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not os.environ.get("BACKENDCTL_TEST_PULUMI"), reason="BACKENDCTL_TEST_PULUMI is not set"
    ),
]

_RPS = 30.0
_LEGACY_PORT = 8000
_ROLLOUT = """
warm_up = "0s"
bake = "1s"
drain_deadline = "5s"
"""


@dataclass(frozen=True)
class Shop:
    """An environment whose stack is up and whose release serves users."""

    project: Project
    naming: Naming
    cluster: Cluster
    url: str
    users: Traffic

    def drift(self) -> Sequence[str]:
        """What `infra drift` says of each object that differs; its exit says the same."""
        said = self.project.run("infra", "drift", "--env", "trial")
        found = [
            f"{change['name']}: {each['path']} {each['before']} -> {each['after']}"
            for stack in said.data["stacks"]
            for change in stack["changes"]
            for each in change["properties"]
        ]
        assert said.exit == (1 if found else 0), said.text
        assert said.code == ("infra.drift" if found else ""), said.text
        assert said.data["drift"] == len(found)
        assert said.data["compared"] > 15
        return found


def kubectl(*words: str, **variables: str) -> None:
    program = Path(os.environ["BACKENDCTL_TEST_BIN"]) / "kubectl"
    done = subprocess.run(
        [program, *words], env={**os.environ, **variables}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kubernetes_home(tmp_path_factory.mktemp("pulumi"))


@pytest.fixture(scope="module")
def shop(home: Path, driver_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    spec = write_project(folder, "infra", _ROLLOUT, driver_image)
    environment = spec.environments["trial"]
    cluster = Cluster(environment.namespace)
    # Somebody else made the namespace.
    metadata = {"name": environment.namespace}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    variables = pytest.MonkeyPatch()
    variables.setenv("PULUMI_HOME", str(home))
    variables.setenv("BACKENDCTL_PULUMI", os.environ["BACKENDCTL_TEST_PULUMI"])
    project = Project(folder)
    try:
        for words in (("infra", "up", "--yes"), ("build",), ("up",)):
            said = project.run(*words, "--env", "trial")
            assert said.exit == 0, said.text
        requests = [TrafficRequest(headers={"host": environment.host})]
        with Traffic(environment.url, _RPS, requests) as users:
            naming = Naming.of(spec, environment)
            yield Shop(project, naming, cluster, environment.url, users)
    finally:
        variables.undo()
        cluster.delete("Namespace", environment.namespace)


def test_a_rollout_is_no_drift_and_what_the_stack_owns_is_restored_under_traffic(
    shop: Shop,
) -> None:
    deployed = shop.project.run(
        "deploy", "--env", "trial", "--yes", "--strategy", "blue-green", "--unjudged", "a test"
    )
    assert deployed.exit == 0, deployed.text
    assert shop.cluster.get("Deployment", shop.naming.release(2)) is not None
    where = ("--namespace", shop.naming.namespace, "networkpolicy", "shop-egress")
    kubectl("annotate", *where, "note=somebody's")
    assert shop.drift() == []

    metadata = "169.254.169.254/32"  # where clouds hand out credentials of the machine
    kubectl("edit", *where, KUBE_EDITOR=f"sed -i s,{metadata},169.254.169.253/32,")
    field = "spec.egress[0].to[0].ipBlock.except[0]"
    assert shop.drift() == [f'shop-egress: {field} "{metadata}" -> "169.254.169.253/32"']
    restored = shop.project.run("infra", "up", "--env", "trial", "--yes")
    assert restored.exit == 0, restored.text
    [stack] = restored.data["stacks"]
    assert [(each["urn"].rpartition("::")[2], each["action"]) for each in stack["changed"]] == [
        ("shop-egress", "update")
    ]
    assert restored.data["next"] == ["backendctl up --env trial"]
    assert shop.drift() == []
    assert shop.users.report.failures == []
    assert set(shop.users.report.releases) == {"1", "2"}


def test_a_deployment_that_serves_users_is_adopted_as_it_is(shop: Shop) -> None:
    namespace = shop.naming.namespace
    for manifest in legacy(namespace):
        shop.cluster.apply(manifest)

    def ready() -> bool:
        found = shop.cluster.get("Deployment", "legacy") or {}
        return bool(found.get("status", {}).get("readyReplicas"))

    assert eventually(ready, 60)
    requests = [TrafficRequest(headers={"host": f"legacy.{namespace}.example.com"})]
    assert eventually(lambda: answers(shop.url, requests[0]), 30)
    before, pods = shop.cluster.get("Deployment", "legacy"), running(shop.cluster)
    with Traffic(shop.url, _RPS, requests) as users:
        adopted = shop.project.run("infra", "adopt", "deployment", "legacy", "-e", "trial", "-y")
        assert adopted.exit == 0, adopted.text
        after = users.report.count + _RPS
        assert eventually(lambda: users.report.count > after)
    assert (users.report.failed, users.report.count > 3 * _RPS) == (0, True)
    found = shop.cluster.get("Deployment", "legacy")
    assert before is not None
    assert found is not None
    assert found["metadata"]["generation"] == before["metadata"]["generation"]
    assert running(shop.cluster) == pods

    kubectl("--namespace", namespace, "scale", "deployment", "legacy", "--replicas=2")
    assert shop.drift() == [f"{namespace}/legacy: spec.replicas 1 -> 2"]
    again = shop.project.run("infra", "adopt", "deployment", "legacy", "-e", "trial", "-y")
    assert again.data["already"], again.text


def test_a_gateway_that_is_not_there_is_refused_before_anything_is_made(shop: Shop) -> None:
    spec = load_spec(shop.project.folder)
    nginx = Environment(name="e", platform=PlatformName.KUBERNETES, gateway_class="nginx")
    with pytest.raises(BackendctlError, match="no GatewayClass nginx") as raised:
        require_gateway(spec, nginx)
    ours = os.environ["BACKENDCTL_TEST_GATEWAY_CLASS"]
    assert f'in [environments.e]: gateway_class = "{ours}"' in raised.value.next

    there = os.environ["BACKENDCTL_TEST_GATEWAY"]
    promises = (shop.project.folder / "backend.toml").read_text()
    elsewhere = Project(shop.project.folder.parent / "typo")
    elsewhere.write("backend.toml", promises.replace(there, "gateways/typo"))
    for words in (("preview",), ("up", "--yes")):
        said = elsewhere.run("infra", *words, "--env", "trial")
        assert (said.exit, said.code) == (5, "platform.gateway"), said.text
        assert there in said.answer["error"]["cause"]
        assert f'in [environments.trial]: gateway = "{there}"' in said.answer["error"]["next"]


def test_another_cluster_than_the_stacks_own_is_refused(shop: Shop, tmp_path: Path) -> None:
    with another_cluster() as server:
        cluster = {"name": "other", "cluster": {"server": server}}
        context = {"name": "elsewhere", "context": {"cluster": "other", "user": "me"}}
        (tmp_path / "kubeconfig").write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [cluster],
                    "users": [{"name": "me", "user": {}}],
                    "contexts": [context],
                    "current-context": "elsewhere",
                }
            )
        )
        for words in (
            ("drift",),
            ("up", "--yes"),
            ("destroy", "--delete-data", "--confirm", "trial"),
        ):
            said = shop.project.run(
                "infra", *words, "--env", "trial", KUBECONFIG=str(tmp_path / "kubeconfig")
            )
            assert (said.exit, said.code) == (2, "infra.cluster"), said.text
            assert f"context elsewhere ({server})" in said.answer["error"]["message"]
            assert "kubectl config get-contexts" in said.answer["error"]["next"]


def test_what_the_stack_did_not_make_outlives_it(shop: Shop) -> None:
    unsaid = shop.project.run("infra", "destroy", "--env", "trial", "--yes")
    assert unsaid.code == "usage.confirmation", unsaid.text
    assert f"Namespace {shop.naming.namespace} stays" in unsaid.stderr
    assert "legacy stays as it is" in unsaid.stderr
    assert "context " in unsaid.answer["error"]["message"]
    gone = shop.project.run("infra", "destroy", "--env", "trial", "--confirm", "trial")
    assert gone.exit == 0, gone.text
    kept = {each["id"] for each in gone.data["kept"]}
    assert kept == {shop.naming.namespace, f"{shop.naming.namespace}/legacy"}
    assert shop.cluster.get("Deployment", "legacy") is not None
    assert shop.cluster.get("Deployment", shop.naming.release(2)) is not None
    assert shop.cluster.get("NetworkPolicy", "shop-egress") is None


# --- what else there is -----------------------------------------------------------------------


def legacy(namespace: str) -> Sequence[dict[str, object]]:
    """A service from before, with its route."""
    labels = {"app": "legacy"}
    container = {
        "name": "web",
        "image": os.environ["BACKENDCTL_TEST_BASE_IMAGE"],
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-m", "http.server", str(_LEGACY_PORT)],
        "workingDir": "/tmp",  # noqa: S108 - the container's own
        "readinessProbe": {"httpGet": {"path": "/", "port": _LEGACY_PORT}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "containers": [container],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    gateway_namespace, _, gateway = os.environ["BACKENDCTL_TEST_GATEWAY"].partition("/")
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "legacy"},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "legacy"},
            "spec": {"selector": labels, "ports": [{"port": _LEGACY_PORT}]},
        },
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "legacy"},
            "spec": {
                "parentRefs": [{"namespace": gateway_namespace, "name": gateway}],
                "hostnames": [f"legacy.{namespace}.example.com"],
                "rules": [{"backendRefs": [{"name": "legacy", "port": _LEGACY_PORT}]}],
            },
        },
    ]


def answers(url: str, request: TrafficRequest) -> bool:
    import httpx

    return httpx.get(url, headers=dict(request.headers)).status_code == httpx.codes.OK


def running(cluster: Cluster) -> Sequence[str]:
    return sorted(each["metadata"]["uid"] for each in cluster.list("Pod", {"app": "legacy"}))


class another_cluster:  # noqa: N801 - read as a function
    """An API server that has everything, and is not the one."""

    def __enter__(self) -> str:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Has)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Has(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"metadata": {"name": "it", "uid": "another"}, "spec": {}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_arguments: object) -> None:
        """It says nothing."""
