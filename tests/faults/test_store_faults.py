"""The local store when processes race and die, and disks are full or read-only."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.journal.segments import Journal
from backendctl.platforms.base import (
    Configuration,
    Package,
    PersonCommand,
    Processes,
    Release,
)
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.secrets import LocalSecrets
from backendctl.platforms.local.store import LocalStore

pytestmark = pytest.mark.faults

PRELUDE = (
    "import sys; from pathlib import Path\n"
    "from backendctl.errors import BackendctlError\n"
    "from backendctl.platforms.local.layout import Layout\n"
    "from backendctl.platforms.local.store import LocalStore\n"
    "store = LocalStore(Layout(Path(sys.argv[1]), 'local'))\n"
)

RACER = (
    PRELUDE + "print('ready', flush=True); input()\n"
    "try:\n"
    "    print(store.acquire(sys.argv[2], 'deploy', 300).epoch, flush=True)\n"
    "except BackendctlError as error:\n"
    "    print(error.code, flush=True)\n"
    "input()\n"
)

WRITER = (
    PRELUDE + "grant = store.acquire('ana', 'deploy', 300, take_over=True)\n"
    "n = len(store.records('r')) if store.rollouts() else 0\n"
    "while True:\n"
    "    store.append(grant, 'r', {'n': n, 'pad': 'x' * (n % 50) * 20})\n"
    "    print(n, flush=True); n += 1\n"
)


def python(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def say(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_of_processes_that_race_for_the_environment_exactly_one_wins(tmp_path: Path) -> None:
    for epoch in (1, 2):  # the second time the former winner is dead
        racers = [python(RACER, tmp_path, f"racer-{n}") for n in range(5)]
        try:
            assert [heard(racer) for racer in racers] == ["ready"] * 5
            for racer in racers:
                say(racer)
            answers = [heard(racer) for racer in racers]
        finally:
            for racer in racers:
                racer.kill()
                racer.communicate()
        assert sorted(answers) == [str(epoch), *["rollout.locked"] * 4]


def test_a_writer_killed_at_any_moment_loses_nothing_it_was_told_is_safe(tmp_path: Path) -> None:
    store = LocalStore(Layout(tmp_path, "local"))
    acknowledged = -1
    for lines in (1, 7, 40):
        writer = python(WRITER, tmp_path)
        for _ in range(lines):
            acknowledged = int(heard(writer))
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        acknowledged = max([acknowledged, *map(int, rest.split())])
        records = store.records("r")
        assert [record["n"] for record in records] == list(range(len(records)))
        assert len(records) > acknowledged
    holder = store.holder()
    assert holder is not None
    assert holder.alive is False
    grant = store.acquire("bob", "recover", 30)
    store.append(grant, "r", {"n": "after"})
    assert store.records("r")[-1] == {"n": "after"}


def test_a_process_that_stops_inside_a_write_is_said_and_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backendctl.platforms.local.store.LOCK_PATIENCE", 0.2)
    store = LocalStore(Layout(tmp_path, "local"))
    script = PRELUDE + "with store._exclusive(): print('in', flush=True); input()\n"
    inside = python(script, tmp_path)
    try:
        assert heard(inside) == "in"
        with pytest.raises(BackendctlError) as caught:
            store.acquire("ana", "deploy", 30)
        assert caught.value.code == "rollout.locked"
    finally:
        inside.kill()
        inside.communicate()
    store.acquire("ana", "deploy", 30)


# --- disks --------------------------------------------------------------------------------------


class Disk:
    """A small file system of its own, mounted for one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mount("-t", "tmpfs", "-o", "size=512k,mode=0755", "tmpfs", str(folder))

    @staticmethod
    def _mount(*arguments: str) -> None:
        subprocess.run(["mount", *arguments], check=True, capture_output=True)

    def fill(self) -> None:
        with (self.folder / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                return

    def make_read_only(self) -> None:
        self._mount("-o", "remount,ro", str(self.folder))

    def make_good(self) -> None:
        self._mount("-o", "remount,rw", str(self.folder))
        (self.folder / "filler").unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        found = Disk(folder)
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("a file system can be mounted by root only")
    try:
        yield found
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


RELEASE = Release(
    1,
    Package("abc", "/x"),
    Configuration({"A": "x" * 5000}),
    Processes(("serve",)),
    0.0,
    "ana",
)


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Disk.fill, "platform.disk-full"), (Disk.make_read_only, "platform.permission")],
    ids=["full", "read-only"],
)
def test_a_disk_that_takes_nothing_more_leaves_all_as_it_was_and_readable(
    disk: Disk, fault: Callable[[Disk], None], code: str
) -> None:
    store = LocalStore(Layout(disk.folder, "local"))
    secrets = LocalSecrets(Layout(disk.folder, "local"))
    grant = store.acquire("ana", "deploy", 30)
    store.add_release(grant, RELEASE)
    store.append(grant, "r1", {"n": 1})
    secrets.set("KEY", "one")

    def everything() -> tuple[object, ...]:
        return (
            store.releases(),
            store.rollouts(),
            store.records("r1"),
            store.posted("r1"),
            secrets.current(),
            store.holder() and replace(store.holder(), expires=0.0),
        )

    before = everything()
    fault(disk)
    command = PersonCommand("pause", "bob", "x" * 5000, 0.0)
    writes: list[Callable[[], object]] = [
        lambda: store.append(grant, "r1", {"pad": "x" * 9000}),
        lambda: store.append(grant, "r2", {"pad": "x" * 9000}),
        lambda: store.add_release(grant, replace(RELEASE, number=2)),
        lambda: store.renew(grant, 60),
        lambda: store.post("r1", command),
        lambda: store.release(grant),
        lambda: store.acquire("bob", "recover", 30, take_over=True),
        lambda: secrets.set("KEY", "two"),
    ]
    for write in writes:
        with pytest.raises(BackendctlError) as caught:
            write()
        assert caught.value.code == code
        assert caught.value.state
        assert everything() == before
    disk.make_good()
    assert everything() == before
    store.append(grant, "r1", {"n": 2})
    store.append(grant, "r2", {"n": 1})
    assert store.rollouts() == ["r1", "r2"]
    assert list(store.records("r1")) == [{"n": 1}, {"n": 2}]
    assert not list(Layout(disk.folder, "local").journal.rglob(".*"))


def test_an_environment_cannot_be_taken_on_a_disk_that_takes_nothing(disk: Disk) -> None:
    disk.fill()
    store = LocalStore(Layout(disk.folder, "local"))
    with pytest.raises(BackendctlError) as caught:
        store.acquire("ana", "deploy", 30)
    assert caught.value.code == "platform.disk-full"
    assert store.holder() is None


def test_every_write_of_a_journal_can_fail_on_a_real_full_disk(disk: Disk) -> None:
    journal = Journal(disk.folder / "j", limit=16_384)
    written = 0

    def append_for_ever() -> None:
        nonlocal written
        while True:
            journal.append({"n": written, "pad": "x" * 3000})
            written += 1

    with pytest.raises(OSError, match="No space left"):
        append_for_ever()
    assert [record["n"] for record in journal.read().records] == list(range(written))
    assert journal.read().torn == 0
