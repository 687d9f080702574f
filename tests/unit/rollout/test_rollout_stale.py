"""A driver that was stopped, replaced, and wakes up: nothing it does then may count any more."""

import itertools
from collections.abc import Callable

import pytest

from backendctl.errors import BackendctlError
from backendctl.rollout.history import serving
from backendctl.rollout.lease import Lease
from backendctl.workflows.rollouts import recover
from tests.fakes.platform import FakeStore, fake_platform
from tests.unit.rollout.test_rollout_crashes import STORIES, Story, points_of

ASLEEP_IN_AN_EFFECT = ("start", "connect", "stop", "disconnect", "job", "drain", "smoke")
"""Effects that a process can be stopped in the middle of, having been allowed to begin them. What
they do to a release that no longer takes part is undone by nobody; the gateway's routes and the
journal, which decide what users get, are guarded up to the change itself."""


def take_over(story: Story) -> None:
    """Somebody else recovers on the owner's word, and deploys something else at once."""
    point, story.fake.env.point = story.fake.env.point, lambda name: None
    recover(
        story.fake.platform,
        lambda _: None,
        by="bob",
        wish="abort" if serving(story.fake.store).rollout_in_flight else None,
        take_over=True,
        means=story.means,
    )
    story.fake.env.point = point


def asleep_at(story: Story, place: int, meanwhile: Callable[[Story], None]) -> tuple[str, object]:
    """Run; at that point, let `meanwhile` happen before it goes on. Its name, and what is then."""
    names: list[str] = []
    then: list[object] = []

    def look(name: str) -> None:
        names.append(name)
        if len(names) == place + 1:
            meanwhile(story)
            store = story.fake.store
            journals = {rollout: store.records(rollout) for rollout in store.rollouts()}
            then.extend([story.fake.env.routes, journals])

    story.fake.env.point = look
    with pytest.raises(BackendctlError) as caught:
        story.run()
    assert caught.value.code == "rollout.fenced", caught.value
    return names[place], then


@pytest.mark.parametrize("name", STORIES)
def test_a_driver_replaced_at_any_point_changes_neither_routes_nor_journal(name: str) -> None:
    make = STORIES[name]
    seen = set()
    for place in range(points_of(make) - 1):
        story = make()
        where, then = asleep_at(story, place, take_over)
        seen.add(where)
        store = story.fake.store
        journals = {rollout: store.records(rollout) for rollout in store.rollouts()}
        assert [story.fake.env.routes, journals] == then, where
        assert story.fake.env.failed == 0
        if not where.startswith(ASLEEP_IN_AN_EFFECT):
            story.assert_whole()
    assert {"append:before", "append:after", "apply:before", "apply:after"} <= seen


def test_a_driver_that_was_replaced_is_told_by_whom_and_what_became_of_its_rollout() -> None:
    story = STORIES["promoted canary"]()
    places = itertools.count()

    def replaced(name: str) -> None:
        if next(places) == 40:
            take_over(story)

    story.fake.env.point = replaced
    with pytest.raises(BackendctlError) as caught:
        story.run()
    assert caught.value.code == "rollout.fenced"
    assert caught.value.cause.startswith("bob took over at ")
    assert caught.value.state.endswith(": restored")


class StoppedStore(FakeStore):
    """Cannot be asked for the time being."""

    down = False

    def epoch(self) -> int:
        if self.down:
            raise BackendctlError("platform.permission", "cannot be read")
        return super().epoch()


def test_a_lease_taken_over_on_the_owners_word_is_noticed_at_once_by_who_asks() -> None:
    fake = fake_platform()
    grant = fake.store.acquire("ann", "deploy", 15.0)
    lease = Lease(fake.store, grant, fake.clock)
    lease.confirm()
    fake.store.acquire("bob", "rollout recover", 15.0, take_over=True)
    lease.check()  # time alone does not tell
    for _ in range(2):
        with pytest.raises(BackendctlError) as caught:
            lease.confirm()
        assert caught.value.code == "rollout.fenced"


def test_a_store_that_cannot_be_asked_does_not_end_a_lease_that_runs() -> None:
    fake = fake_platform()
    store = StoppedStore(fake.env)
    lease = Lease(store, store.acquire("ann", "deploy", 15.0), fake.clock)
    store.down = True
    lease.confirm()
    store.down = False
    store.acquire("bob", "rollout recover", 15.0, take_over=True)
    with pytest.raises(BackendctlError):
        lease.confirm()
