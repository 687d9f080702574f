"""Records as bytes: what was written is what is read, or it is said that it is not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.errors import BackendctlError
from backendctl.journal import records
from backendctl.journal.records import START, Link, decode, encode

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
RECORD = st.dictionaries(st.text(max_size=8), JSON, max_size=4)
RECORDS = st.lists(RECORD, max_size=6)


def written(many: list[dict[str, object]], previous: Link = START) -> bytes:
    data = b""
    for record in many:
        data += encode(record, decode(data, previous).last if data else previous)
    return data


@given(RECORDS)
def test_what_was_written_is_read(many: list[dict[str, object]]) -> None:
    found = decode(written(many))
    assert list(found.records) == many
    assert found.last.sequence == len(many)
    assert found.torn == 0


@given(RECORDS, st.data())
def test_any_prefix_of_the_bytes_is_a_prefix_of_the_records(
    many: list[dict[str, object]], data: st.DataObject
) -> None:
    whole = written(many)
    cut = data.draw(st.integers(0, len(whole)))
    found = decode(whole[:cut])
    assert list(found.records) == many[: len(found.records)]
    assert len(found.records) == whole[:cut].count(b"\n")
    assert found.whole + found.torn == cut


@given(st.lists(RECORD, min_size=1, max_size=4), st.data())
def test_any_changed_byte_is_detected(many: list[dict[str, object]], data: st.DataObject) -> None:
    whole = bytearray(written(many))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BackendctlError) as caught:
        decode(bytes(whole))
    assert caught.value.code == "journal.corrupt"
    assert caught.value.data["line"] == bytes(whole[:at]).count(b"\n") + 1


def test_every_single_bit_of_a_journal_is_guarded() -> None:
    whole = written([{"a": 1}, {"b": "x"}])
    for at in range(len(whole)):
        for bit in range(8):
            broken = bytearray(whole)
            broken[at] ^= 1 << bit
            with pytest.raises(BackendctlError):
                decode(bytes(broken))


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_record_is_refused_with_the_line_it_is_missed_on(missing: int) -> None:
    lines = written([{"n": n} for n in range(4)]).splitlines(keepends=True)
    del lines[missing]
    with pytest.raises(BackendctlError, match=f"line {missing + 1}") as caught:
        decode(b"".join(lines), source="rollout 7")
    assert caught.value.code == "journal.corrupt"
    assert "rollout 7" in caught.value.message


def test_two_records_that_changed_places_are_refused() -> None:
    first, second, third = written([{"n": n} for n in range(3)]).splitlines(keepends=True)
    with pytest.raises(BackendctlError, match="line 2"):
        decode(first + third + second)


def test_a_record_of_another_journal_is_refused() -> None:
    mine = written([{"n": 1}])
    theirs = written([{"n": 2}, {"n": 3}]).splitlines(keepends=True)
    with pytest.raises(BackendctlError, match="line 2") as caught:
        decode(mine + theirs[1])
    assert caught.value.cause == "the record does not follow the one before it"


def test_another_version_is_told_from_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "VERSION", 2)
    data = written([{"n": 1}])
    monkeypatch.undo()
    with pytest.raises(BackendctlError, match="version 2") as caught:
        decode(data)
    assert caught.value.code == "journal.version"


def test_a_line_is_plain_json() -> None:
    line = json.loads(encode({"kind": "shift", "weights": {"1": 90, "2": 10}}, START))
    assert line["record"] == {"kind": "shift", "weights": {"1": 90, "2": 10}}
    assert line["sequence"] == 1


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), object()])
def test_what_json_cannot_say_is_refused(bad: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        encode({"value": bad}, START)


@given(st.lists(RECORD, min_size=1, max_size=5), st.data())
def test_lines_lost_repeated_or_moved_are_refused_unless_only_the_end_is_gone(
    many: list[dict[str, object]], data: st.DataObject
) -> None:
    lines = written(many).splitlines(keepends=True)
    picked = data.draw(st.lists(st.integers(0, len(lines) - 1), max_size=len(lines) + 2))
    left = b"".join(lines[place] for place in picked)
    if picked == list(range(len(picked))):
        assert list(decode(left).records) == many[: len(picked)]
        return
    with pytest.raises(BackendctlError) as caught:
        decode(left)
    assert caught.value.code == "journal.corrupt"
    first_wrong = next(at for at, place in enumerate(picked) if at != place)
    assert caught.value.data["line"] == first_wrong + 1


@given(st.binary(max_size=200), RECORDS)
def test_foreign_bytes_are_never_taken_for_a_record(
    noise: bytes, many: list[dict[str, object]]
) -> None:
    whole = written(many)
    if b"\n" in noise:
        with pytest.raises(BackendctlError, match=f"line {len(many) + 1}") as caught:
            decode(whole + noise)
        assert caught.value.code == "journal.corrupt"
        return
    found = decode(whole + noise)
    assert (list(found.records), found.torn) == (many, len(noise))
