"""Asking single proxies, for real on this machine: what they serve, what they counted."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from backendctl.platforms.kubernetes import replicas as module
from backendctl.platforms.kubernetes.gateway import Listener, Replica
from backendctl.platforms.kubernetes.replicas import Replicas, UnansweredError, probe
from backendctl.platforms.kubernetes.routes import PROBE_HEADER, PROBE_PATH

LISTENER = Listener("http", 80, "http")


class Proxy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == PROBE_PATH and self.headers[PROBE_HEADER]:
            asked = self.headers["host"].partition(":")[0]
            revision = "r1" if asked == "shop.example.com" else "other"
            self.send_response(302)
            self.send_header("location", f"http://{revision}.revision.backendctl.invalid/x")
        elif self.path == "/stats?filter=abc":
            self.send_response(200)
        else:
            self.send_response(404)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        return


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closed() -> int:
    """A port at which nobody listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.server_close()
    return server.server_port


class Api:
    """The API server's way to pods."""

    def __init__(self, answer: bytes = b"") -> None:
        self.asked: list[tuple[object, ...]] = []
        self._answer = answer

    def proxied(self, *arguments: object) -> bytes:
        self.asked.append(arguments)
        return self._answer


def replicas(api: object = None) -> Replicas:
    return Replicas(api or Api())  # type: ignore[arg-type]


def proxy(name: str, port: int, address: str = "127.0.0.1") -> Replica:
    return Replica("gateways", name, address, {80: port})


def test_each_proxy_names_the_revision_it_serves_for_the_host(port: int) -> None:
    found = replicas().revisions([proxy("a", port)], [LISTENER], "shop.example.com")
    assert found == {"a": {"r1"}}
    assert replicas().revisions([proxy("a", port)], [LISTENER], "x.example.com") == {"a": {"other"}}
    assert probe(f"http://127.0.0.1:{port}", "shop.example.com") == "r1"


def test_a_proxy_that_is_there_and_refuses_serves_nothing(port: int, closed: int) -> None:
    found = replicas().revisions([proxy("a", port), proxy("b", closed)], [LISTENER], "")
    assert found == {"a": {"other"}, "b": set()}


def test_a_listener_that_refuses_does_not_hide_what_another_one_serves(
    port: int, closed: int
) -> None:
    both = Replica("gateways", "a", "127.0.0.1", {80: port, 443: port, 8080: closed})
    listeners = [LISTENER, Listener("tls", 443, "https"), Listener("off", 8080, "http")]
    for _ in range(2):  # and it is not taken for one that cannot be reached
        found = replicas().revisions([both], listeners, "shop.example.com")
        assert found == {"a": {"r1"}}


def test_a_proxy_without_that_listener_is_left_out(port: int) -> None:
    other = Replica("gateways", "a", "127.0.0.1", {443: port})
    assert replicas().revisions([other], [LISTENER], "") == {}


def test_an_address_that_leads_nowhere_from_here_is_asked_through_the_api_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import httpx

    def nowhere(*_arguments: object, **_named: object) -> None:
        raise httpx.ConnectTimeout("timed out")

    monkeypatch.setattr(httpx, "get", nowhere)
    api = Api(b"text")
    asked = replicas(api)
    query = {"filter": "abc"}
    assert asked.stats([proxy("a", 1)], 8002, "/stats", query) == {"a": "text"}
    assert api.asked == [("a", 8002, "/stats", query, "gateways")]
    monkeypatch.setattr(httpx, "get", lambda *_a, **_n: pytest.fail("it was far once"))
    assert asked.stats([proxy("a", 1)], 8002, "/stats", query) == {"a": "text"}


def test_a_proxy_that_was_far_once_is_asked_again(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, here = replicas(), [proxy("a", port)]
    asked._far["127.0.0.1"] = time.monotonic()
    assert asked.revisions(here, [LISTENER], "shop.example.com") == {}
    monkeypatch.setattr(module, "FAR_FOR", 0.0)
    assert asked.revisions(here, [LISTENER], "shop.example.com") == {"a": {"r1"}}


def test_statistics_of_all_or_of_none(port: int, closed: int) -> None:
    query = {"filter": "abc"}
    assert replicas().stats([proxy("a", 80)], port, "/stats", query) == {"a": ""}
    for bad_port, path in ((closed, "/stats"), (port, "/elsewhere")):
        with pytest.raises(UnansweredError, match="a: "):
            replicas().stats([proxy("a", 80)], bad_port, path, query)


def test_a_proxy_that_is_far_and_no_pod_is_said() -> None:
    asked = replicas()
    asked._far["192.0.2.1"] = time.monotonic()
    outside = SimpleNamespace(namespace="", pod="", address="192.0.2.1", ports={}, name="192.0.2.1")
    with pytest.raises(UnansweredError, match="is no pod"):
        asked.stats([outside], 8002, "/stats", {})  # type: ignore[list-item]
