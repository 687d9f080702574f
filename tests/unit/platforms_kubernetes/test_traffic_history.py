"""The last day's traffic in ConfigMaps: whole, bounded, at one set of edges."""

import json

import pytest

from backendctl.platforms.base import Latencies, Span
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.traffic_history import HOUR, SEGMENTS, TrafficHistory
from tests.fakes.kubernetes_api import FakeApi

from .gateways import NAMING

BEGAN = 500_000 * HOUR
EDGES = (100.0, 1000.0)


def span(start: float, number: int = 1, edges: tuple[float, ...] = EDGES) -> Span:
    times = Latencies(edges, tuple(range(1, len(edges) + 1)), 5)
    return Span(number, start, start + 10, 6, 1, times)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def history(api: FakeApi) -> TrafficHistory:
    """As another process sees it."""
    return TrafficHistory(Cluster(NAMING.namespace, connection=api), NAMING)


def test_what_was_recorded_is_read_by_others_oldest_first(api: FakeApi) -> None:
    writer = history(api)
    writer.append([span(BEGAN + 10), span(BEGAN + 10, 2)])
    writer.append([span(BEGAN + 20)])
    found = history(api).since(BEGAN)
    assert list(found) == [span(BEGAN + 10), span(BEGAN + 10, 2), span(BEGAN + 20)]
    assert list(history(api).since(BEGAN + 15)) == [span(BEGAN + 20)]


def test_a_recorder_that_was_started_anew_goes_on(api: FakeApi) -> None:
    history(api).append([span(BEGAN + 10)])
    history(api).append([span(BEGAN + 20)])
    assert len(history(api).since(BEGAN)) == 2


def test_two_recorders_lose_nothing(api: FakeApi) -> None:
    one, two = history(api), history(api)
    for index in range(4):
        one.append([span(BEGAN + 20 * index)])
        two.append([span(BEGAN + 20 * index + 10)])
    assert len(history(api).since(BEGAN)) == 8


def test_the_objects_are_few_and_small_and_the_oldest_hour_gives_way(api: FakeApi) -> None:
    writer = history(api)
    for hour in range(SEGMENTS + 3):
        writer.append(
            span(BEGAN + hour * HOUR + 10 * i, number) for i in range(360) for number in (1, 2)
        )
    kept = [each for (kind, _, _), each in api.objects.items() if kind == "ConfigMap"]
    assert len(kept) == SEGMENTS
    assert max(len(json.dumps(each)) for each in kept) < 60_000
    found = history(api).since(0)
    assert len(found) == SEGMENTS * 720
    assert found[0].start == BEGAN + 3 * HOUR


def test_spans_at_other_edges_than_the_newest_are_left_out(api: FakeApi) -> None:
    writer = history(api)
    writer.append([span(BEGAN, edges=(50.0,))])
    writer.append([span(BEGAN + HOUR)])
    writer.append([span(BEGAN + HOUR + 10, edges=(70.0, 90.0))])
    assert list(history(api).since(0)) == [span(BEGAN + HOUR + 10, edges=(70.0, 90.0))]


def test_a_load_test_is_no_users_traffic(api: FakeApi) -> None:
    writer = history(api)
    writer.append(span(BEGAN + 10 * i) for i in range(6))
    history(api).leave_out(BEGAN + 15, BEGAN + 25)
    history(api).leave_out(BEGAN + 51, BEGAN + 52)
    assert [each.start - BEGAN for each in history(api).since(0)] == [0, 30, 40]


def test_nothing_recorded_is_nothing(api: FakeApi) -> None:
    assert list(history(api).since(0)) == []


def test_an_object_that_somebody_broke_is_passed_over(api: FakeApi) -> None:
    writer = history(api)
    writer.append([span(BEGAN)])
    writer.append([span(BEGAN + HOUR)])
    broken = api.objects["ConfigMap", NAMING.namespace, f"shop-traffic-{500_000 % SEGMENTS:02d}"]
    broken["binaryData"] = {"spans": "bm90IHpsaWI="}
    assert list(history(api).since(0)) == [span(BEGAN + HOUR)]
