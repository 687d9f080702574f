"""The one way to the API server: what is asked again, what is said when it cannot be had."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.connection import Answer, NoAnswerError
from backendctl.platforms.kubernetes.errors import Asked, Conflict, refused
from tests.fakes.kubernetes_api import FakeApi


class Patient:
    """Waits for nothing, and counts it."""

    def __init__(self) -> None:
        self.waited = 0.0

    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return self.waited

    def wait(self, seconds: float) -> None:
        self.waited += seconds


def config(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def clock() -> Patient:
    return Patient()


@pytest.fixture
def cluster(api: FakeApi, clock: Patient) -> Cluster:
    return Cluster("shop", connection=api, clock=clock)


def failing(times: int, *, sent: bool) -> Callable[[str, str], None]:
    left = [times]

    def before(_method: str, _path: str) -> None:
        if left[0]:
            left[0] -= 1
            raise NoAnswerError("Connection refused", sent=sent)

    return before


def test_what_is_not_there_is_none_and_deleting_it_says_so(cluster: Cluster) -> None:
    assert cluster.get("ConfigMap", "a") is None
    assert cluster.delete("ConfigMap", "a") is False
    cluster.create(config("a"))
    assert cluster.delete("ConfigMap", "a") is True


def test_a_replacement_of_what_has_changed_meanwhile_is_a_conflict(cluster: Cluster) -> None:
    read = cluster.create(config("a", x="1"))
    cluster.apply(config("a", x="2"))
    with pytest.raises(Conflict) as caught:
        cluster.replace({**read, "data": {"x": "3"}})
    assert caught.value.code == "platform.conflict"
    cluster.delete("ConfigMap", "a")
    with pytest.raises(Conflict):
        cluster.replace(read)
    with pytest.raises(ValueError, match="no resourceVersion"):
        cluster.replace(config("a"))


def test_a_second_creation_is_a_conflict(cluster: Cluster) -> None:
    cluster.create(config("a"))
    with pytest.raises(Conflict):
        cluster.create(config("a"))


def test_only_what_has_the_labels_is_listed_by_name(cluster: Cluster) -> None:
    for name in ("c", "a", "b"):
        body = config(name)
        body["metadata"]["labels"] = {"of": "x" if name != "b" else "y"}
        cluster.create(body)
    found = [each["metadata"]["name"] for each in cluster.list("ConfigMap", {"of": "x"})]
    assert found == ["a", "c"]


def test_a_server_that_is_away_for_a_moment_is_asked_again(cluster: Cluster, api: FakeApi) -> None:
    api.before = failing(2, sent=False)
    assert cluster.create(config("a"))["metadata"]["name"] == "a"
    api.before = failing(2, sent=True)
    assert cluster.get("ConfigMap", "a") is not None


def test_a_change_that_may_have_been_made_is_not_made_twice(cluster: Cluster, api: FakeApi) -> None:
    api.before = failing(1, sent=True)
    with pytest.raises(BackendctlError) as caught:
        cluster.create(config("a"))
    assert caught.value.code == "missing.cluster"
    assert "not known" in caught.value.state


def test_a_server_that_stays_away_is_said_within_seconds(
    cluster: Cluster, api: FakeApi, clock: Patient
) -> None:
    api.before = failing(99, sent=False)
    with pytest.raises(BackendctlError) as caught:
        cluster.list("Pod")
    error = caught.value
    assert (error.code, error.cause) == ("missing.cluster", "Connection refused")
    assert "fake.invalid" in error.message
    assert error.next
    assert clock.waited < 3


# --- what a server may say, by a real one on a socket --------------------------------------------


class _Says(BaseHTTPRequestHandler):
    status, said = 200, b"{}"
    asked: tuple[str, str] = ("", "")

    def _answer(self) -> None:
        type(self).asked = (self.path, self.headers.get("Authorization", ""))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.said)))
        self.end_headers()
        self.wfile.write(self.said)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Says]]:
    class Says(_Says):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Says)
    Thread(target=server.serve_forever, daemon=True).start()
    kubeconfig(tmp_path / "config", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    yield Says
    server.shutdown()
    server.server_close()


def kubeconfig(path: Path, server: str, user: dict[str, Any] | None = None) -> None:
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "one",
                "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": user or {"token": "s3cr3t-token"}}],
            }
        )
    )


def status(message: str, reason: str = "", **details: str) -> bytes:
    return json.dumps(
        {"kind": "Status", "message": message, "reason": reason, "details": details}
    ).encode()


POD_SECURITY = (
    'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
)
SAID = [
    (401, status("Unauthorized", "Unauthorized"), "platform.credentials", "logging in again"),
    (
        403,
        status('secrets is forbidden: User "u" cannot list resource', "Forbidden"),
        "platform.forbidden",
        "cannot list",
    ),
    (
        403,
        status('pods "x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=9'),
        "platform.quota",
        "exceeded quota",
    ),
    (403, status(POD_SECURITY, "Forbidden"), "platform.admission", "runAsNonRoot"),
    (
        400,
        status('admission webhook "sign.example.com" denied the request: not signed'),
        "platform.admission",
        "not signed",
    ),
    (404, b"404 page not found\n", "platform.refused", "older than this version"),
    (404, status("gone", "NotFound", kind="namespaces", name="shop"), "missing.environment", ""),
    (409, status("the object has been modified", "Conflict"), "platform.conflict", "modified"),
    (422, status("Pod is invalid: spec.x: Required", "Invalid"), "platform.refused", "Required"),
    (503, status("etcd leader changed"), "missing.cluster", "etcd leader changed"),
]


@pytest.mark.parametrize(("code", "body", "error", "word"), SAID)
def test_each_refusal_says_what_it_means(
    served: type[_Says], code: int, body: bytes, error: str, word: str
) -> None:
    served.status, served.said = code, body
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}
    with pytest.raises(BackendctlError) as caught:
        Cluster("shop", clock=Patient()).create(pod)
    assert caught.value.code == error
    assert word in caught.value.cause
    assert caught.value.state
    assert "s3cr3t" not in str(vars(caught.value))


def test_a_list_whose_version_is_forgotten_between_two_pages_is_read_anew(
    cluster: Cluster, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, str]] = []

    def request(_method: str, _path: str, query: dict[str, str], *_: object) -> Answer:
        asked.append(dict(query))
        if "continue" in query:
            return Answer(410, status("The provided continue parameter is too old", "Expired"))
        names, more = (("a",), "next") if "limit" in query else (("a", "b", "c"), "")
        items = [{"metadata": {"name": name}} for name in names]
        return Answer(200, json.dumps({"items": items, "metadata": {"continue": more}}).encode())

    monkeypatch.setattr(api, "request", request)
    found = cluster.list("ConfigMap", {"x": "y"})
    assert [each["metadata"]["name"] for each in found] == ["a", "b", "c"]
    assert asked[-1] == {"labelSelector": "x=y"}


@pytest.mark.parametrize(
    ("kind", "name", "namespace", "granted"),
    [
        ("Lease", "shop-rollout", "shop", "kubectl -n shop create rolebinding"),
        ("Namespace", "shop", "", "kubectl -n shop create rolebinding"),
        ("Namespace", "kube-system", "", ""),
        ("GatewayClass", "", "", ""),
        ("Gateway", "shared", "edge", ""),
    ],
)
def test_a_role_of_a_namespace_is_offered_only_where_it_would_help(
    kind: str, name: str, namespace: str, granted: str
) -> None:
    asked = Asked("get", kind, name, namespace, "https://fake.invalid")
    error = refused(asked, 403, status('User "u" cannot get it', "Forbidden"))
    assert error.code == "platform.forbidden"
    offered = [line for line in error.next if "rolebinding" in line]
    assert [line.startswith(granted) for line in offered] == [True] * bool(granted)


def test_a_cluster_without_the_gateway_api_is_told_from_a_route_that_is_not_there(
    served: type[_Says],
) -> None:
    served.status, served.said = 404, b"404 page not found\n"
    with pytest.raises(BackendctlError) as caught:
        Cluster("shop").get("HTTPRoute", "shop")
    assert caught.value.code == "missing.gateway-api"
    served.said = status("no", "NotFound", kind="httproutes", name="shop")
    assert Cluster("shop").get("HTTPRoute", "shop") is None


def test_the_servers_words_about_a_secret_are_not_repeated(served: type[_Says]) -> None:
    served.status, served.said = 422, status('Secret "x" is invalid: data: "hunter2"', "Invalid")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}
    with pytest.raises(BackendctlError) as caught:
        Cluster("shop").create(secret)
    assert "hunter2" not in str(vars(caught.value))


def test_the_account_is_sent_and_names_stay_inside_their_path(served: type[_Says]) -> None:
    served.said = b'{"metadata": {}}'
    Cluster("shop").get("ConfigMap", "a/../../secrets")
    path, account = served.asked
    assert path == "/api/v1/namespaces/shop/configmaps/a%2F..%2F..%2Fsecrets"
    assert account == "Bearer s3cr3t-token"


def test_an_address_at_which_nothing_listens_is_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Says)
    server.server_close()
    kubeconfig(tmp_path / "config", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(BackendctlError) as caught:
        Cluster("shop", clock=Patient()).list("Pod")
    assert caught.value.code == "missing.cluster"
    assert "refused" in caught.value.cause
    assert str(server.server_port) in caught.value.message


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        (None, "does not exist"),
        ("a: [", ""),
        ("{}", ""),
        ("plugin", "no-such-plugin"),
    ],
)
def test_a_kubeconfig_without_a_usable_account_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str | None, word: str
) -> None:
    path = tmp_path / "config"
    monkeypatch.setenv("KUBECONFIG", str(path))
    if broken == "plugin":
        plugin = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "no-such-plugin",
            "interactiveMode": "Never",
        }
        kubeconfig(path, "http://127.0.0.1:9", {"exec": plugin})
    elif broken is not None:
        path.write_text(broken)
    with pytest.raises(BackendctlError) as caught:
        Cluster("shop").list("Pod")
    assert caught.value.code == "platform.credentials"
    assert word in caught.value.cause


def test_a_context_that_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig(tmp_path / "config", "http://127.0.0.1:9")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(BackendctlError) as caught:
        Cluster("shop", "other").list("Pod")
    assert caught.value.code == "missing.cluster"
    assert "other" in caught.value.message


class _Breaking:
    """A log whose connection breaks, or is silent for too long, after one line."""

    status = 200

    def read(self) -> bytes:
        return b""

    def lines(self) -> Iterator[bytes]:
        yield b"one"
        raise NoAnswerError("Read timed out.", sent=True)

    def close(self) -> None:
        return


def test_a_log_that_is_followed_ends_where_its_connection_does(
    cluster: Cluster, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "stream", lambda *_: _Breaking())
    assert list(cluster.pod_logs("shop-r1-x", follow=True)) == ["one"]
    with pytest.raises(BackendctlError) as caught:
        list(cluster.pod_logs("shop-r1-x"))
    assert caught.value.code == "missing.cluster"
