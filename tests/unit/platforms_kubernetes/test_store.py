"""The store in a cluster, on a fake API server: fencing by compare-and-swap, nothing lost."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from backendctl.errors import BackendctlError
from backendctl.migrations.revisions import Effect, Revision, Tool
from backendctl.platforms.base import (
    SAMPLES_KEPT,
    Configuration,
    Grant,
    Package,
    PersonCommand,
    Processes,
    Release,
    SchemaRange,
)
from backendctl.platforms.kubernetes import head as heads
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.connection import NoAnswerError
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.store import KubernetesStore
from tests.fakes.kubernetes_api import FakeApi

NAMING = Naming("shop", "prod", "shop-prod")


class HandClock:
    """Time that moves when told to; wall and monotonic apart, each machine with its own."""

    def __init__(self, wall: float = 1_800_000_000.0) -> None:
        self.wall = wall
        self.uptime = 50_000.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.uptime

    def wait(self, seconds: float) -> None:
        self.wall += seconds
        self.uptime += seconds


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def opened(api: FakeApi, clock: HandClock) -> KubernetesStore:
    return KubernetesStore(Cluster(NAMING.namespace, connection=api, clock=clock), NAMING, clock)


@pytest.fixture
def store(api: FakeApi, clock: HandClock) -> KubernetesStore:
    return opened(api, clock)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every holder were on another machine: nobody knows whether it lives."""
    monkeypatch.setattr("backendctl.platforms.kubernetes.lock.of_this_boot", lambda _mark: False)


SCHEMA = SchemaRange(
    "0001",
    "0002",
    Tool.ALEMBIC,
    (
        Revision("0001", (), "migrations/versions/0001.py"),
        Revision("0002", ("0001",), "migrations/versions/0002.py", Effect.CONTRACT, "drops x"),
    ),
)


def release(number: int) -> Release:
    return Release(
        number=number,
        package=Package("abc", "registry.invalid/shop@sha256:0", "def", SCHEMA),
        configuration=Configuration({"LOG": "info"}, {"KEY": "v3"}),
        processes=Processes(
            ("serve", "--port", "$PORT"), ("migrate",), "/readyz", 2, 5.0, ("contract",)
        ),
        created=1_800_000_000.25,
        created_by="ana@host",
        note="first",
    )


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(BackendctlError) as caught:
        act()
    return caught.value.code


# --- the right to write -----------------------------------------------------------------------


def test_making_a_store_and_reading_it_changes_nothing(
    store: KubernetesStore, api: FakeApi
) -> None:
    assert store.holder() is None
    assert store.epoch() == 0
    assert list(store.releases()) == []
    assert list(store.rollouts()) == []
    assert api.objects == {}


@pytest.mark.usefixtures("elsewhere")
def test_a_held_environment_is_refused_at_once_and_the_holder_named(
    store: KubernetesStore, api: FakeApi, clock: HandClock
) -> None:
    store.acquire("ana@host", "deploy", lease=15)
    clock.wait(1)
    before = clock.uptime
    with pytest.raises(BackendctlError) as caught:
        opened(api, clock).acquire("bob@host", "rollback", lease=15)
    assert caught.value.code == "rollout.locked"
    assert "ana@host" in caught.value.message
    assert "deploy" in caught.value.message
    assert clock.uptime == before


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("skew", [-3600.0, 0.0, 3600.0])
def test_a_lease_ends_only_after_it_was_seen_unrenewed_whatever_the_clocks_say(
    api: FakeApi, skew: float
) -> None:
    here, there = HandClock(), HandClock(1_800_000_000.0 + skew)
    opened(api, there).acquire("ana@host", "deploy", lease=15)
    here.wait(20)
    there.wait(20)
    before = here.uptime
    grant = opened(api, here).acquire("bob@host", "recover", lease=15)
    assert grant.epoch == 2
    assert here.uptime - before >= 15


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
def test_a_driver_whose_clock_is_wrong_is_not_robbed_while_it_renews(
    api: FakeApi, skew: float
) -> None:
    here, there = HandClock(), HandClock(1_800_000_000.0 + skew)
    driver = opened(api, there)
    grant = driver.acquire("ana@host", "deploy", lease=15)

    def renewing(method: str, path: str) -> None:
        there.wait(2)
        api.before = lambda _method, _path: None
        driver.renew(grant, 15)
        api.before = renewing

    other = opened(api, here)
    other.holder()
    api.before = renewing
    assert code_of(lambda: other.acquire("bob@host", "recover", lease=15)) == "rollout.locked"


