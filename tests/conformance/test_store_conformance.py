"""What every platform's store keeps to: one writer, nothing lost, nothing invented."""

from collections.abc import Iterator

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Grant, PersonCommand, Platform, Store


@pytest.fixture
def store(platform: Platform) -> Store:
    return platform.store


@pytest.fixture
def grant(store: Store) -> Iterator[Grant]:
    found = store.acquire("ana@here", "deploy", lease=300, take_over=True)
    yield found
    store.release(found)


@pytest.fixture
def rollout(store: Store) -> str:
    return f"r{len(store.rollouts()) + 1}"


def test_a_held_environment_is_refused_to_others(store: Store, grant: Grant) -> None:
    with pytest.raises(BackendctlError) as caught:
        store.acquire("bob@there", "rollback", lease=30)
    assert caught.value.code == "rollout.locked"
    assert "ana@here" in caught.value.message
    holder = store.holder()
    assert holder is not None
    assert (holder.owner, holder.command, holder.epoch) == ("ana@here", "deploy", grant.epoch)


def test_the_epoch_rises_by_one_with_each_grant_and_with_nothing_else(
    store: Store, grant: Grant, rollout: str
) -> None:
    store.append(grant, rollout, {"n": 1})
    store.renew(grant, lease=300)
    assert store.epoch() == grant.epoch
    newer = store.acquire("bob@there", "recover", lease=30, take_over=True)
    assert store.epoch() == newer.epoch == grant.epoch + 1
    store.release(newer)
    assert store.epoch() == newer.epoch


def test_a_stale_writer_is_refused_and_writes_nothing(
    store: Store, grant: Grant, rollout: str
) -> None:
    store.append(grant, rollout, {"n": 1})
    newer = store.acquire("bob@there", "recover", lease=30, take_over=True)
    assert newer.epoch > grant.epoch
    with pytest.raises(BackendctlError) as caught:
        store.append(grant, rollout, {"n": 2})
    assert caught.value.code == "rollout.fenced"
    store.append(newer, rollout, {"n": 3})
    assert list(store.records(rollout)) == [{"n": 1}, {"n": 3}]
    store.release(newer)


def test_a_stale_release_of_the_lock_changes_nothing(store: Store, grant: Grant) -> None:
    newer = store.acquire("bob@there", "recover", lease=30, take_over=True)
    store.release(grant)
    holder = store.holder()
    assert holder is not None
    assert holder.epoch == newer.epoch
    store.release(newer)
    assert store.holder() is None


def test_what_was_appended_is_read_in_order_by_anybody(
    store: Store, grant: Grant, rollout: str
) -> None:
    many = [{"n": n, "nested": {"list": [1, 2.5, None, "x"]}} for n in range(30)]
    for record in many:
        store.append(grant, rollout, record)
    assert list(store.records(rollout)) == many
    assert store.rollouts()[-1] == rollout


def test_commands_reach_the_driver_without_a_grant(
    store: Store, grant: Grant, rollout: str
) -> None:
    store.append(grant, rollout, {})
    command = PersonCommand("pause", "bob@there", "looks slow", 12.5)
    store.post(rollout, command)
    assert list(store.posted(rollout)) == [command]


def test_an_unknown_rollout_has_no_records_and_no_commands(store: Store) -> None:
    with pytest.raises(BackendctlError) as caught:
        store.records("never")
    assert caught.value.code == "missing.rollout"
    assert list(store.posted("never")) == []


def test_examples_are_kept_beside_a_rollout_until_others_replace_them(
    store: Store, grant: Grant, rollout: str
) -> None:
    store.append(grant, rollout, {"kind": "begun"})
    assert store.samples(rollout) is None
    for text in ("first", "second"):
        store.keep_samples(grant, rollout, {"log": [text]})
    assert store.samples(rollout) == {"log": ["second"]}
    assert [record["kind"] for record in store.records(rollout)] == ["begun"]


def test_a_stale_writer_keeps_no_examples(store: Store, grant: Grant, rollout: str) -> None:
    store.append(grant, rollout, {"kind": "begun"})
    newer = store.acquire("bob@there", "recover", lease=30, take_over=True)
    with pytest.raises(BackendctlError) as caught:
        store.keep_samples(grant, rollout, {"log": []})
    assert caught.value.code == "rollout.fenced"
    assert store.samples(rollout) is None
    store.release(newer)


def test_a_grant_that_was_given_back_writes_no_more(store: Store, rollout: str) -> None:
    given = store.acquire("ana@here", "deploy", lease=300, take_over=True)
    store.release(given)
    assert store.holder() is None
    with pytest.raises(BackendctlError) as caught:
        store.append(given, rollout, {"n": 1})
    assert caught.value.code == "rollout.fenced"
    assert rollout not in store.rollouts()


def test_a_journal_of_several_segments_is_read_back_whole(
    store: Store, grant: Grant, rollout: str
) -> None:
    many = [{"n": n, "text": f"{n:04d}" * 5000} for n in range(30)]
    for record in many:
        store.append(grant, rollout, record)
    assert list(store.records(rollout)) == many
