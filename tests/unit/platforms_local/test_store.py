"""The local store: fencing, leases on a clock nobody can set, immutable releases."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

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
from backendctl.platforms.local import launch
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.liveness import ProcessMark, alive, mark
from backendctl.platforms.local.store import LocalStore
from backendctl.rollout.deadman import CONFIRM, DeadMan, Orphan


class HandClock:
    """Time that moves when told to; wall and monotonic apart."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.uptime = 50_000.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.uptime

    def wait(self, seconds: float) -> None:
        self.wall += seconds
        self.uptime += seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store(tmp_path: Path, clock: HandClock) -> LocalStore:
    return LocalStore(Layout(tmp_path, "local"), clock)


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
        package=Package("abc", "/somewhere", "def", SCHEMA),
        configuration=Configuration({"LOG": "info"}, {"KEY": "v3"}),
        processes=Processes(
            ("serve", "--port", "$PORT"), ("migrate",), "/readyz", 2, 5.0, ("contract",)
        ),
        created=1_800_000_000.25,
        created_by="ana@host",
        note="first",
    )


def code_of(caught: pytest.ExceptionInfo[BackendctlError]) -> str:
    return caught.value.code


def test_making_a_store_and_reading_it_touches_nothing(tmp_path: Path) -> None:
    store = LocalStore(Layout(tmp_path, "local"))
    assert store.holder() is None
    assert store.releases() == []
    assert store.rollouts() == []
    assert list(tmp_path.iterdir()) == []


def test_a_held_environment_is_refused_and_the_holder_named(store: LocalStore) -> None:
    store.acquire("ana@host", "deploy", lease=30)
    with pytest.raises(BackendctlError) as caught:
        store.acquire("bob@host", "rollback", lease=30)
    assert code_of(caught) == "rollout.locked"
    assert "ana@host" in caught.value.message
    assert "deploy" in caught.value.message


def test_the_holder_is_described(store: LocalStore, clock: HandClock) -> None:
    store.acquire("ana@host", "deploy", lease=30)
    clock.wait(10)
    holder = store.holder()
    assert holder is not None
    assert (holder.owner, holder.command, holder.epoch, holder.alive) == (
        "ana@host",
        "deploy",
        1,
        True,
    )
    assert holder.since == clock.wall - 10
    assert holder.expires == clock.wall + 20


def test_a_lapsed_lease_is_taken_over_and_a_renewed_one_is_not(
    store: LocalStore, clock: HandClock
) -> None:
    grant = store.acquire("ana@host", "deploy", lease=30)
    clock.wait(29)
    store.renew(grant, 30)
    clock.wait(29)
    with pytest.raises(BackendctlError):
        store.acquire("bob@host", "deploy", lease=30)
    clock.wait(1)
    assert store.acquire("bob@host", "deploy", lease=30).epoch == 2


@pytest.mark.parametrize("step", [-86_400.0, 86_400.0])
def test_setting_the_wall_clock_neither_ends_nor_prolongs_a_lease(
    store: LocalStore, clock: HandClock, step: float
) -> None:
    store.acquire("ana@host", "deploy", lease=30)
    clock.wall += step
    with pytest.raises(BackendctlError):
        store.acquire("bob@host", "deploy", lease=30)
    holder = store.holder()
    assert holder is not None
    assert holder.expires == clock.wall + 30
    clock.wait(30)
    store.acquire("bob@host", "deploy", lease=30)


def test_a_living_holder_is_replaced_on_the_owners_word(store: LocalStore) -> None:
    store.acquire("ana@host", "deploy", lease=30)
    grant = store.acquire("bob@host", "recover", lease=30, take_over=True)
    assert grant == Grant(2, "bob@host")


def test_a_dead_holder_is_replaced_at_once(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from backendctl.platforms.local.layout import Layout\n"
        "from backendctl.platforms.local.store import LocalStore\n"
        "LocalStore(Layout(Path(sys.argv[1]), 'local')).acquire('ana@host', 'deploy', 3600)\n"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path], check=True)
    store = LocalStore(Layout(tmp_path, "local"))
    holder = store.holder()
    assert holder is not None
    assert holder.alive is False
    assert store.acquire("bob@host", "recover", lease=30).epoch == 2


