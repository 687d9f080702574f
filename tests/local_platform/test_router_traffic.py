"""The gateway under real traffic. What a user of the service sees is what counts."""

import http.client
import http.cookies
import json
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import PREVIEW_COOKIE, PREVIEW_HEADER, Routes
from backendctl.platforms.local import router as router_module
from backendctl.platforms.local.envoy_admin import EnvoyAdmin
from backendctl.platforms.local.gateway import GatewayFiles
from backendctl.platforms.local.router import EnvoyRouter
from tests.local_platform.servers import Stand, stand
from tests.open_loop import OpenLoop
from tests.waiting import eventually


@pytest.fixture
def serving(gateway: Stand) -> Iterator[Stand]:
    """Release 1 serves everything."""
    gateway.up(1)
    gateway.router.apply(Routes({1: 100}))
    yield gateway
    gateway.clear()


def test_with_no_release_the_gateway_says_so_itself(gateway: Stand) -> None:
    status, body = gateway.get()
    assert status == 503
    assert "No release is up" in json.loads(body)["detail"]
    assert gateway.router.read() is None


def test_a_whole_canary_loses_no_request_and_counts_every_one(serving: Stand) -> None:
    router, meter = serving.router, serving.meter(300)
    shares = {}
    with OpenLoop(serving.url, rps=150) as load:
        serving.up(2)
        for weight in (0, 10, 50, 100):
            router.apply(Routes({1: 100 - weight, 2: weight}, fallback=1))
            before = len(load.outcomes)
            load.run(1.5)
            seen = Counter(outcome.release for outcome in load.outcomes[before:])
            shares[weight] = seen["r2"] / seen.total()
        router.apply(Routes({1: 0, 2: 100}))
        assert router.drain(1, 10)
        serving.supervisor.stop("release-1-0")
        load.run(0.5)
    assert load.failed == []
    assert len(load.outcomes) > 150 * 6 * 0.9
    assert shares[0] == 0
    assert 0.02 < shares[10] < 0.2
    assert 0.4 < shares[50] < 0.6
    # Streams and slow answers that had begun before the last shift still end on release 1.
    assert shares[100] > 0.95
    users = Counter(outcome.release for outcome in load.outcomes)
    arm = meter.sample().arms[2]
    assert arm.requests == users["r2"] == serving.counted(2)["requests"]
    assert (arm.errors, arm.masked, arm.healthy) == (0, 0, 1)
    assert meter.sample().arms[1].requests == users["r1"]


def test_after_apply_returns_no_request_reaches_the_old_release(serving: Stand) -> None:
    serving.up(2)
    router = serving.router
    with OpenLoop(serving.url, rps=100, mix=(("GET", "/keep"), ("GET", "/new"))):
        for new, old in ((2, 1), (1, 2)) * 5:
            router.apply(Routes({new: 100, old: 0}))
            assert {serving.get()[1] for _ in range(5)} == {f"r{new}".encode()}


def test_what_was_applied_is_read_back_whole(serving: Stand) -> None:
    serving.up(2)
    for routes in (
        Routes({1: 90, 2: 10}, preview=2, fallback=1),
        Routes({1: 100, 2: 0}, preview=2),
        Routes({1: 100, 2: 0}, fallback=1),
        Routes({2: 100, 1: 0}),
    ):
        serving.router.apply(routes)
        assert serving.router.read() == routes


def test_the_preview_header_reaches_a_candidate_without_weight(serving: Stand) -> None:
    serving.up(2)
    serving.router.apply(Routes({1: 100, 2: 0}, preview=2, fallback=1))
    for _ in range(10):
        assert serving.get(headers={PREVIEW_HEADER: "1"}) == (200, b"r2")
        assert serving.get() == (200, b"r1")
    arms = serving.meter().sample().arms
    assert arms[2].requests == 0
    assert arms[1].requests >= 10


