"""The order of changes to a route, and what is said when one is not served."""

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Routes
from backendctl.platforms.kubernetes.router import UNSEEN_DRAIN, KubernetesRouter

from .gateways import NAMING, SHARED, Stand, gateway, gateway_class


@pytest.fixture
def stand() -> Stand:
    found = Stand()
    found.router.connect(1, 5)
    found.router.apply(Routes({1: 100}))
    return found


def test_a_connected_release_gets_nothing_until_it_has_weight(stand: Stand) -> None:
    stand.router.connect(2, 5)
    assert stand.router.read() == Routes({1: 100})
    assert [each["weight"] for each in stand.api.route["spec"]["rules"][1]["backendRefs"]] == [
        0,
        100,
    ]
    stand.router.apply(Routes({1: 90, 2: 10}, preview=2, fallback=1))
    assert stand.router.read() == Routes({1: 90, 2: 10}, preview=2, fallback=1)


def test_a_release_whose_pods_no_proxy_knows_is_refused_at_the_deadline(stand: Stand) -> None:
    stand.replicas.numbers[2] = {"membership_healthy": 0}
    with pytest.raises(BackendctlError, match="does not find release 2 healthy") as raised:
        stand.router.connect(2, 5)
    assert raised.value.code == "platform.gateway"
    assert "2 of 2 proxies" in raised.value.cause
    assert stand.router.read() == Routes({1: 100})


def test_a_release_without_a_ready_pod_is_refused_before_the_route_names_it(stand: Stand) -> None:
    stand.release(3, pods=0)
    with pytest.raises(BackendctlError, match="not find release 3"):
        stand.router.connect(3, 5)
    assert "shop-r3" not in str(stand.api.route["spec"])


def test_the_fence_is_asked_before_the_write_and_stops_it(stand: Stand) -> None:
    stand.router.connect(2, 5)
    before = stand.api.route["metadata"]["resourceVersion"]

    def fenced() -> None:
        raise BackendctlError("rollout.fenced", "another run has taken over")

    with pytest.raises(BackendctlError, match="taken over"):
        stand.router.apply(Routes({1: 0, 2: 100}), fenced)
    assert stand.api.route["metadata"]["resourceVersion"] == before


def test_of_two_writers_the_stale_one_asks_its_fence_again_and_is_stopped(stand: Stand) -> None:
    stand.router.connect(2, 5)
    asked: list[int] = []

    def overtaken() -> None:
        asked.append(len(asked))
        if len(asked) == 1:  # between its fence and its write the other run writes
            stand.another().apply(Routes({1: 50, 2: 50}))
        else:
            raise BackendctlError("rollout.fenced", "another run has taken over")

    with pytest.raises(BackendctlError, match="taken over"):
        stand.router.apply(Routes({1: 0, 2: 100}), overtaken)
    assert asked == [0, 1]
    assert stand.router.read() == Routes({1: 50, 2: 50})


def test_a_writer_that_was_replaced_is_stopped_even_if_the_other_run_had_nothing_to_change(
    stand: Stand,
) -> None:
    """The watchdog restores stable before the first weight was moved; the driver then wakes up
    between its fence and its write."""
    stand.router.connect(2, 5)
    asked: list[int] = []

    def overtaken() -> None:
        asked.append(len(asked))
        if len(asked) == 1:
            stand.another().apply(Routes({1: 100}))
        else:
            raise BackendctlError("rollout.fenced", "another run has taken over")

    with pytest.raises(BackendctlError, match="taken over"):
        stand.router.apply(Routes({1: 90, 2: 10}), overtaken)
    assert stand.router.read() == Routes({1: 100})


def test_a_writer_that_was_replaced_does_not_make_a_route_anew_that_was_taken_away_since(
    stand: Stand,
) -> None:
    stand.router.connect(2, 5)
    asked: list[int] = []

    def overtaken() -> None:
        asked.append(len(asked))
        if len(asked) == 1:  # the other run takes everything down
            del stand.api.objects["HTTPRoute", NAMING.namespace, NAMING.route]
        else:
            raise BackendctlError("rollout.fenced", "another run has taken over")

    with pytest.raises(BackendctlError, match="taken over"):
        stand.router.apply(Routes({1: 0, 2: 100}), overtaken)
    assert ("HTTPRoute", NAMING.namespace, NAMING.route) not in stand.api.objects


def test_what_is_not_served_is_not_put_back_by_a_run_that_was_replaced_meanwhile(
    stand: Stand,
) -> None:
    stand.router.connect(2, 5)
    stand.replicas.lagging["envoy-b"] = "older"
    asked: list[int] = []

    def overtaken() -> None:
        asked.append(len(asked))
        if len(asked) == 2:
            raise BackendctlError("rollout.fenced", "another run has taken over")

    with pytest.raises(BackendctlError, match="taken over"):
        stand.router.apply(Routes({1: 0, 2: 100}), overtaken)
    stand.replicas.lagging.clear()
    assert stand.router.read() == Routes({1: 0, 2: 100})


