"""The gateway and its releases, killed in the middle of traffic."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendctl import filesystem
from backendctl.errors import BackendctlError
from backendctl.platforms.base import Routes
from backendctl.platforms.local.gateway import GatewayFiles
from tests.local_platform.servers import Stand, stand
from tests.open_loop import OpenLoop
from tests.waiting import eventually

pytestmark = pytest.mark.faults

_HALF = Routes({1: 50, 2: 50}, fallback=1)


@pytest.fixture
def halves(tmp_path: Path) -> Iterator[Stand]:
    with stand(tmp_path) as found:
        found.up(1)
        found.up(2, restart=False)
        found.router.apply(_HALF)
        yield found


def test_a_candidate_killed_at_half_weight_fails_only_what_cannot_be_repeated(
    halves: Stand,
) -> None:
    mix = (("GET", "/keep?sleep=0.02"), ("GET", "/new"), ("POST", "/keep?sleep=0.02"))
    with OpenLoop(halves.url, rps=150, mix=mix) as load:
        load.run(1.0)
        killed = time.time()
        os.kill(halves.pid("release-2-0"), 9)
        load.run(1.5)
        halves.router.apply(Routes({1: 100, 2: 0}))
        load.run(0.5)
    assert [o for o in load.failed if "POST" not in o.path and o.at > killed + 0.1] == []
    # At most the POSTs that release 2 was working on: about 150/s * 1/3 * 1/2 * 20 ms.
    assert len(load.failed) <= 4
    assert Counter(o.release for o in load.after(killed + 0.2)).keys() == {"r1"}


def test_a_killed_gateway_comes_back_at_the_same_address_with_the_same_weights(
    halves: Stand,
) -> None:
    url = halves.router.url
    serving = halves.pid("gateway")
    os.kill(serving, 9)
    began = time.monotonic()
    assert eventually(lambda: halves.router.read() == _HALF)
    assert time.monotonic() - began < 5
    assert halves.pid("gateway") != serving
    assert halves.router.url == url
    seen = Counter(halves.get()[1] for _ in range(100))
    assert 25 <= seen[b"r2"] <= 75


def test_weights_set_while_the_gateway_restarts_are_served_once_it_is_back(halves: Stand) -> None:
    os.kill(halves.pid("gateway"), 9)
    halves.router.apply(Routes({1: 0, 2: 100}))
    assert {halves.get()[1] for _ in range(20)} == {b"r2"}


def test_a_dead_gateway_refuses_new_weights_and_keeps_the_old_ones_on_file(
    halves: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backendctl.platforms.local.router._CONFIRM_DEADLINE", 0.3)
    halves.supervisor.stop("gateway")
    before = GatewayFiles(halves.layout).routes.read_bytes()
    with pytest.raises(BackendctlError) as raised:
        halves.router.apply(Routes({1: 0, 2: 100}))
    assert raised.value.code == "platform.gateway"
    assert GatewayFiles(halves.layout).routes.read_bytes() == before
    assert halves.router.read() is None


def test_a_dead_supervisor_interrupts_no_request_and_is_replaced(halves: Stand) -> None:
    record = halves.layout.run / "supervisord.pid.json"
    with OpenLoop(halves.url, rps=80) as load:
        load.run(0.3)
        before = {name: status.pid for name, status in halves.supervisor.programs().items()}
        os.kill(int((halves.layout.run / "supervisord.pid").read_text()), 9)
        assert eventually(lambda: not halves.supervisor.running())
        load.run(0.3)
        halves.supervisor.ensure()
        load.run(0.5)
        after = {name: status.pid for name, status in halves.supervisor.programs().items()}
    assert load.failed == []
    assert after == before
    assert record.exists()
    serving = halves.pid("gateway")
    os.kill(serving, 9)  # adopted, and still brought back when it dies
    assert eventually(lambda: halves.router.read() == _HALF)


def test_a_full_disk_leaves_the_former_weights_served(
    halves: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(filesystem.os, "fsync", full)
    with pytest.raises(BackendctlError) as raised:
        halves.router.apply(Routes({1: 0, 2: 100}))
    monkeypatch.undo()
    assert raised.value.code == "platform.disk-full"
    assert halves.router.read() == _HALF
    assert list(GatewayFiles(halves.layout).scratch.iterdir()) == []
