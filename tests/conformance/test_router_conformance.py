"""What every platform's router keeps to, under traffic. What a user sees is what counts."""

import math
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import PREVIEW_COOKIE, PREVIEW_HEADER, Platform, Routes

from .platforms import Target
from .world import World, eventually

QUICK = ("GET", "/keep"), ("GET", "/new")


@dataclass
class Pair:
    """Two releases that are up, for all scenarios that kill neither."""

    world: World
    one: int
    two: int

    @property
    def router(self) -> Any:
        return self.world.platform.router

    def share(self, two: int, **roles: int | None) -> Routes:
        """So many percent go to the second release."""
        routes = Routes({self.one: 100 - two, self.two: two}, **roles)
        self.router.apply(routes)
        return routes

    def busy(self) -> int:
        """Slow requests that the first release's processes are at: any of them is asked."""
        return max(self.world.get("/busy")[1]["busy"] for _ in range(8))

    def seen(self, asked: int, headers: dict[str, str] | None = None) -> Counter[int]:
        """Releases that answered so many requests."""
        answers = (self.world.get("/new", headers) for _ in range(asked))
        return Counter(int(body["release"]) for _, body in answers)


@pytest.fixture(scope="module")
def standing(
    platform: Platform, target: Target, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    with World.of(platform, target, tmp_path_factory.mktemp("pair")) as world:
        one, two = world.up(replicas=2), world.up(replicas=2)
        yield Pair(world, one.number, two.number)


@pytest.fixture
def pair(standing: Pair) -> Pair:
    """The first release serves everything; the second is connected."""
    standing.router.apply(Routes({standing.one: 100}))
    return standing


# --- weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [10, 50, 90])
def test_requests_are_shared_by_weight(pair: Pair, weight: int) -> None:
    pair.share(weight)
    with pair.world.users(100, *QUICK) as load:
        load.run(2)
    assert load.failed == []
    seen = Counter(int(outcome.release) for outcome in load.outcomes)
    share, asked = seen[pair.two] / seen.total(), weight / 100
    # Five standard deviations: one run in a million is outside by chance.
    assert abs(share - asked) < 5 * math.sqrt(asked * (1 - asked) / seen.total()), seen


def test_a_connected_release_gets_nothing_until_it_has_weight(pair: Pair) -> None:
    assert pair.seen(30) == {pair.one: 30}
    pair.share(0, fallback=pair.one)
    assert pair.seen(30) == {pair.one: 30}


def test_after_apply_returns_no_request_reaches_the_former_release(pair: Pair) -> None:
    with pair.world.users(20, *QUICK) as load:
        for two in (100, 0) * 3:
            pair.share(two)
            assert pair.seen(6) == {pair.two if two else pair.one: 6}
    assert load.failed == []


def test_what_was_applied_is_read_back_whole(pair: Pair) -> None:
    one, two = pair.one, pair.two
    for routes in (
        Routes({one: 90, two: 10}, preview=two, fallback=one),
        Routes({one: 100, two: 0}, preview=two),
        Routes({one: 100, two: 0}, fallback=one),
        Routes({one: 0, two: 100}),
        Routes({two: 100}),
    ):
        pair.router.apply(routes)
        assert pair.router.read() == routes


def test_applying_the_same_again_changes_nothing(pair: Pair) -> None:
    routes = pair.share(50)
    pair.router.apply(routes)
    assert pair.router.read() == routes


def test_one_that_may_not_write_any_more_changes_nothing(pair: Pair) -> None:
    def fenced() -> None:
        raise BackendctlError("rollout.fenced", "another run has taken over")

    with pytest.raises(BackendctlError, match="taken over"):
        pair.router.apply(Routes({pair.one: 0, pair.two: 100}), fenced)
    assert pair.router.read() == Routes({pair.one: 100})
    assert pair.seen(10) == {pair.one: 10}


def test_with_no_weights_nothing_is_served_and_the_gateway_says_so_itself(pair: Pair) -> None:
    pair.router.apply(Routes({}))
    assert pair.router.read() is None
    status, _ = pair.world.get()
    assert status >= 500


# --- preview ----------------------------------------------------------------------------------


def test_testers_reach_a_candidate_without_weight_and_are_not_counted_as_users(pair: Pair) -> None:
    pair.share(0, preview=pair.two)
    meter = pair.world.platform.meter
    before = {number: arm.requests for number, arm in meter.sample().arms.items()}
    cookie = {"cookie": f"theme=dark; {PREVIEW_COOKIE}=1"}
    assert pair.seen(10, {PREVIEW_HEADER: "1"}) == {pair.two: 10}
    assert pair.seen(10, {PREVIEW_HEADER: ""}) == {pair.two: 10}
    assert pair.seen(10, cookie) == {pair.two: 10}
    assert pair.seen(10, {"cookie": f"no-{PREVIEW_COOKIE}=1"}) == {pair.one: 10}
    after = {number: arm.requests for number, arm in meter.sample().arms.items()}
    assert after[pair.two] - before[pair.two] == 0
    assert after[pair.one] - before[pair.one] == 10


def test_without_a_preview_testers_are_users(pair: Pair) -> None:
    assert pair.seen(10, {PREVIEW_HEADER: "1"}) == {pair.one: 10}


# --- what is in flight ------------------------------------------------------------------------


def test_drain_waits_for_a_request_in_flight_and_gives_up_at_its_deadline(pair: Pair) -> None:
    answers: list[tuple[int, Any]] = []
    slow = threading.Thread(target=lambda: answers.append(pair.world.get("/new?sleep=4")))
    slow.start()
    assert eventually(lambda: pair.busy() == 1)
    pair.share(100)
    assert pair.router.drain(pair.one, deadline=0.3) is False
    assert answers == []
    assert pair.router.drain(pair.one, deadline=20) is True
    slow.join()
    (answer,) = answers
    assert answer[0] == 200
    assert answer[1]["release"] == str(pair.one)


def test_slow_and_streamed_answers_end_on_the_release_that_began_them(pair: Pair) -> None:
    with pair.world.users(12, ("GET", "/new?sleep=1"), ("GET", "/new?stream=20")) as load:
        load.run(0.5)
        pair.share(100)
        load.run(0.5)
        pair.share(0)
    assert load.failed == []
    assert {outcome.release for outcome in load.outcomes} == {str(pair.one), str(pair.two)}


def test_a_kept_connection_moves_with_the_weights(pair: Pair) -> None:
    connection = pair.world.connection()

    def answered() -> tuple[int, str | None]:
        pair.world.ask(connection, "/keep")
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("x-release")

    assert answered() == (200, str(pair.one))
    socket = connection.sock
    pair.share(100)
    assert answered() == (200, str(pair.two))
    assert connection.sock is socket, "the connection was kept"
    connection.close()


def test_a_release_with_weight_is_neither_drained_nor_disconnected(pair: Pair) -> None:
    with pytest.raises(ValueError, match="has weight 100"):
        pair.router.drain(pair.one, 1)
    with pytest.raises(ValueError, match="has weight 100"):
        pair.router.disconnect(pair.one)


def test_a_release_that_was_never_connected_cannot_be_served(pair: Pair) -> None:
    with pytest.raises(ValueError, match="not connected"):
        pair.router.apply(Routes({pair.one: 50, 9999: 50}))
    assert pair.router.read() == Routes({pair.one: 100})


# --- whole rollouts ---------------------------------------------------------------------------


def test_users_see_no_failure_across_a_canary_a_rollback_and_an_abort(world: World) -> None:
    """An open-loop client, keep-alive and new connections, slow answers, uploads and streams."""
    router, meter = world.platform.router, world.platform.meter
    one = world.up(replicas=2, grace=20).number
    router.apply(Routes({one: 100}))
    served: Counter[int] = Counter()
    with world.users(40) as load:
        two = _canary(world, one, (10, 50, 100))
        before = meter.sample().arms
        since = len(load.outcomes)
        router.apply(Routes({one: 100, two: 0}))  # a rollback while the old one is warm
        load.run(1)
        router.apply(Routes({one: 0, two: 100}))
        _retire(world, one)
        load.run(1)
        three = _canary(world, two, (10, 50))
        router.apply(Routes({two: 100, three: 0}))  # an abort
        _retire(world, three)
        load.run(1)
    assert load.failed == []
    served.update(int(outcome.release) for outcome in load.outcomes)
    assert served.keys() == {one, two, three}
    assert len(load.outcomes) > since > 0
    assert before[two].errors == before[one].errors == 0
    assert router.read() == Routes({two: 100})


def _canary(world: World, stable: int, steps: tuple[int, ...]) -> int:
    """A new release takes traffic step by step; its number."""
    candidate = world.up(replicas=2, grace=20).number
    for weight in steps:
        world.platform.router.apply(
            Routes({stable: 100 - weight, candidate: weight}, preview=candidate, fallback=stable)
        )
        threading.Event().wait(1)
    return candidate


def _retire(world: World, number: int) -> None:
    assert world.platform.router.drain(number, 20)
    world.platform.runtime.stop(number)
    world.platform.router.disconnect(number)


def test_a_disconnected_release_is_forgotten_in_every_role(world: World) -> None:
    one, two = world.up().number, world.up().number
    router = world.platform.router
    router.apply(Routes({one: 100, two: 0}, preview=two, fallback=one))
    router.disconnect(two)
    assert router.read() == Routes({one: 100}, fallback=one)
    assert two not in world.platform.meter.sample().arms
    assert world.get("/", {PREVIEW_HEADER: "1"})[1]["release"] == str(one)
    router.disconnect(two)
    assert router.read() == Routes({one: 100}, fallback=one)