def test_a_controller_that_writes_status_meanwhile_is_no_rival(stand: Stand) -> None:
    stand.router.connect(2, 5)
    asked: list[int] = []

    def busy_controller() -> None:
        asked.append(1)
        if len(asked) < 3:
            route = stand.api.route
            stand.api.put("HTTPRoute", {**route, "status": {"parents": []}})

    stand.router.apply(Routes({1: 0, 2: 100}), busy_controller)
    assert len(asked) == 3
    assert stand.router.read() == Routes({1: 0, 2: 100})


def test_a_shift_counts_only_once_every_proxy_serves_it(stand: Stand) -> None:
    stand.router.connect(2, 5)
    stand.replicas.lagging["envoy-b"] = "older"
    began = stand.clock.at

    def catch_up() -> None:
        if stand.clock.at > began + 3:
            stand.replicas.lagging.clear()

    stand.clock.on_wait = catch_up
    stand.router.apply(Routes({1: 0, 2: 100}))
    assert 3 <= stand.clock.at - began < 4


def test_a_proxy_that_never_serves_it_is_named_and_the_former_weights_are_put_back(
    stand: Stand,
) -> None:
    stand.router.connect(2, 5)
    stand.replicas.lagging["envoy-b"] = "older"
    with pytest.raises(BackendctlError) as raised:
        stand.router.apply(Routes({1: 0, 2: 100}))
    assert raised.value.code == "platform.gateway"
    assert "envoy-b" in raised.value.cause
    assert raised.value.state == "the former routes were put back"
    stand.replicas.lagging.clear()
    assert stand.router.read() == Routes({1: 100})


def test_the_route_is_asked_for_where_it_is_let_in_and_not_at_the_first_port(
    stand: Stand,
) -> None:
    manifest = gateway()
    manifest["spec"]["listeners"] = [
        {"name": "redirect", "port": 80, "protocol": "HTTP"},
        {"name": "inside", "port": 8080, "protocol": "HTTP", "hostname": "*.example.internal"},
        {"name": "users", "port": 443, "protocol": "HTTPS", "hostname": "*.example.com"},
    ]
    stand.api.put("Gateway", manifest)
    stand.replicas.closed = {"redirect", "inside"}
    router = KubernetesRouter(
        stand.cluster,
        NAMING,
        stand.gateway,
        host="shop.example.com",
        clock=stand.clock,
        replicas=stand.replicas,
    )
    router.connect(2, 5)
    router.apply(Routes({1: 0, 2: 100}))
    stand.replicas.lagging["envoy-b"] = "older"
    with pytest.raises(BackendctlError, match="does not serve the route"):
        router.apply(Routes({1: 100, 2: 0}))


def test_what_is_written_and_not_served_is_not_read_as_served(stand: Stand) -> None:
    stand.replicas.lagging["envoy-a"] = "older"
    with pytest.raises(BackendctlError, match="does not serve the route") as raised:
        stand.router.read()
    assert "put back" not in raised.value.state


def test_a_proxy_that_falters_once_is_asked_again(stand: Stand) -> None:
    stand.router.connect(2, 5)
    stand.router.apply(Routes({1: 0, 2: 100}))
    stand.replicas.unanswered = "a moment's silence"
    began = stand.clock.at
    stand.clock.on_wait = lambda: setattr(stand.replicas, "unanswered", "")
    assert stand.router.drain(1, 60.0) is True
    assert stand.clock.at - began < 1


def test_a_refusal_is_said_in_the_controller_s_words_at_once(stand: Stand) -> None:
    stand.router.connect(2, 5)
    good = stand.api.conditions
    stand.api.conditions = [
        {
            "type": "Accepted",
            "status": "False",
            "reason": "UnsupportedValue",
            "message": "no regex",
        },
        {"type": "ResolvedRefs", "status": "True"},
    ]
    began = stand.clock.at
    with pytest.raises(BackendctlError) as raised:
        stand.router.apply(Routes({1: 90, 2: 10}, preview=2))
    assert "UnsupportedValue: no regex" in raised.value.cause
    assert stand.clock.at - began < 1
    stand.api.conditions = good
    stand.api.put("HTTPRoute", stand.api.route)
    assert stand.api.route["spec"]["rules"][1]["backendRefs"][1]["weight"] == 100


def test_a_gateway_whose_controller_is_gone_is_said_within_seconds(stand: Stand) -> None:
    stand.router.connect(2, 5)
    stand.api.silent = True
    stand.api.put("Gateway", gateway(type="Accepted", status="Unknown", reason="Pending"))
    began = stand.clock.at
    with pytest.raises(BackendctlError) as raised:
        stand.router.apply(Routes({2: 100}))
    assert "no controller of class contour has taken it" in raised.value.cause
    assert stand.clock.at - began < 5


def test_a_gateway_that_is_not_there_is_said(stand: Stand) -> None:
    del stand.api.objects["Gateway", SHARED.namespace, SHARED.name]
    with pytest.raises(BackendctlError, match="no Gateway gateways/shared"):
        stand.router.apply(Routes({1: 100}))
    assert stand.router.read() is None