def test_a_stale_owners_writes_are_refused_and_change_nothing(store: LocalStore) -> None:
    stale = store.acquire("ana@host", "deploy", lease=30)
    store.append(stale, "r1", {"kind": "begin"})
    current = store.acquire("bob@host", "recover", lease=30, take_over=True)
    for write in (
        lambda: store.append(stale, "r1", {"kind": "shift"}),
        lambda: store.append(stale, "r2", {"kind": "begin"}),
        lambda: store.add_release(stale, release(1)),
        lambda: store.renew(stale, 30),
    ):
        with pytest.raises(BackendctlError) as caught:
            write()
        assert code_of(caught) == "rollout.fenced"
        assert "bob@host" in caught.value.cause
    assert list(store.records("r1")) == [{"kind": "begin"}]
    assert store.rollouts() == ["r1"]
    assert store.releases() == []
    store.release(stale)
    holder = store.holder()
    assert holder is not None
    assert holder.epoch == current.epoch


def test_giving_back_ends_the_right_to_write_and_epochs_go_on_rising(store: LocalStore) -> None:
    grant = store.acquire("ana@host", "deploy", lease=30)
    store.release(grant)
    assert store.holder() is None
    with pytest.raises(BackendctlError) as caught:
        store.append(grant, "r1", {})
    assert code_of(caught) == "rollout.fenced"
    assert store.acquire("ana@host", "deploy", lease=30).epoch == 2


def test_releases_come_back_equal_and_in_order(store: LocalStore) -> None:
    grant = store.acquire("ana@host", "deploy", lease=30)
    many = [release(n) for n in range(1, 13)]
    for one in many:
        store.add_release(grant, one)
        store.add_release(grant, one)
    assert store.releases() == many


def test_a_release_without_a_schema_and_with_a_read_only_configuration_comes_back(
    store: LocalStore,
) -> None:
    grant = store.acquire("ana@host", "deploy", lease=30)
    bare = replace(
        release(1),
        package=Package("abc", "/somewhere"),
        configuration=Configuration(MappingProxyType({"A": "1"})),
    )
    store.add_release(grant, bare)
    assert store.releases() == [bare]


def test_a_release_never_changes_and_numbers_leave_no_gap(store: LocalStore) -> None:
    grant = store.acquire("ana@host", "deploy", lease=30)
    store.add_release(grant, release(1))
    with pytest.raises(ValueError, match="cannot follow"):
        store.add_release(grant, replace(release(1), note="other"))
    with pytest.raises(ValueError, match="cannot follow"):
        store.add_release(grant, release(3))
    assert store.releases() == [release(1)]


def test_a_changed_release_file_is_refused(store: LocalStore, tmp_path: Path) -> None:
    grant = store.acquire("ana@host", "deploy", lease=30)
    store.add_release(grant, release(1))
    path = Layout(tmp_path, "local").journal / "releases" / "000001.json"
    path.write_bytes(path.read_bytes().replace(b"info", b"evil"))
    with pytest.raises(BackendctlError) as caught:
        store.releases()
    assert code_of(caught) == "journal.corrupt"


def test_rollouts_are_listed_oldest_first_whatever_their_names(store: LocalStore) -> None:
    grant = store.acquire("ana@host", "deploy", lease=30)
    for name in ("zebra", "apple", "m-1", "10"):
        store.append(grant, name, {"of": name})
    assert store.rollouts() == ["zebra", "apple", "m-1", "10"]
    assert store.records("m-1") == ({"of": "m-1"},)


def test_commands_of_people_need_no_grant_and_keep_their_order(store: LocalStore) -> None:
    grant = store.acquire("ana@host", "deploy", lease=30)
    assert store.posted("r1") == []
    store.append(grant, "r1", {})
    commands = [
        PersonCommand("pause", "bob@host", "looks slow", 5.0),
        PersonCommand("resume", "ana@host", "", 4.0),
    ]
    for command in commands:
        store.post("r1", command)
    assert store.posted("r1") == commands
    assert store.records("r1") == ({},)


def test_a_rollout_that_never_began_is_named(store: LocalStore) -> None:
    for call in (
        lambda: store.records("r9"),
        lambda: store.post("r9", PersonCommand("pause", "ana", "", 0.0)),
    ):
        with pytest.raises(BackendctlError) as caught:
            call()
        assert code_of(caught) == "missing.rollout"


