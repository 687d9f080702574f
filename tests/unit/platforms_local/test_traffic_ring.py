"""The record of the last day: bounded, and whole after whatever cut its writing short."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Latencies, Span
from backendctl.platforms.local import traffic_ring
from backendctl.platforms.local.traffic_ring import TrafficRing

EDGES = (10.0, 300.0, 1000.0)


def span(place: int, *counts: int, edges: tuple[float, ...] = EDGES) -> Span:
    """The place-th ten seconds; counts in the buckets, those above the last edge at the end."""
    buckets = counts or (place, 0, 0, 0)
    at_most = tuple(sum(buckets[: i + 1]) for i in range(len(edges)))
    latencies = Latencies(edges, at_most, sum(buckets))
    return Span(3, 10.0 * place, 10.0 * place + 10.0, sum(buckets), buckets[0] // 2, latencies)


buckets = st.lists(st.integers(0, 10_000), min_size=4, max_size=4)


@given(st.lists(buckets, max_size=20))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, all_: list[list[int]]):
    ring = TrafficRing(tmp_path_factory.mktemp("ring"), EDGES)
    spans = [span(place, *counts) for place, counts in enumerate(all_)]
    for each in spans:
        ring.append([each])
    assert list(ring.since(0.0)) == spans
    assert list(ring.since(55.0)) == [each for each in spans if each.start >= 55.0]


def test_what_was_no_users_traffic_is_left_out_and_stays_so(tmp_path: Path) -> None:
    ring = TrafficRing(tmp_path, EDGES)
    ring.append([span(place) for place in range(10)])
    ring.leave_out(25.0, 41.0)
    ring.leave_out(70.0, 80.0)
    kept = [each.start for each in TrafficRing(tmp_path, EDGES).since(0.0)]
    assert kept == [0.0, 10.0, 50.0, 60.0, 80.0, 90.0]


def test_nothing_recorded_is_an_empty_history(tmp_path: Path) -> None:
    assert TrafficRing(tmp_path / "never", EDGES).since(0.0) == []


def test_it_stays_bounded_and_keeps_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic_ring, "SEGMENT_LINES", 10)
    monkeypatch.setattr(traffic_ring, "SEGMENTS", 4)
    ring = TrafficRing(tmp_path, EDGES)
    for place in range(1000):
        ring.append([span(place)])
        if place % 37 == 0:
            ring = TrafficRing(tmp_path, EDGES)  # the watchdog was started anew
    kept = [each.start for each in ring.since(0.0)]
    assert len(list(tmp_path.iterdir())) <= 4
    assert 30 <= len(kept) <= 40
    assert kept == [10.0 * place for place in range(1000 - len(kept), 1000)]


def test_a_day_of_two_releases_fits(tmp_path: Path) -> None:
    per_day = 2 * 24 * 360
    assert per_day <= traffic_ring.SEGMENT_LINES * (traffic_ring.SEGMENTS - 1)
    ring = TrafficRing(tmp_path, EDGES)
    ring.append([span(place) for place in range(100)])
    (only,) = tmp_path.iterdir()
    size = only.stat().st_size / 100 * traffic_ring.SEGMENT_LINES * traffic_ring.SEGMENTS
    assert size < 6e6
    assert only.stat().st_mode & 0o777 == 0o600


@given(st.data())
def test_a_line_cut_short_loses_no_other(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("ring")
    TrafficRing(folder, EDGES).append([span(1), span(2)])
    (only,) = folder.iterdir()
    whole = only.read_bytes()
    second = whole.index(b"\n") + 1
    only.write_bytes(whole[: data.draw(st.integers(second, len(whole) - 2))])
    TrafficRing(folder, EDGES).append([span(3)])
    assert list(TrafficRing(folder, EDGES).since(0.0)) == [span(1), span(3)]


@given(st.binary(max_size=200))
def test_rubbish_is_passed_over(tmp_path_factory: pytest.TempPathFactory, rubbish: bytes) -> None:
    folder = tmp_path_factory.mktemp("ring")
    TrafficRing(folder, EDGES).append([span(1)])
    (only,) = folder.iterdir()
    only.write_bytes(only.read_bytes() + rubbish + b"\n")
    TrafficRing(folder, EDGES).append([span(2)])
    assert list(TrafficRing(folder, EDGES).since(0.0)) == [span(1), span(2)]


def test_spans_at_other_thresholds_are_left_out(tmp_path: Path) -> None:
    other = (10.0, 250.0, 1000.0)
    TrafficRing(tmp_path, EDGES).append([span(1)])
    TrafficRing(tmp_path, other).append([span(2, 5, 0, 0, 0, edges=other)])
    assert [each.start for each in TrafficRing(tmp_path, EDGES).since(0.0)] == [10.0]
    assert [each.start for each in TrafficRing(tmp_path, other).since(0.0)] == [20.0]


def test_a_folder_that_takes_nothing_is_an_error_to_act_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ring = TrafficRing(tmp_path / "file" / "traffic", EDGES)
    with pytest.raises((BackendctlError, OSError)):
        ring.append([span(1)])