def test_weight_on_a_release_whose_service_is_gone_is_refused(stand: Stand) -> None:
    stand.router.connect(2, 5)
    del stand.api.objects["Service", NAMING.namespace, "shop-r2"]
    with pytest.raises(BackendctlError, match="release 2 has no Service"):
        stand.router.apply(Routes({1: 50, 2: 50}))
    assert stand.router.read() == Routes({1: 100})


def test_an_idle_release_whose_service_is_gone_does_not_stop_a_shift(stand: Stand) -> None:
    stand.router.connect(2, 5)
    stand.router.apply(Routes({1: 0, 2: 100}))
    del stand.api.objects["Service", NAMING.namespace, "shop-r1"]
    stand.api.conditions = [
        {"type": "Accepted", "status": "True"},
        {"type": "ResolvedRefs", "status": "False", "reason": "BackendNotFound", "message": "r1"},
    ]
    stand.router.apply(Routes({2: 100}))
    stand.api.conditions[1] = {"type": "ResolvedRefs", "status": "True"}
    stand.router.disconnect(1)
    assert "shop-r1" not in str(stand.api.route["spec"])


def test_drain_waits_for_what_is_in_flight_and_gives_up_at_its_deadline(stand: Stand) -> None:
    stand.router.connect(2, 5)
    stand.router.apply(Routes({1: 0, 2: 100}))
    stand.replicas.numbers[1] = {"upstream_rq_active": 1}
    assert stand.router.drain(1, 2.0) is False
    began = stand.clock.at

    def ends() -> None:
        if stand.clock.at > began + 1:
            stand.replicas.numbers[1] = {"upstream_rq_active": 0}

    stand.clock.on_wait = ends
    assert stand.router.drain(1, 10.0) is True
    assert 1 < stand.clock.at - began < 2


def test_where_nothing_can_be_seen_a_drain_waits_its_time(stand: Stand) -> None:
    stand.router.connect(2, 5)
    stand.router.apply(Routes({1: 0, 2: 100}))
    stand.replicas.unanswered = "no route to the proxies"
    began = stand.clock.at
    assert stand.router.drain(1, 60.0) is True
    assert UNSEEN_DRAIN <= stand.clock.at - began < UNSEEN_DRAIN + 1


def test_a_release_with_weight_is_neither_drained_nor_disconnected(stand: Stand) -> None:
    with pytest.raises(ValueError, match="has weight 100"):
        stand.router.drain(1, 1)
    with pytest.raises(ValueError, match="has weight 100"):
        stand.router.disconnect(1)


def test_a_release_that_was_never_connected_cannot_be_served(stand: Stand) -> None:
    with pytest.raises(ValueError, match="not connected"):
        stand.router.apply(Routes({1: 50, 3: 50}))


@pytest.mark.parametrize("candidate_came", [False, True])
def test_stable_is_restored_although_somebody_deleted_the_route(
    stand: Stand, candidate_came: bool
) -> None:
    del stand.api.objects["HTTPRoute", NAMING.namespace, NAMING.route]
    if candidate_came:
        stand.router.connect(2, 5)
    stand.router.apply(Routes({1: 100, 2: 0}))
    assert stand.router.read() == Routes({1: 100, 2: 0})


def test_a_lost_release_without_a_ready_pod_gets_no_requests(stand: Stand) -> None:
    del stand.api.objects["HTTPRoute", NAMING.namespace, NAMING.route]
    stand.release(1, pods=0)
    with pytest.raises(BackendctlError, match="does not find release 1 healthy"):
        stand.router.apply(Routes({1: 100}))
    assert stand.router.read() is None


def test_a_disconnected_release_is_forgotten_in_every_role(stand: Stand) -> None:
    stand.router.connect(2, 5)
    stand.router.apply(Routes({1: 100, 2: 0}, preview=2, fallback=1))
    stand.router.disconnect(2)
    assert stand.router.read() == Routes({1: 100}, fallback=1)
    stand.router.disconnect(2)


def test_the_route_goes_with_the_last_release(stand: Stand) -> None:
    stand.router.apply(Routes({}))
    assert stand.router.read() is None
    stand.router.disconnect(1)
    assert ("HTTPRoute", NAMING.namespace, NAMING.route) not in stand.api.objects


def test_what_a_person_edited_is_put_right_by_the_next_apply(stand: Stand) -> None:
    route = stand.api.route
    route["spec"]["rules"][1]["backendRefs"][0]["filters"] = []
    stand.api.put("HTTPRoute", route)
    stand.router.apply(Routes({1: 100}))
    assert stand.api.route["spec"]["rules"][1]["backendRefs"][0]["filters"] != []


def test_the_address_is_the_gateway_s_own_unless_the_spec_says_otherwise(stand: Stand) -> None:
    assert stand.router.url == "http://10.9.8.7"


def test_a_gateway_of_another_kind_serves_but_is_not_counted(stand: Stand) -> None:
    stand.api.put("GatewayClass", gateway_class("example.com/other"))
    stand.router.connect(2, 5)
    stand.router.apply(Routes({1: 0, 2: 100}))
    assert stand.router.read() == Routes({1: 0, 2: 100})
