"""A load test whose processes run elsewhere: what is asked for, and what comes back whole."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.loadtest.conduct import Heard, written
from backendctl.loadtest.conductor import Progress
from backendctl.loadtest.elsewhere import MOST_WORKERS, InEnvironment
from backendctl.loadtest.generator import GeneratorPlan
from backendctl.loadtest.measurement import Measurement, Outcome, Recorder
from backendctl.loadtest.place import Offer
from backendctl.loadtest.profile import derive
from backendctl.loadtest.scenario import plain_paths
from backendctl.platforms.base import ERRAND_SECRETS, LOAD_PODS, Errand, OnLine
from backendctl.spec.model import Load, Slo

PROFILE = replace(
    derive(Load(peak_rps=10, peak_users=10, sustained_users=1, think_time=1.0), Slo()), workers=3
)


def measured() -> Measurement:
    """Some counts, from two workers."""
    found = Measurement(spans={0: (1.0, 2.0)}, cpu={"worker 0": [(1.5, 40.0)]})
    for milliseconds in range(1, 2000):
        recorder = Recorder()
        recorder.scheduled(0)
        recorder.started(0, 0.0)
        seconds = milliseconds / 1000
        recorder.ended(0, milliseconds % 60, "GET /", Outcome.OK, 200, seconds, seconds)
        found.merge(recorder.take())
    return found


@dataclass
class FakeUnderway:
    said: list[str]
    removed: bool = False
    stays: bool = False
    where: str = "there"
    follow: str = "look"

    def address(self) -> str:
        return "10.1.2.3"

    def lines(self) -> Iterator[str]:
        yield from self.said

    def ended(self) -> Mapping[int, int]:
        return {}

    def remove(self) -> None:
        if self.stays:
            raise BackendctlError("missing.cluster", "the cluster cannot be reached")
        self.removed = True


@dataclass
class FakeAway:
    """Begins whatever it is asked to; the conductor says `said`."""

    said: list[str]
    refuses: int = -1
    keeps: int = -1
    """Which one cannot be removed."""
    begun: list[tuple[Errand, FakeUnderway]] = field(default_factory=list)

    def start(self, errand: Errand, on_line: OnLine) -> FakeUnderway:
        if len(self.begun) == self.refuses:
            raise BackendctlError("platform.errand", "no room")
        made = FakeUnderway(self.said if not self.begun else [])
        made.stays = len(self.begun) == self.keeps
        self.begun.append((errand, made))
        return made


def offer(tmp_path: Path, locustfile: str = "") -> Offer:
    plan = GeneratorPlan("http://x", plain_paths(["/"], "t"), 1.0, 5.0, 3, 1, locustfile)
    return Offer(plan, PROFILE, lambda: "t0ken", tmp_path, tmp_path)


def said(measurement: Measurement) -> list[str]:
    second = Progress("hold", 1.0, 2.0, 3, 0, 4.0, 5, 6, 0)
    return [
        "Locust says something",
        json.dumps({"say": "progress", "progress": second.to_data()}),
        *written(measurement, PROFILE),
    ]


def test_what_was_counted_there_arrives_here_to_the_last_request(tmp_path: Path) -> None:
    away, events, found, counts = FakeAway(said(measured())), [], Measurement(), measured()
    carried = InEnvironment(away, lambda _: None).carry_out(offer(tmp_path), found, events.append)
    assert found.to_data() == counts.to_data()
    assert carried == PROFILE
    assert [each.stage for each in events] == ["hold"]
    assert all(underway.removed for _, underway in away.begun)


@pytest.mark.parametrize("keeps", [0, 1])
def test_one_that_cannot_be_removed_keeps_no_other(tmp_path: Path, keeps: int) -> None:
    away = FakeAway(said(measured()), keeps=keeps)
    place = InEnvironment(away, lambda _: None)
    with pytest.raises(BackendctlError, match="cannot be reached"):
        place.carry_out(offer(tmp_path), Measurement(), lambda _: None)
    assert [underway.removed for _, underway in away.begun] == [keeps != 0, keeps != 1]


def test_workers_are_told_where_the_conductor_is_and_get_the_token_as_a_secret(
    tmp_path: Path,
) -> None:
    own = tmp_path / "checkout.py"
    own.write_text("users")
    away = FakeAway(said(measured()))
    place = InEnvironment(away, lambda _: None)
    place.carry_out(offer(tmp_path, str(own)), Measurement(), lambda _: None)
    (conductor, _), (workers, _) = away.begun
    assert (conductor.copies, workers.copies) == (1, 3)
    assert "10.1.2.3" in workers.argv
    assert workers.secrets == {"token": b"t0ken"}
    assert any(value.startswith(ERRAND_SECRETS) for value in workers.variables.values())
    assert not conductor.secrets
    assert not conductor.steers
    assert not workers.steers
    assert "t0ken" not in str(workers.argv) + str(workers.files) + str(workers.variables)
    assert workers.files["locustfile.py"] == b"users"


def test_counts_that_do_not_arrive_whole_judge_nothing(tmp_path: Path) -> None:
    lines = said(measured())
    pieces = [n for n, line in enumerate(lines) if '"counts"' in line]
    assert len(pieces) > 1
    del lines[pieces[0]]
    away = FakeAway(lines)
    with pytest.raises(BackendctlError, match="did not arrive whole") as caught:
        InEnvironment(away, lambda _: None).carry_out(
            offer(tmp_path), Measurement(), lambda _: None
        )
    assert caught.value.code == "loadtest.invalid"
    assert all(underway.removed for _, underway in away.begun)


def test_a_conductor_that_says_nothing_judges_nothing(tmp_path: Path) -> None:
    with pytest.raises(BackendctlError, match="ended without a result") as caught:
        InEnvironment(FakeAway([]), lambda _: None).carry_out(
            offer(tmp_path), Measurement(), lambda _: None
        )
    assert caught.value.code == "loadtest.invalid"


def test_an_error_there_is_the_same_error_here() -> None:
    body = {"code": "loadtest.target", "message": "no", "cause": "c", "state": "s", "next": ["n"]}
    with pytest.raises(BackendctlError, match="no") as caught:
        Heard().take({"say": "error", "error": body})
    assert (caught.value.code, caught.value.next) == ("loadtest.target", ("n",))


def test_workers_that_do_not_begin_leave_no_conductor(tmp_path: Path) -> None:
    away = FakeAway([], refuses=1)
    with pytest.raises(BackendctlError, match="no room"):
        InEnvironment(away, lambda _: None).carry_out(
            offer(tmp_path), Measurement(), lambda _: None
        )
    assert [underway.removed for _, underway in away.begun] == [True]


def test_stopped_here_it_is_stopped_there_and_what_was_counted_is_kept(tmp_path: Path) -> None:
    counts = replace(measured(), interrupted=True)

    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    away, found = FakeAway(said(counts)), Measurement()
    InEnvironment(away, lambda _: None).carry_out(offer(tmp_path), found, stop)
    assert found.interrupted
    assert found.stages[0].count == counts.stages[0].count


def test_a_load_test_fits_into_the_room_that_an_environment_has() -> None:
    assert MOST_WORKERS + 1 == LOAD_PODS
