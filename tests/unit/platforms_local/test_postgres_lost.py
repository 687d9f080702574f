"""A database whose files are gone is never replaced by an empty one without a word."""

from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.postgres import Postgres
from tests.local_platform.servers import foundation_of

PASSWORDS = b'{"postgres": "a", "app": "b"}'


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(tmp_path, "local").create()
    found.postgres.mkdir()
    return found


def had_database(layout: Layout) -> None:
    """As after the first `up`."""
    (layout.postgres / "data").mkdir()
    (layout.postgres / "credentials.json").write_bytes(PASSWORDS)
    layout.log("postgres").touch()


def refusal(layout: Layout) -> BackendctlError:
    """What `up` says; nothing was started or written by it."""
    before = sorted(layout.home.rglob("*"))
    with pytest.raises(BackendctlError) as raised:
        foundation_of(layout).ensure(lambda _line: None)
    assert sorted(layout.home.rglob("*")) == before
    assert raised.value.code == "missing.database"
    assert "backendctl down --purge" in " ".join(raised.value.next)
    assert "no new database" in raised.value.state
    return raised.value


def test_a_data_folder_that_is_gone_is_named_and_its_passwords_are_kept(layout: Layout) -> None:
    had_database(layout)
    (layout.postgres / "data").rmdir()
    assert str(layout.postgres / "data") in refusal(layout).message
    assert (layout.postgres / "credentials.json").read_bytes() == PASSWORDS


def test_passwords_that_are_gone_are_named(layout: Layout) -> None:
    had_database(layout)
    (layout.postgres / "credentials.json").unlink()
    assert "credentials.json" in refusal(layout).message


def test_a_whole_folder_that_is_gone_shows_by_the_servers_log(layout: Layout) -> None:
    layout.log("postgres").touch()
    layout.postgres.rmdir()
    assert str(layout.postgres) in refusal(layout).message


def test_a_database_that_is_there_or_was_never_made_is_no_loss(layout: Layout) -> None:
    Postgres(layout).refuse_if_lost()
    had_database(layout)
    Postgres(layout).refuse_if_lost()


def test_a_crash_before_the_new_folder_got_its_name_is_no_loss(layout: Layout) -> None:
    (layout.postgres / "credentials.json").write_bytes(PASSWORDS)
    (layout.postgres / "making-1" / "data").mkdir(parents=True)
    Postgres(layout).refuse_if_lost()


def test_a_creation_that_fails_at_its_last_step_leaves_no_passwords(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Postgres, "_fill", lambda *_: None)
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(BackendctlError, match="no space left"):
        Postgres(layout)._create()
    assert list(layout.postgres.iterdir()) == []