@pytest.mark.usefixtures("elsewhere")
def test_who_has_watched_for_the_length_of_a_lease_need_not_wait_again(
    api: FakeApi, clock: HandClock
) -> None:
    opened(api, clock).acquire("ana@host", "deploy", lease=15)
    watching = opened(api, clock)
    for _ in range(16):
        held = watching.holder()
        clock.wait(1)
    assert held is not None
    assert held.expires < clock.now()
    before = clock.uptime
    assert watching.acquire("the watchdog", "recover", lease=15).epoch == 2
    assert clock.uptime == before


def test_a_holder_that_died_on_this_machine_is_replaced_at_once(
    api: FakeApi, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(api, clock).acquire("ana@host", "deploy", lease=15)
    before = clock.uptime
    monkeypatch.setattr("backendctl.platforms.kubernetes.lock.alive", lambda _mark: False)
    assert opened(api, clock).acquire("bob@host", "recover", lease=15).epoch == 2
    assert clock.uptime == before


def test_a_living_holder_is_replaced_on_the_owners_word(api: FakeApi, clock: HandClock) -> None:
    first = opened(api, clock)
    grant = first.acquire("ana@host", "deploy", lease=15)
    other = opened(api, clock).acquire("bob@host", "recover", lease=15, take_over=True)
    assert other.epoch == 2
    assert code_of(lambda: first.renew(grant, 15)) == "rollout.fenced"
    assert code_of(lambda: first.append(grant, "0001", {})) == "rollout.fenced"


def test_what_was_given_back_is_free_and_its_grant_writes_no_more(
    store: KubernetesStore, api: FakeApi, clock: HandClock
) -> None:
    grant = store.acquire("ana@host", "deploy", lease=15)
    store.release(grant)
    assert store.holder() is None
    assert code_of(lambda: store.append(grant, "0001", {})) == "rollout.fenced"
    assert code_of(lambda: store.renew(grant, 15)) == "rollout.fenced"
    assert opened(api, clock).acquire("bob@host", "deploy", lease=15).epoch == 2
    store.release(grant)
    assert store.holder() is not None


def test_a_deleted_lease_does_not_let_an_epoch_come_twice(
    store: KubernetesStore, api: FakeApi, clock: HandClock
) -> None:
    for _ in range(3):
        grant = store.acquire("ana@host", "deploy", lease=15)
        store.release(grant)
    del api.objects["Lease", NAMING.namespace, NAMING.lease]
    assert store.epoch() == 3
    assert store.acquire("ana@host", "deploy", lease=15).epoch == 4


def test_an_owner_that_sleeps_through_a_takeover_between_reading_and_writing_is_refused(
    api: FakeApi, clock: HandClock
) -> None:
    first, second = opened(api, clock), opened(api, clock)
    old = first.acquire("ana@host", "deploy", lease=15)
    first.append(old, "0001", {"n": 1})
    new: list[Grant] = []

    def meanwhile(method: str, _path: str) -> None:
        if method == "PUT" and not new:
            new.append(Grant(0, ""))  # not again for what happens in here
            new[0] = second.acquire("bob@host", "recover", lease=15, take_over=True)

    api.before = meanwhile
    assert code_of(lambda: first.append(old, "0001", {"n": 2})) == "rollout.fenced"
    second.append(new[0], "0001", {"n": 3})
    assert list(first.records("0001")) == [{"n": 1}, {"n": 3}]


# --- what is written --------------------------------------------------------------------------


def test_releases_come_back_as_they_were_and_only_in_order(
    store: KubernetesStore, api: FakeApi, clock: HandClock
) -> None:
    grant = store.acquire("ana@host", "deploy", lease=15)
    many = [release(number) for number in (1, 2, 3)]
    for each in many:
        store.add_release(grant, each)
        store.add_release(grant, each)
    assert list(opened(api, clock).releases()) == many
    with pytest.raises(ValueError, match="cannot follow 3 others"):
        store.add_release(grant, release(5))
    with pytest.raises(ValueError, match="cannot follow 3 others"):
        store.add_release(grant, replace(release(2), note="another"))


def test_a_long_journal_is_cut_into_small_objects_and_read_back_whole(
    store: KubernetesStore, api: FakeApi, clock: HandClock
) -> None:
    grant = store.acquire("ana@host", "deploy", lease=15)
    many = [{"n": n, "text": f"{n:05d}" * 2000} for n in range(40)]
    for record in many:
        store.append(grant, "0001", record)
    store.append(grant, "0002", {"n": 0})
    store.append(grant, "0001", {"late": True})
    store.append(grant, "0002", {"n": 1})
    fresh = opened(api, clock)
    assert list(fresh.records("0001")) == [*many, {"late": True}]
    assert list(fresh.records("0002")) == [{"n": 0}, {"n": 1}]
    assert list(fresh.rollouts()) == ["0001", "0002"]
    sizes = [
        sum(len(value) for value in (each.get("data") or each.get("binaryData") or {}).values())
        for (kind, _space, _name), each in api.objects.items()
        if kind == "ConfigMap"
    ]
    assert len(sizes) > 5
    assert max(sizes) < heads.SEGMENT_LIMIT


def test_a_record_as_large_as_a_segment_is_refused_and_changes_nothing(
    store: KubernetesStore,
) -> None:
    grant = store.acquire("ana@host", "deploy", lease=15)
    store.append(grant, "0001", {"n": 1})
    with pytest.raises(ValueError, match="too large"):
        store.append(grant, "0001", {"text": "x" * heads.SEGMENT_LIMIT})
    assert list(store.records("0001")) == [{"n": 1}]


def test_an_appended_record_costs_one_request(store: KubernetesStore, api: FakeApi) -> None:
    grant = store.acquire("ana@host", "deploy", lease=15)
    store.append(grant, "0001", {"n": 1})
    before = len(api.requests)
    store.append(grant, "0001", {"n": 2})
    assert len(api.requests) - before == 1


@pytest.mark.parametrize("lost", [1, 2])
def test_a_write_whose_answer_is_lost_is_neither_lost_nor_doubled(
    store: KubernetesStore, api: FakeApi, lost: int
) -> None:
    grant = store.acquire("ana@host", "deploy", lease=15)
    store.append(grant, "0001", {"n": 1})
    api.lost_answers = 1
    store.append(grant, "0001", {"n": 2})
    api.lost_answers = 1
    store.add_release(grant, release(1))
    api.lost_answers = 1
    store.post("0001", PersonCommand("pause", "bob", "", 1.0))
    assert [each["n"] for each in store.records("0001")] == [1, 2]
    assert len(store.releases()) == 1
    assert len(store.posted("0001")) == 1


def test_a_write_of_which_nothing_could_be_learnt_is_not_doubled_when_it_is_tried_again(
    store: KubernetesStore, api: FakeApi
) -> None:
    grant = store.acquire("ana@host", "deploy", lease=15)
    store.append(grant, "0001", {"n": 1})

    def gone(method: str, _path: str) -> None:
        if method == "GET":
            raise NoAnswerError("Connection refused", sent=False)

    api.before, api.lost_answers = gone, 1
    for _ in range(2):
        assert code_of(lambda: store.append(grant, "0001", {"n": 2})) == "missing.cluster"
    api.before = lambda _method, _path: None
    store.append(grant, "0001", {"n": 2})
    store.append(grant, "0001", {"n": 3})
    store.append(grant, "0001", {"n": 3})
    assert [each["n"] for each in store.records("0001")] == [1, 2, 3, 3]


def test_an_answer_that_is_lost_after_somebody_else_was_quicker_is_asked_for_again(
    store: KubernetesStore, api: FakeApi
) -> None:
    grant = store.acquire("ana@host", "deploy", lease=15)

    puts: list[str] = []

    def quicker(method: str, path: str) -> None:
        if method == "PUT":
            puts.append(path)
            head = api.objects["ConfigMap", NAMING.namespace, NAMING.journal]
            if len(puts) == 1:  # somebody's label: another version of the same head
                head["metadata"]["resourceVersion"] = "999999"
            api.lost_answers = len(puts) == 2

    api.before = quicker
    store.append(grant, "0001", {"n": 1})
    assert len(puts) == 2
    assert [each["n"] for each in store.records("0001")] == [1]


def test_two_environments_of_a_service_do_not_share_a_namespace(
    store: KubernetesStore, api: FakeApi, clock: HandClock
) -> None:
    store.release(store.acquire("ana@host", "deploy", lease=15))
    before = dict(api.objects)
    cluster = Cluster(NAMING.namespace, connection=api, clock=clock)
    other = KubernetesStore(cluster, replace(NAMING, environment="stage"), clock)
    for ask in (other.releases, lambda: other.acquire("bob@host", "up", lease=15)):
        with pytest.raises(
            BackendctlError, match="environment 'prod' of shop, not 'stage'"
        ) as caught:
            ask()
        assert caught.value.code == "spec.environment"
    assert api.objects == before


def test_an_unreachable_server_is_said_and_nothing_is_written(
    store: KubernetesStore, api: FakeApi, clock: HandClock
) -> None:
    grant = store.acquire("ana@host", "deploy", lease=15)

    def down(_method: str, _path: str) -> None:
        raise NoAnswerError("Connection refused", sent=False)

    api.before = down
    began = clock.uptime
    assert code_of(lambda: store.append(grant, "0001", {})) == "missing.cluster"
    assert clock.uptime - began < 5
    api.before = lambda _method, _path: None
    assert list(store.rollouts()) == []


def test_a_deleted_segment_is_a_gap_that_is_said(
    store: KubernetesStore, api: FakeApi, clock: HandClock
) -> None:
    grant = store.acquire("ana@host", "deploy", lease=15)
    for n in range(30):
        store.append(grant, "0001", {"n": n, "text": "x" * 9000})
    closed = [key for key in api.objects if key[2].startswith("shop-journal-0001-")]
    del api.objects[closed[0]]
    assert code_of(lambda: opened(api, clock).records("0001")) == "journal.corrupt"


def test_a_changed_record_is_said(store: KubernetesStore, api: FakeApi, clock: HandClock) -> None:
    grant = store.acquire("ana@host", "deploy", lease=15)
    store.append(grant, "0001", {"weight": 5})
    data = api.objects["ConfigMap", NAMING.namespace, NAMING.journal]["data"]
    data["open"] = data["open"].replace('"weight":5', '"weight":6')
    assert code_of(lambda: opened(api, clock).records("0001")) == "journal.corrupt"


def test_a_deleted_head_does_not_begin_anew_at_release_1(
    store: KubernetesStore, api: FakeApi, clock: HandClock
) -> None:
    grant = store.acquire("ana@host", "deploy", lease=15)
    store.add_release(grant, release(1))
    del api.objects["ConfigMap", NAMING.namespace, NAMING.journal]
    fresh = opened(api, clock)
    code = code_of(lambda: fresh.acquire("bob@host", "deploy", lease=15, take_over=True))
    assert code == "journal.corrupt"
    assert fresh.holder() is None


def test_examples_are_forgotten_after_their_time_and_leave_nothing(
    store: KubernetesStore, api: FakeApi, clock: HandClock
) -> None:
    grant = store.acquire("ana@host", "deploy", lease=15)
    store.append(grant, "0001", {})
    store.append(grant, "0002", {})
    store.keep_samples(grant, "0001", {"log": ["a"]})
    assert store.samples("0001") == {"log": ["a"]}
    clock.wait(SAMPLES_KEPT + 1)
    assert store.samples("0001") is None
    store.keep_samples(grant, "0002", {"log": ["b"]})
    assert [key[2] for key in api.objects if "samples" in key[2]] != []
    assert len([key for key in api.objects if "samples" in key[2]]) == 1


def test_commands_of_several_people_at_once_all_arrive(api: FakeApi, clock: HandClock) -> None:
    store, other = opened(api, clock), opened(api, clock)
    grant = store.acquire("ana@host", "deploy", lease=15)
    store.append(grant, "0001", {})
    raced: list[str] = []

    def race(method: str, path: str) -> None:
        if method in ("POST", "PUT") and "commands" in path + "commands" and not raced:
            raced.append(path)
            other.post("0001", PersonCommand("abort", "bob", "", 2.0))

    api.before = race
    store.post("0001", PersonCommand("pause", "ana", "", 1.0))
    assert [each.verb for each in store.posted("0001")] == ["abort", "pause"]


# --- any interleaving -------------------------------------------------------------------------


class Interleavings(RuleBasedStateMachine):
    """Three machines work on one environment. Any request of one may be the moment at which
    another does something whole, and any answer may be lost."""

    def __init__(self) -> None:
        super().__init__()
        self.api = FakeApi()
        self.clock = HandClock()
        self.stores = [opened(self.api, self.clock) for _ in range(3)]
        self.grants: dict[int, Grant] = {}
        self.written: list[tuple[int, int]] = []
        """Epoch and number of what was acknowledged, in that order."""
        self.doubtful: set[tuple[int, int]] = set()
        self.given: list[int] = []
        self.fenced_below = 0
        self.numbers = 0
        self.planned: list[tuple[int, Callable[[], None]]] = []
        self.api.before = self._between

    def _between(self, _method: str, _path: str) -> None:
        if not self.planned:
            return
        left, act = self.planned[0]
        if left:
            self.planned[0] = (left - 1, act)
            return
        self.planned.pop(0)
        act()

    def _act(self, who: int, what: str) -> None:
        store = self.stores[who]
        if what == "take":
            grant = store.acquire(f"machine{who}", "deploy", 15, take_over=True)
            self.grants[who] = grant
            self.given.append(grant.epoch)
            self.fenced_below = max(self.fenced_below, grant.epoch)
        elif who in self.grants:
            grant = self.grants[who]
            if what == "append":
                self._append(store, grant)
            elif what == "renew":
                store.renew(grant, 15)
            elif what == "release record":
                store.add_release(grant, release(len(store.releases()) + 1))
            elif what == "examples":
                store.keep_samples(grant, "0001", {"of": grant.epoch})
            else:
                store.release(grant)

    def _append(self, store: KubernetesStore, grant: Grant) -> None:
        self.numbers += 1
        mark = (grant.epoch, self.numbers)
        stale = grant.epoch < self.fenced_below
        size = 9000 if self.numbers % 3 == 0 else 10  # so that segments are closed, too
        record = {"epoch": mark[0], "number": mark[1], "text": "x" * size}
        self.doubtful.add(mark)
        store.append(grant, f"{1 + self.numbers // 8:04d}", record)
        assert not stale, "a writer that was replaced before it began has written"
        self.doubtful.discard(mark)
        self.written.append(mark)

    @rule(
        steps=st.lists(
            st.tuples(
                st.integers(0, 2),
                st.sampled_from(
                    ["take", "append", "append", "renew", "release", "release record", "examples"]
                ),
                st.integers(0, 6),
            ),
            min_size=1,
            max_size=4,
        ),
        lost=st.sampled_from([0, 0, 0, 1]),
    )
    def several_at_once(self, steps: list[tuple[int, str, int]], lost: int) -> None:
        """The first begins; after so many requests the next does all of its own, and so on."""

        busy: set[int] = set()

        def attempt(who: int, what: str) -> None:
            if who in busy:
                return  # a machine does one thing at a time
            busy.add(who)
            try:
                self._act(who, what)
            except BackendctlError as error:
                assert error.code in ("rollout.fenced", "missing.cluster"), error.message  # noqa: PT017
            except ValueError as error:
                assert "cannot follow" in str(error)  # noqa: PT017 - another was quicker
            finally:
                busy.discard(who)

        (first, *others) = steps
        self.planned = [
            (after, lambda who=who, what=what: attempt(who, what)) for who, what, after in others
        ]
        self.api.lost_answers = lost
        attempt(first[0], first[1])
        self.planned = []
        self.api.lost_answers = 0

    @invariant()
    def nothing_acknowledged_is_lost_and_nothing_stands_there_twice(self) -> None:
        store = opened(self.api, self.clock)
        found = [
            (record["epoch"], record["number"])
            for rollout in store.rollouts()
            for record in store.records(rollout)
        ]
        assert len(found) == len(set(found))
        assert set(self.written) <= set(found)
        assert set(found) <= set(self.written) | self.doubtful

    @invariant()
    def in_a_journal_epochs_only_rise(self) -> None:
        store = opened(self.api, self.clock)
        for rollout in store.rollouts():
            epochs = [record["epoch"] for record in store.records(rollout)]
            assert epochs == sorted(epochs)

    @rule()
    def who_was_given_the_environment_last_can_write(self) -> None:
        """Without this a store that refuses everybody would keep all the rest."""
        who = 0
        self.grants[who] = grant = self.stores[who].acquire("machine0", "deploy", 15, True)
        self.given.append(grant.epoch)
        self.fenced_below = grant.epoch
        self._append(self.stores[who], grant)

    @invariant()
    def no_epoch_is_given_twice(self) -> None:
        assert len(self.given) == len(set(self.given))

    @invariant()
    def releases_are_numbered_without_a_gap(self) -> None:
        numbers = [each.number for each in opened(self.api, self.clock).releases()]
        assert numbers == list(range(1, len(numbers) + 1))


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
