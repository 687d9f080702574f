"""Journals on disk: durable, segmented, and sound after a crash at any byte."""

import errno
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backendctl.errors import BackendctlError
from backendctl.journal.segments import SEGMENT_LIMIT, Journal

SMALL = 700
"""A segment limit at which a handful of records makes several segments."""


def filled(folder: Path, count: int, limit: int = SMALL) -> Journal:
    journal = Journal(folder, limit)
    for n in range(count):
        journal.append({"n": n, "pad": "x" * (n % 7) * 10})
    return journal


def numbers(journal: Journal) -> list[int]:
    return [record["n"] for record in journal.read().records]


def test_records_come_back_in_order_across_segments(tmp_path: Path) -> None:
    journal = filled(tmp_path / "j", 20)
    assert numbers(journal) == list(range(20))
    sizes = [path.stat().st_size for path in (tmp_path / "j").iterdir()]
    assert len(sizes) > 3
    assert max(sizes) < SMALL


def test_segments_stay_under_the_limit_of_the_strictest_store(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    for _ in range(5):
        journal.append({"pad": "x" * 100_000})
    sizes = [path.stat().st_size for path in (tmp_path / "j").iterdir()]
    assert max(sizes) < SEGMENT_LIMIT == 256 * 1024
    assert len(sizes) == 3


def test_a_record_as_large_as_a_segment_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    journal = filled(tmp_path / "j", 2)
    with pytest.raises(ValueError, match="too large"):
        journal.append({"n": 2, "pad": "x" * SMALL})
    assert numbers(journal) == [0, 1]


def test_an_empty_journal_reads_as_nothing(tmp_path: Path) -> None:
    assert Journal(tmp_path / "none").read().records == ()


@settings(max_examples=60)
@given(count=st.integers(1, 12), data=st.data())
def test_after_a_crash_at_any_byte_appending_goes_on(count: int, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        journal = filled(Path(folder) / "j", count)
        last = max((Path(folder) / "j").iterdir())
        keep = data.draw(st.integers(0, last.stat().st_size))
        os.truncate(last, keep)
        survived = numbers(journal)
        assert survived == list(range(len(survived)))
        assert len(survived) >= count - 6
        assert bool(journal.read().torn) == (not last.read_bytes().endswith(b"\n") and keep > 0)
        journal.append({"n": len(survived)})
        assert numbers(journal) == list(range(len(survived) + 1))
        assert journal.read().torn == 0


def test_a_missing_segment_is_refused(tmp_path: Path) -> None:
    journal = filled(tmp_path / "j", 20)
    sorted((tmp_path / "j").iterdir())[1].unlink()
    with pytest.raises(BackendctlError) as caught:
        journal.read()
    assert caught.value.code == "journal.corrupt"
    assert "000003.jsonl, line 1" in caught.value.message


def test_a_record_torn_before_the_last_segment_is_refused(tmp_path: Path) -> None:
    journal = filled(tmp_path / "j", 20)
    first = min((tmp_path / "j").iterdir())
    os.truncate(first, first.stat().st_size - 1)
    with pytest.raises(BackendctlError) as caught:
        journal.read()
    assert caught.value.code == "journal.corrupt"


def test_nothing_is_added_to_a_damaged_segment(tmp_path: Path) -> None:
    journal = filled(tmp_path / "j", 2)
    path = tmp_path / "j" / "000001.jsonl"
    damaged = path.read_bytes().replace(b'"n":0', b'"n":9')
    path.write_bytes(damaged)
    with pytest.raises(BackendctlError):
        journal.append({"n": 2})
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("failing", ["write", "fsync"])
@pytest.mark.parametrize("existing", [0, 2])
def test_a_full_disk_leaves_the_journal_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, existing: int
) -> None:
    journal = filled(tmp_path / "j", existing)
    real = os.pwrite

    def half(handle: int, data: memoryview, offset: int) -> int:
        if len(data) < 40:
            raise OSError(errno.ENOSPC, "no space")
        return real(handle, data[: len(data) // 2], offset)

    def refuse(handle: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", half) if failing == "write" else patch.setattr(
            os, "fsync", refuse
        )
        with pytest.raises(OSError, match="no space"):
            journal.append({"n": existing})
    assert numbers(journal) == list(range(existing))
    assert journal.read().torn == 0
    journal.append({"n": existing})
    assert numbers(journal) == list(range(existing + 1))


def test_a_new_segment_is_synced_with_the_folders_that_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    real = os.fsync

    def record(handle: int) -> None:
        link = Path(f"/proc/self/fd/{handle}")
        synced.append(str(link.readlink()) if link.exists() else "")
        real(handle)

    monkeypatch.setattr(os, "fsync", record)
    journal = Journal(tmp_path / "a" / "j")
    journal.append({"n": 1})
    assert len(synced) == 4
    if synced[0]:
        assert synced == [
            str(tmp_path),
            str(tmp_path / "a"),
            str(tmp_path / "a" / "j" / "000001.jsonl"),
            str(tmp_path / "a" / "j"),
        ]
    journal.append({"n": 2})
    assert len(synced) == 5


def test_a_journal_can_be_read_by_nobody_else(tmp_path: Path) -> None:
    filled(tmp_path / "j", 1)
    assert (tmp_path / "j").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "j" / "000001.jsonl").stat().st_mode & 0o777 == 0o600
