"""The smoke check's requests, on a real socket."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from backendctl.rollout.smoke import probe

SHOP = "shop.example.com"


class Gateway(BaseHTTPRequestHandler):
    """Knows one service by its name, and no other."""

    def do_GET(self) -> None:
        known = self.headers["host"] == SHOP and self.headers["x-backendctl-preview"]
        self.send_response(200 if known else 404)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_service_is_asked_for_by_the_name_its_gateway_knows_it_by(url: str) -> None:
    assert probe(url, ("/readyz", "/"), SHOP) == ""


def test_what_another_service_answers_is_no_answer(url: str) -> None:
    assert probe(url, ("/readyz",)) == "GET /readyz answered 404, 3 times of 3"


def test_where_nothing_answers_the_address_is_named() -> None:
    said = probe("http://127.0.0.1:1", ("/readyz",), SHOP)
    assert said.startswith("GET http://127.0.0.1:1/readyz: ConnectError: ")


class Learning(BaseHTTPRequestHandler):
    """A gateway that has not heard of the release's replicas yet."""

    left = 0

    def do_GET(self) -> None:
        Learning.left -= 1
        self.send_response(503 if Learning.left >= 0 else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def learning() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Learning) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_gateway_that_hears_of_the_release_a_moment_later_is_waited_for(learning: str) -> None:
    Learning.left = 6
    assert probe(learning, ("/readyz",)) == ""


def test_a_release_that_never_answers_anything_else_is_bad(learning: str) -> None:
    Learning.left = 1000
    assert probe(learning, ("/readyz",), patience=0.5).startswith("GET /readyz answered 503, ")
