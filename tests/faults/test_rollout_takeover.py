"""Rollouts on the local platform whose driver dies or stops at an exact record of its journal."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendctl.journal.segments import Journal
from backendctl.rollout.history import serving
from backendctl.rollout.records import replay
from bench.crash_matrix.cells import Cell, play
from bench.crash_matrix.lanes import RATE
from bench.crash_matrix.scenarios import scenarios
from bench.shop.drivers import Death, PatientJudge, Record, Running, run
from bench.shop.environment import Pace, Shop, open_shop
from bench.shop.users import Users, users
from tests.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("rollout-takeover")]
SCENARIOS = {scenario.name: scenario for scenario in scenarios()}
SAMPLE = (
    ("canary, promote, migration", 3, "before"),
    ("canary, promote, migration", 11, "after"),
    ("canary, hold, migration", 13, "after"),
    ("canary, promote, migration", 18, "before"),
    ("blue-green, rollback, no migration", 9, "before"),
    ("rollback by hand, migration", 8, "after"),
    ("recovery", 4, "before"),
)
"""Cells of the whole matrix (`make crash-matrix`), one for each kind of place to die."""

Stage = tuple[Shop, Users]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A shop in which a release serves users."""
    with open_shop(tmp_path_factory.mktemp("takeover"), Pace(), lambda _: None) as shop:
        first = run(shop.deploy)
        assert first.outcome is not None, first
        with users(shop.port, RATE, "light", shop.admin_socket) as crowd:
            yield shop, crowd


def shift_to_all(record: Record) -> bool:
    """The record after which the candidate is to get all requests."""
    intent = record.get("intent", {})
    return intent.get("kind") == "apply" and 100 in intent["weights"].values() and stepped(record)


def stepped(record: Record) -> bool:
    """Whether an intent of it names two releases: not the preview before the steps."""
    return len(record["intent"]["weights"]) > 1


def assert_whole(shop: Shop, crowd: Users, stable: int | None) -> None:
    now = serving(shop.platform.store)
    assert (now.stable, now.rollout_in_flight) == (stable, None)
    routes = shop.platform.router.read()
    assert routes is not None
    assert dict(routes.weights) == {stable: 100}
    assert list(shop.platform.runtime.running()) == [stable]
    assert shop.strays() == {}
    assert shop.platform.store.holder() is None
    report = crowd.report()
    assert report.requests > 0
    assert (report.failed, report.broken) == ([], [])


@pytest.mark.parametrize(("name", "record", "side"), SAMPLE)
def test_a_driver_killed_there_is_recovered_and_nothing_of_it_is_left(
    stage: Stage, name: str, record: int, side: str
) -> None:
    shop, crowd = stage
    cell = Cell(name, record, side)
    play(shop, SCENARIOS[name], crowd, cell)
    assert not cell.beyond
    assert cell.problems == []


def test_a_driver_that_wakes_up_after_it_was_replaced_is_refused(stage: Stage) -> None:
    shop, crowd = stage
    stable = shop.stable
    crowd.report()
    asleep = Death(0, "after", when=shift_to_all, signal=signal.SIGSTOP)
    old = Running(lambda: shop.dying(asleep).deploy())
    try:
        assert eventually(lambda: stopped(old.pid), 30.0)
        refused = run(shop.recover)
        assert refused.code == "rollout.locked"
        recovered = run(lambda: shop.recover(take_over=True))
        assert recovered.outcome is not None, recovered
        assert recovered.outcome.result == "restored"
        rollout = recovered.outcome.rollout
        records = list(shop.platform.store.records(rollout))
        routes = shop.platform.router.read()
    finally:
        os.kill(old.pid, signal.SIGCONT)
    assert old.wait().code == "rollout.fenced"
    assert list(shop.platform.store.records(rollout)) == records
    assert shop.platform.router.read() == routes
    assert_whole(shop, crowd, stable)


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_of_many_that_recover_at_once_one_does_it(stage: Stage) -> None:
    shop, crowd = stage
    stable = shop.stable
    crowd.report()
    death = Death(0, "after", when=shift_to_all)
    assert run(lambda: shop.dying(death).deploy()).killed
    rollout = serving(shop.platform.store).rollout_in_flight
    assert rollout is not None
    ends = [each.wait() for each in [Running(shop.recover) for _ in range(4)]]
    done = [end.outcome for end in ends if end.outcome is not None]
    assert [each.result for each in done] == ["restored"]
    # The others found it held, or, once that one was through, nothing left to do.
    assert {end.code for end in ends if end.outcome is None} <= {"rollout.locked", ""}
    takeovers = [r for r in shop.platform.store.records(rollout) if r["kind"] == "taken-over"]
    assert len(takeovers) == 1
    assert_whole(shop, crowd, stable)


REPLAY = """
import sys
from pathlib import Path
from backendctl.journal.segments import Journal
from backendctl.rollout.records import check
from bench.shop.drivers import PatientJudge
for folder in sys.argv[1:]:
    records = Journal(Path(folder)).read().records
    print(len(records), check(records, PatientJudge()))
"""


def test_journals_replay_to_the_same_decisions_where_there_is_no_platform(
    stage: Stage, tmp_path: Path
) -> None:
    shop, _ = stage
    journals = shop.project / ".backendctl" / "local" / "journal" / "rollouts"
    assert run(lambda: shop.deploy(bad=True)).outcome is not None
    shutil.copytree(journals, tmp_path / "kept")
    folders = sorted((tmp_path / "kept").iterdir())
    said = subprocess.run(
        [sys.executable, "-c", REPLAY, *map(str, folders)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert len(said) == len(folders) >= 3
    assert {line.partition(" ")[2] for line in said} == {"[]"}
    records = Journal(folders[-1]).read().records
    judged = [t for t in replay(records, PatientJudge()) if t.after.judgement is not None]
    assert judged, "nothing was judged: the replay shows nothing"
    assert json.dumps(records[-1]).find('"ended": "restored"') > 0
