"""The cluster does what the tests of the product take for granted."""

import json
import os
import uuid
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.cluster.commands import run
from tests.waiting import eventually

pytestmark = pytest.mark.cluster

_BASE = os.environ.get("BACKENDCTL_TEST_BASE_IMAGE", "")
_SERVER = """
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ["ANSWER"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""


class Namespace:
    """A namespace of one test, and kubectl in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def kubectl(self, *words: str, given: str | None = None) -> str:
        tool = Path(os.environ["BACKENDCTL_TEST_BIN"]) / "kubectl"
        return run([tool, "--namespace", self.name, *words], given=given, timeout=120)

    def apply(self, *manifests: object) -> None:
        for manifest in manifests:
            self.kubectl("apply", "--filename", "-", given=json.dumps(manifest))

    def run(self, name: str, image: str, *command: str, **environment: str) -> None:
        self.apply(_pod(name, image, command, environment))

    def script(self, code: str, **environment: str) -> str:
        """What a Python program prints that runs in a pod."""
        name = f"script-{uuid.uuid4().hex[:8]}"
        self.run(name, _BASE, "python3", "-c", code, **environment)
        self.kubectl(
            "wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", f"pod/{name}"
        )
        return self.kubectl("logs", name).strip()


def _pod(
    name: str, image: str, command: tuple[str, ...], environment: dict[str, str]
) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "main",
                    "image": image,
                    "command": list(command),
                    "env": [{"name": k, "value": v} for k, v in environment.items()],
                }
            ],
        },
    }


def _service(name: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
    }


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    found = Namespace(f"cluster-test-{uuid.uuid4().hex[:8]}")
    found.kubectl("create", "namespace", found.name)
    try:
        yield found
    finally:
        found.kubectl("delete", "namespace", found.name, "--wait=false")


@pytest.fixture(scope="module")
def servers(space: Namespace) -> Namespace:
    """Two services that answer with their name."""
    for name in ("red", "blue"):
        space.run(name, _BASE, "python3", "-c", _SERVER, ANSWER=name)
        space.apply(_service(name))
    space.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "pod/red", "pod/blue")
    return space


def test_a_pod_reaches_the_api_server_by_its_service_name(space: Namespace) -> None:
    answer = space.script(
        "import ssl, urllib.request as u, pathlib as p\n"
        "here = p.Path('/var/run/secrets/kubernetes.io/serviceaccount')\n"
        "trusted = ssl.create_default_context(cafile=here / 'ca.crt')\n"
        "asked = u.Request('https://kubernetes.default.svc/api', headers="
        "{'Authorization': 'Bearer ' + (here / 'token').read_text()})\n"
        "print(u.urlopen(asked, context=trusted, timeout=10).status)"
    )
    assert answer == "200"


def test_a_pod_may_do_only_what_a_role_lets_it(space: Namespace) -> None:
    account = f"system:serviceaccount:{space.name}:default"
    asked = run(
        [
            "sh",
            "-c",
            '"$1" --namespace "$2" auth can-i list secrets --as "$3" || true',
            "sh",
            str(Path(os.environ["BACKENDCTL_TEST_BIN"]) / "kubectl"),
            space.name,
            account,
        ]
    )
    assert asked.strip() == "no"


def test_a_pod_reaches_a_service_by_name_and_itself_through_it(servers: Namespace) -> None:
    # With its namespace: inside the pod `red` the bare name is the pod's own.
    fetch = (
        "import urllib.request as u; "
        f"print(u.urlopen('http://red.{servers.name}', timeout=10).read().decode())"
    )
    assert servers.script(fetch) == "red"
    itself = servers.kubectl("exec", "red", "--", "python3", "-c", fetch)
    assert itself.strip() == "red"


def test_an_image_that_was_built_and_pushed_runs(space: Namespace, tmp_path: Path) -> None:
    name = f"{os.environ['BACKENDCTL_TEST_REGISTRY']}/{space.name}:1"
    (tmp_path / "Dockerfile").write_text(f"FROM {_BASE}\nRUN echo made > /made\n")
    run(["buildah", "build", "--quiet", "--pull=never", "--tag", name, tmp_path], timeout=200)
    try:
        run(["buildah", "push", "--quiet", name], timeout=100)
    finally:
        run(["buildah", "rmi", name])
    space.run("pushed", name, "cat", "/made")
    space.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", "pod/pushed")
    assert space.kubectl("logs", "pushed").strip() == "made"


def _host(space: Namespace) -> str:
    """Each run has its own: routes of one name on one gateway would be each other's rivals."""
    return f"{space.name}.example.test"


def _route(space: Namespace, weights: dict[str, int]) -> dict[str, object]:
    namespace, _, gateway = os.environ["BACKENDCTL_TEST_GATEWAY"].partition("/")
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "route"},
        "spec": {
            "parentRefs": [{"namespace": namespace, "name": gateway}],
            "hostnames": [_host(space)],
            "rules": [
                {
                    "backendRefs": [
                        {"name": name, "port": 80, "weight": weight}
                        for name, weight in weights.items()
                    ]
                }
            ],
        },
    }


def _answers(space: Namespace, address: str, times: int) -> Counter[str]:
    """What the gateway answers; empty while it does not know the route."""
    with httpx.Client(headers={"Host": _host(space)}, timeout=10) as client:
        found = [client.get(address) for _ in range(times)]
    return Counter(answer.text for answer in found if answer.status_code == 200)


def _serves(space: Namespace, address: str, colours: set[str]) -> bool:
    """Whether twenty answers in a row are of exactly these colours."""
    found = _answers(space, address, 20)
    return found.total() == 20 and set(found) == colours


def _gateway_replicas(space: Namespace) -> list[str]:
    namespace, _, gateway = os.environ["BACKENDCTL_TEST_GATEWAY"].partition("/")
    return space.kubectl(
        "get", "pods", "--namespace", namespace, "--selector", f"app=envoy-{gateway}",
        "--output=jsonpath={.items[*].status.podIP}",
    ).split()  # fmt: skip


def test_weights_reach_every_replica_of_the_gateway(servers: Namespace) -> None:
    servers.apply(_route(servers, {"red": 75, "blue": 25}))
    replicas = _gateway_replicas(servers)
    assert len(replicas) == 2
    for address in (
        os.environ["BACKENDCTL_TEST_GATEWAY_URL"],
        *(f"http://{r}:8080" for r in replicas),
    ):
        assert eventually(partial(_serves, servers, address, {"red", "blue"}), 30)
        found = _answers(servers, address, 400)
        assert found.total() == 400
        assert 50 <= found["blue"] <= 150  # 100 expected; more than 5 sigma either way
    servers.apply(_route(servers, {"red": 0, "blue": 100}))
    for replica in replicas:
        assert eventually(partial(_serves, servers, f"http://{replica}:8080", {"blue"}), 30)


def test_prometheus_counts_what_the_gateway_served(servers: Namespace) -> None:
    servers.apply(_route(servers, {"red": 1, "blue": 0}))
    address = os.environ["BACKENDCTL_TEST_GATEWAY_URL"]
    assert eventually(lambda: _answers(servers, address, 10) == {"red": 10}, 30)
    query = (
        'sum(envoy_cluster_upstream_rq_time_bucket{le="1000", '
        f'envoy_cluster_name=~"{servers.name}_red_.*"}})'
    )

    def counted() -> bool:
        found = httpx.get(
            f"{os.environ['BACKENDCTL_TEST_PROMETHEUS']}/api/v1/query", params={"query": query}
        ).json()["data"]["result"]
        return bool(found) and float(found[0]["value"][1]) >= 10

    assert eventually(counted, 30)