def test_read_says_what_is_served_and_not_what_the_file_says(serving: Stand) -> None:
    serving.up(2)
    served = Routes({1: 80, 2: 20}, fallback=1)
    serving.router.apply(served)
    file = GatewayFiles(serving.layout).routes
    kept = file.read_bytes()
    with file.open("r+b") as stream:  # in place: Envoy takes up renames only
        stream.write(kept.replace(b": 80", b": 20").replace(b": 20,", b": 80,"))
    assert serving.router.read() == served
    file.write_bytes(kept)


def test_a_release_that_is_not_healthy_is_refused_and_nothing_changes(serving: Stand) -> None:
    serving.start(2)
    serving.supervisor.stop("release-2-0")
    with pytest.raises(BackendctlError) as raised:
        serving.router.connect(2, deadline=0.5)
    assert raised.value.code == "platform.gateway"
    assert "release 2" in raised.value.message
    assert serving.router.read() == Routes({1: 100})
    assert serving.get() == (200, b"r1")


def test_a_refused_configuration_leaves_the_former_one_served_and_on_file(
    serving: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving.up(2)
    file = GatewayFiles(serving.layout).routes
    before = file.read_bytes()
    sound = router_module.route_table

    def broken(routes: Routes | None, version: str, *, sticky: bool) -> dict[str, object]:
        table = sound(routes, version, sticky=sticky)
        table["resources"][0]["virtual_hosts"][0]["domains"] = []
        return table

    monkeypatch.setattr(router_module, "route_table", broken)
    with pytest.raises(BackendctlError) as raised:
        serving.router.apply(Routes({2: 100}))
    assert raised.value.code == "platform.gateway"
    assert "refused" in raised.value.cause
    assert json.loads(file.read_bytes())["resources"] == json.loads(before)["resources"]
    assert serving.get() == (200, b"r1")
    monkeypatch.undo()
    serving.router.apply(Routes({2: 100}))
    assert serving.get() == (200, b"r2")


def test_drain_waits_for_a_request_in_flight_and_gives_up_at_its_deadline(serving: Stand) -> None:
    serving.up(2)
    with OpenLoop(serving.url, rps=20, mix=(("GET", "/new?sleep=1.5"),)) as load:
        assert eventually(lambda: in_flight(serving, 1) > 0)
        serving.router.apply(Routes({2: 100, 1: 0}))
        assert serving.router.drain(1, deadline=0.2) is False
        assert serving.router.drain(1, deadline=10) is True
        assert in_flight(serving, 1) == 0
    assert load.failed == []


def in_flight(stand: Stand, number: int) -> int:
    name = f"cluster.rel-{number}.upstream_rq_active"
    stats = EnvoyAdmin(stand.layout.admin_socket).stats(rf"^{name}$")["stats"]
    return sum(stat["value"] for stat in stats if stat.get("name") == name)


def test_a_release_with_weight_is_neither_drained_nor_disconnected(serving: Stand) -> None:
    with pytest.raises(ValueError, match="has weight 100"):
        serving.router.drain(1, 1)
    with pytest.raises(ValueError, match="has weight 100"):
        serving.router.disconnect(1)


def test_a_release_that_was_never_connected_cannot_be_served(serving: Stand) -> None:
    with pytest.raises(ValueError, match="not connected"):
        serving.router.apply(Routes({1: 50, 7: 50}))


def test_a_disconnected_release_is_forgotten_in_every_role(serving: Stand) -> None:
    serving.up(2)
    serving.router.apply(Routes({1: 100, 2: 0}, preview=2, fallback=1))
    serving.router.disconnect(2)
    assert serving.router.read() == Routes({1: 100}, fallback=1)
    assert 2 not in serving.meter().sample().arms
    assert serving.get(headers={PREVIEW_HEADER: "1"}) == (200, b"r1")


def test_requests_are_spread_over_replicas_and_avoid_a_dead_one(gateway: Stand) -> None:
    gateway.up(3, replicas=2, restart=False)
    gateway.router.apply(Routes({3: 100}))
    try:
        with OpenLoop(gateway.url, rps=100, mix=(("GET", "/keep"), ("GET", "/new"))) as load:
            load.run(0.5)
            gateway.supervisor.stop("release-3-1")  # nobody told the gateway
            assert eventually(lambda: gateway.meter().sample().arms[3].healthy == 1)
            load.run(0.5)
        assert load.failed == []
    finally:
        gateway.clear()


def test_connections_are_told_to_close_before_the_gateway_stops_and_what_is_in_flight_ends(
    tmp_path: Path,
) -> None:
    with stand(tmp_path) as serving:
        serving.up(1)
        serving.router.apply(Routes({1: 100}))
        check_dismissal(serving)
        serving.supervisor.stop("gateway")
        serving.router.dismiss()  # nobody is left to tell


def check_dismissal(serving: Stand) -> None:
    def ask(connection: http.client.HTTPConnection, path: str) -> None:
        connection.request("GET", path)

    def answered(connection: http.client.HTTPConnection) -> tuple[int, str | None, bytes]:
        answer = connection.getresponse()
        return answer.status, answer.headers.get("connection"), answer.read()

    kept, slow = (http.client.HTTPConnection("127.0.0.1", serving.port) for _ in range(2))
    ask(kept, "/")
    assert answered(kept) == (200, None, b"r1")
    ask(slow, "/?stream=10")
    begun = slow.getresponse()  # its head is here, its body is still to come
    serving.router.dismiss()
    ask(kept, "/")
    assert answered(kept) == (200, "close", b"r1")
    assert (begun.headers.get("connection"), begun.read()) == (None, b"part" * 10)
    ask(slow, "/")
    assert answered(slow) == (200, "close", b"r1")


def test_websockets_pass(serving: Stand) -> None:
    with socket.create_connection(("127.0.0.1", serving.port), 5) as connection:
        connection.sendall(
            b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        assert head.startswith(b"HTTP/1.1 101")
        connection.sendall(b"hello")
        assert connection.recv(4096) == b"hello"


def test_the_admin_interface_is_on_a_private_socket_only(serving: Stand, tmp_path: Path) -> None:
    import psutil

    process = psutil.Process(serving.pid("gateway"))
    listening = {
        (c.laddr.ip, c.laddr.port)
        for c in process.net_connections("tcp")
        if c.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", serving.port)}
    assert serving.layout.admin_socket.stat().st_mode & 0o777 == 0o600


def test_a_tester_s_browser_sees_the_candidate_by_a_cookie(serving: Stand) -> None:
    serving.up(2)
    serving.router.apply(Routes({1: 100}, preview=2))
    cookie = {"cookie": f"theme=dark; {PREVIEW_COOKIE}=1"}
    assert serving.get("/keep", cookie)[1].startswith(b"r2")
    assert serving.get("/keep", {"cookie": f"no-{PREVIEW_COOKIE}=1"})[1].startswith(b"r1")


def test_a_sticky_session_keeps_its_release_and_moves_to_the_candidate_at_most_once(
    serving: Stand,
) -> None:
    serving.up(2)
    router = EnvoyRouter(serving.layout, serving.at.__getitem__, sticky=True)
    sessions = [http.cookies.SimpleCookie() for _ in range(60)]
    seen: list[list[str]] = [[] for _ in sessions]
    for weight in (20, 50, 100):
        router.apply(Routes({1: 100 - weight, 2: weight}))
        for _ in range(3):
            for session, releases in zip(sessions, seen, strict=True):
                releases.append(_visit(serving.port, session))
    for releases in seen:
        assert releases == sorted(releases), "nobody went back from the candidate"
        assert all(len(set(releases[i : i + 3])) == 1 for i in (0, 3, 6)), "one weight, one release"
    first = [releases[0] for releases in seen]
    assert {"r1", "r2"} == set(first), "sessions are spread by weight"


def _visit(port: int, session: "http.cookies.SimpleCookie") -> str:
    """One request of a browser; returns the release that answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        sent = "; ".join(f"{name}={each.value}" for name, each in session.items())
        connection.request("GET", "/keep", headers={"cookie": sent} if sent else {})
        answer = connection.getresponse()
        for value in answer.headers.get_all("set-cookie") or ():
            session.load(value)
        return answer.read().decode()[:2]
    finally:
        connection.close()