def test_after_a_reboot_the_lease_has_run_out_however_long_the_machine_had_been_up(
    store: LocalStore, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = store.acquire("ana@host", "deploy", lease=15)
    store.append(grant, "r1", {"phase": "step"})
    monkeypatch.setattr(launch, "boot", lambda: "the next one")
    clock.uptime = 60.0
    holder = store.holder()
    assert holder is not None
    assert (holder.alive, holder.expires <= clock.now()) == (False, True)
    deadman = DeadMan(store, clock)
    assert deadman.look() is None
    clock.wait(CONFIRM)
    assert deadman.look() == Orphan("r1", 1, overdue=False)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden"])
def test_an_identifier_that_is_no_name_of_a_folder_is_refused(store: LocalStore, name: str) -> None:
    grant = store.acquire("ana@host", "deploy", lease=30)
    with pytest.raises(ValueError, match="identifier"):
        store.append(grant, name, {})


def test_everything_is_private(store: LocalStore, tmp_path: Path) -> None:
    grant = store.acquire("ana@host", "deploy", lease=30)
    store.add_release(grant, release(1))
    store.append(grant, "r1", {})
    for path in Layout(tmp_path, "local").journal.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_process_is_known_by_more_than_its_number() -> None:
    me = mark()
    assert alive(me) is True
    assert alive(replace(me, identity=me.identity + "0")) is False
    assert alive(replace(me, boot="another")) is False
    assert alive(replace(me, namespace="pid:[1]")) is None
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    marked = mark(ended.pid) if alive_now(ended) else ProcessMark(ended.pid, "0", me.boot, "")
    ended.wait()
    assert alive(replace(marked, namespace=me.namespace)) is False


def alive_now(process: subprocess.Popen[bytes]) -> bool:
    try:
        mark(process.pid)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_process_that_nobody_reaped_counts_as_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    marked = mark(child.pid)
    assert alive(marked) is True
    child.kill()
    import os

    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert alive(marked) is False
    child.communicate()


class Fencing(RuleBasedStateMachine):
    """However runs come and go, only the last to be granted writes, and epochs only rise."""

    def __init__(self) -> None:
        super().__init__()
        from tempfile import TemporaryDirectory

        self.folder = TemporaryDirectory()
        self.clock = HandClock()
        self.store = LocalStore(Layout(Path(self.folder.name), "local"), self.clock)
        self.grants: list[Grant] = []
        self.held_until: float | None = None
        self.written: list[int] = []

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(lease=st.integers(1, 20), take_over=st.booleans())
    def acquire(self, lease: int, take_over: bool) -> None:
        free = take_over or self.held_until is None or self.clock.uptime >= self.held_until
        if free:
            self.grants.append(self.store.acquire("ana", "deploy", lease, take_over))
            self.held_until = self.clock.uptime + lease
        else:
            with pytest.raises(BackendctlError) as caught:
                self.store.acquire("ana", "deploy", lease, take_over)
            assert caught.value.code == "rollout.locked"

    @rule(seconds=st.integers(1, 20), step=st.integers(-1000, 1000))
    def time_passes(self, seconds: int, step: int) -> None:
        self.clock.wait(seconds)
        self.clock.wall += step

    @precondition(lambda self: self.grants)
    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        grant = data.draw(st.sampled_from(self.grants))
        if grant == self.grants[-1] and self.held_until is not None:
            self.store.append(grant, "r", {"epoch": grant.epoch})
            self.written.append(grant.epoch)
        else:
            with pytest.raises(BackendctlError) as caught:
                self.store.append(grant, "r", {"epoch": grant.epoch})
            assert caught.value.code == "rollout.fenced"

    @precondition(lambda self: self.grants)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        grant = data.draw(st.sampled_from(self.grants))
        self.store.release(grant)
        if grant == self.grants[-1]:
            self.held_until = None

    @invariant()
    def the_journal_holds_what_was_written_under_rising_epochs(self) -> None:
        epochs = [grant.epoch for grant in self.grants]
        assert epochs == sorted(set(epochs))
        if self.written:
            assert [record["epoch"] for record in self.store.records("r")] == self.written
            assert self.written == sorted(self.written)


TestFencing = Fencing.TestCase
TestFencing.settings = settings(max_examples=25, stateful_step_count=20)


def test_examples_of_failed_requests_are_forgotten_after_a_week(
    store: LocalStore, clock: HandClock
) -> None:
    grant = store.acquire("ana@host", "deploy", lease=30 * 86400.0)
    store.append(grant, "0001", {"kind": "begun"})
    store.keep_samples(grant, "0001", {"log": ["one"]})
    clock.wait(SAMPLES_KEPT)
    assert store.samples("0001") == {"log": ["one"]}
    clock.wait(1.0)
    store.keep_samples(grant, "0002", {"log": ["two"]})
    clock.wait(-SAMPLES_KEPT)
    assert store.samples("0001") is None, "the file itself is gone, not only hidden"
