"""The gateway's log of requests: names of endpoints, lines, sums, rotation."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.platforms.endpoints import MOST_ENDPOINTS, MOST_SEGMENTS, OTHER, endpoint
from backendctl.platforms.local.breakdown import Tally
from backendctl.platforms.local.loglines import Tail
from backendctl.platforms.local.request_log import Entry, Outcome, parse
from backendctl.platforms.local.supervision import REQUESTS_KEPT, rotate, rotate_requests

KEY = b"k" * 32
AT = 1_700_000_000.5


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "GET /"),
        ("/orders", "GET /orders"),
        ("/orders/17", "GET /orders/{id}"),
        ("/orders/17/", "GET /orders/{id}/"),
        ("/orders/17?token=geheim", "GET /orders/{id}"),
        (
            "/api/v2/order-items/3f2b6c1e-9d40-4a7e-8f55-0a3d3a9f1b22",
            "GET /api/v2/order-items/{id}",
        ),
        ("/blobs/deadbeefcafe", "GET /blobs/{id}"),
        ("/reset/k9QmZ2-xT4_bL7wPq0aVs8", "GET /reset/{id}"),
        ("/reset/abcdefghijklmnopqrstuvwxyz", "GET /reset/{id}"),
        ("/oauth2/token", "GET /oauth2/token"),
        ("/listOrders", "GET /listOrders"),
        ("/static/app.js", "GET /static/app.js"),
        ("/a/b/c/d/e/f/g/h/i/j", "GET /a/b/c/d/e/f/g/h/..."),
        ("*", "GET /"),
    ],
)
def test_paths_of_one_handler_have_one_name(path: str, name: str) -> None:
    assert endpoint("GET", path) == name


@given(st.uuids() | st.integers(0) | st.binary(min_size=4, max_size=40).map(bytes.hex))
def test_what_identifies_is_never_in_a_name(identifier: object) -> None:
    text = str(identifier)
    if text.isalpha() and len(text) < 8:  # eight letters or fewer may be a word
        return
    assert endpoint("GET", f"/orders/{text}/lines") == "GET /orders/{id}/lines"


@given(st.text(max_size=300), st.text(max_size=20))
def test_a_name_is_short_printable_and_without_a_query(path: str, method: str) -> None:
    name = endpoint(method, path)
    assert len(name) < 16 + 25 * (MOST_SEGMENTS + 1)
    assert name.isascii()
    assert name.isprintable()
    assert "?" not in name.partition(" ")[2]


def line(arm: str = "rel-2", **more: object) -> bytes:
    fields = {
        "at": str(AT),
        "arm": arm,
        "by": 2,
        "method": "GET",
        "path": "/orders/17",
        "status": 200,
        "flags": "-",
        "ms": 12,
        "client": "127.0.0.1",
    }
    return json.dumps({**fields, **more}).encode()


def entry(**more: object) -> Entry:
    found = parse(line(**more), KEY)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("seen", "outcome", "problem"),
    [
        ({}, Outcome.ANSWERED, ""),
        ({"status": 404}, Outcome.ANSWERED, ""),
        ({"status": 500}, Outcome.FAILED, ""),
        ({"status": 503, "flags": "UF,URX"}, Outcome.FAILED, "the release could not be reached"),
        ({"flags": "UC"}, Outcome.FAILED, "the release ended the connection"),
        ({"status": 0, "flags": "DC"}, Outcome.ANSWERED, ""),
        ({"status": 503, "flags": "UH", "by": None}, Outcome.FAILED, "no healthy process"),
        (
            {"arm": "rel-2-fb-1", "by": 1.0},
            Outcome.MASKED,
            "release 2 failed it, release 1 answered",
        ),
    ],
)
def test_a_line_says_what_became_of_the_request(
    seen: dict[str, object], outcome: Outcome, problem: str
) -> None:
    found = entry(**seen)
    assert (found.number, found.outcome, found.problem) == (2, outcome, problem)
    assert found.at == AT


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        b'"at"',
        b"[]",
        line("rel-2-preview"),
        line("elsewhere"),
        line()[:-9],
        line(status="much"),
        line(arm=None),  # type: ignore[arg-type]
    ],
)
def test_lines_that_are_torn_or_no_users_request_are_passed_over(damaged: bytes) -> None:
    assert parse(damaged, KEY) is None


def test_a_client_is_told_apart_but_not_named() -> None:
    one, same, other = entry(), entry(path="/x"), entry(client="127.0.0.2")
    assert one.client == same.client != other.client
    assert "127" not in one.client
    rekeyed = parse(line(), b"z" * 32)
    assert rekeyed is not None
    assert rekeyed.client != one.client


def test_failures_slow_requests_and_clients_are_added_up_by_release() -> None:
    tally = Tally(slow_ms=300.0)
    tally.add(
        [
            entry(status=500),
            entry(status=500, client="127.0.0.2"),
            entry(arm="rel-2-fb-1", by=1),
            entry(ms=301),
            entry(ms=300),
            entry(arm="rel-1", by=1),
        ]
    )
    found = tally.of((1, 2, 3))
    a, b = entry().client, entry(client="127.0.0.2").client
    assert found[2].errors == {"GET /orders/{id}": 3}
    assert found[2].slow == {"GET /orders/{id}": 1}
    assert found[2].clients == {a: {"GET /orders/{id}": 2}, b: {"GET /orders/{id}": 1}}
    assert found[2].seen == {a: 4, b: 1}
    assert (found[1].errors, found[1].seen) == ({}, {a: 1})
    assert found[3].errors == {}


def test_endpoints_beyond_the_last_are_counted_together_and_alike_for_all_releases() -> None:
    tally = Tally(slow_ms=300.0)
    names = [f"/{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(MOST_ENDPOINTS + 5)]
    tally.add(entry(path=name, status=500) for name in names)
    tally.add([entry(path=names[-1], status=500, arm="rel-1", by=1)])
    found = tally.of((1, 2))
    assert len(found[2].errors) == MOST_ENDPOINTS + 1
    assert found[2].errors[OTHER] == 5
    assert found[1].errors == {OTHER: 1}


chunks = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=9).map(lambda b: b.replace(b"\n", b"x")),
        st.sampled_from([b"\n", b"rotate", b"read"]),
    ),
    max_size=40,
)


@given(chunks)
def test_every_whole_line_is_read_once_whenever_the_log_is_read_or_rotated(
    tmp_path_factory: pytest.TempPathFactory, doings: list[bytes]
) -> None:
    log = tmp_path_factory.mktemp("log") / "requests.log"
    log.write_bytes(b"")
    tail, written, seen, number = Tail(log), b"", [], 0
    rotated_unread = False
    for doing in doings:
        if doing == b"read":
            seen += tail.new_lines()
            rotated_unread = False
        elif doing == b"rotate":
            if not rotated_unread:  # two rotations between reads do lose what was in the first
                rotated_unread = rotate(log, limit=0, kept=1)
        else:
            number += 1
            text = b"%d:" % number + doing
            with log.open("ab") as file:
                file.write(text)
            written += text
    seen += tail.new_lines()
    assert seen == written.split(b"\n")[:-1]


def test_a_log_that_has_grown_past_the_old_place_since_its_rotation_is_noticed(
    tmp_path: Path,
) -> None:
    log = tmp_path / "requests.log"
    log.write_bytes(b"one\n")
    tail = Tail(log)
    with log.open("ab") as file:
        file.write(b"two\n")
    rotate(log, limit=0, kept=1)
    log.write_bytes(b"three and longer than before\n")
    assert tail.new_lines() == [b"two", b"three and longer than before"]


def test_a_look_between_the_cut_and_the_copy_reads_nothing_twice(tmp_path: Path) -> None:
    log = tmp_path / "requests.log"
    log.write_bytes(b"one\n")
    tail = Tail(log)
    log.with_name("requests.log.new").write_bytes(b"one\ntwo\n")
    log.write_bytes(b"")
    assert tail.new_lines() == []
    log.with_name("requests.log.new").replace(log.with_name("requests.log.1"))
    log.write_bytes(b"three\n")
    assert tail.new_lines() == [b"two", b"three"]


def test_old_lines_do_not_stay_for_ever(tmp_path: Path) -> None:
    log = tmp_path / "requests.log"
    log.write_bytes(line() + b"\n")
    rotate_requests(log, lambda: AT + REQUESTS_KEPT - 1)
    assert log.stat().st_size > 0
    rotate_requests(log, lambda: AT + REQUESTS_KEPT + 1)
    assert log.stat().st_size == 0
    former = log.with_name("requests.log.1")
    assert former.stat().st_mode & 0o777 == 0o600
    os.utime(former, (AT, AT))
    rotate_requests(log, lambda: AT + REQUESTS_KEPT + 1)
    assert not former.exists()


def test_counts_do_not_depend_on_how_the_lines_come() -> None:
    entries = [entry(path=p, status=s) for p in ("/a", "/b", "/a") for s in (500, 200)]
    at_once, by_one = Tally(300.0), Tally(300.0)
    at_once.add(entries)
    for each in entries:
        by_one.add([each])
    assert at_once.of((2,)) == by_one.of((2,))
    assert Counter(at_once.of((2,))[2].errors) == Counter({"GET /a": 2, "GET /b": 1})
