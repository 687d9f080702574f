"""Load tests of real servers by real generators, on a small scale."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from backendctl.errors import BackendctlError, Exit
from backendctl.loadtest.conductor import Progress
from backendctl.loadtest.measurement import Outcome
from backendctl.loadtest.profile import Durations, Loop, Profile, derive
from backendctl.loadtest.results import LoadTestResult, load
from backendctl.loadtest.runner import run_load_test
from backendctl.loadtest.verdict import Result
from backendctl.spec.model import Load, Service, Slo, Spec
from tests.fakes.http_service import RunningService, http_service
from tests.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("loadtest")]

SHORT = Durations(
    preflight=0.5,
    warm_up_least=0.5,
    warm_up_most=0.5,
    ramp=0.3,
    hold=3.2,
    closed_ramp=0.3,
    closed=2.6,
)
LENIENT = Slo(p95=1.0, p99=2.0, error_rate=0.01)
"""A lag of 50 ms is allowed with it, so that a busy test machine does not decide."""
OPEN, CLOSED = frozenset({Loop.OPEN}), frozenset({Loop.CLOSED})


def spec_of(peak: float, slo: Slo = LENIENT, openapi: str = "") -> Spec:
    return Spec(
        service=Service(name="s", start=("s",), openapi=openapi),
        load=Load(peak_rps=peak, peak_users=int(peak / 2), sustained_users=1, think_time=0.5),
        slo=slo,
        environments={},
    )


def run(
    url: str,
    folder: Path,
    peak: float = 75,
    *,
    slo: Slo = LENIENT,
    durations: Durations = SHORT,
    loops: frozenset[Loop] = OPEN,
    openapi: str = "",
    token: str = "",
    progress: list[Progress] | None = None,
    **changes: object,
) -> LoadTestResult:
    spec = spec_of(peak, slo, openapi)
    profile: Profile = replace(derive(spec.load, slo, durations, loops=loops), **changes)  # type: ignore[arg-type]
    said = progress if progress is not None else []
    mint = (lambda: token) if token else None
    return run_load_test(url, spec, profile, mint, said.append, folder / "t")


def test_a_good_service_passes_open_and_closed_and_is_offered_exactly_twice_its_peak(
    tmp_path: Path,
) -> None:
    said: list[Progress] = []
    with http_service() as service:
        result = run(service.url, tmp_path, peak=100, loops=frozenset(Loop), progress=said)
    assert result.result is Result.PASS, result.verdict.reasons
    assert result.offered_rps == 200.0
    assert result.achieved_rps == pytest.approx(200, rel=0.01)
    assert {c.stage for c in result.verdict.checks} == {"hold", "closed hold"}
    closed = result.stage("closed hold")
    assert closed is not None
    # Little's law: 100 users who think 0.5 s and wait almost nothing.
    assert closed[1].started / closed[0].duration == pytest.approx(200, rel=0.2)
    assert [p.stage for p in said] == sorted(
        [p.stage for p in said], key=[s.name for s in result.profile.stages].index
    )
    assert load(result.folder).to_data() == result.to_data()


def test_every_request_is_sent_once_and_counted_as_the_server_counts_it(tmp_path: Path) -> None:
    with http_service(error_every=10, hang_up_every=15) as service:
        result = run(service.url, tmp_path)
        seen = service.seen()["seen"]
    # Two look-ups found the paths that answer; a hung-up connection is not tried again.
    assert sum(seen.values()) == result.requests + 2
    stages = result.measurement.stages.values()
    assert sum(f.outcomes[Outcome.TRANSPORT] for f in stages) == seen["GET hung up"] > 20
    for found in stages:
        assert found.scheduled == found.started == found.count
        assert found.in_flight == 0
        assert sum(second.count for second in found.seconds.values()) == found.count
    assert sum(result.measurement.counted.values()) == result.requests
    for found in stages:
        broken = found.outcomes[Outcome.SERVER_ERROR] + found.outcomes[Outcome.TRANSPORT]
        assert found.errors == broken
    assert result.result is Result.FAIL, result.verdict.reasons
    assert "errors" in " ".join(result.verdict.reasons)


def test_a_stall_shows_in_the_open_loop_as_long_as_it_was(tmp_path: Path) -> None:
    stall, hold = 0.8, 5.0
    durations = replace(SHORT, hold=hold)
    with http_service(stall_after=350, stall=stall) as service:
        result = run(service.url, tmp_path, peak=100, durations=durations)
    found = result.stage("hold")
    assert found is not None
    response, service_time = found[1].response, found[1].service
    # Requests due during the stall wait for what is left of it: 1 % of all wait longer than this.
    expected = stall - 0.01 * hold
    assert response.quantile(0.99) == pytest.approx(expected, rel=0.1)
    assert service_time.quantile(0.99) <= response.quantile(0.99)
    # What was not stalled is not slowed either.
    assert response.quantile(0.5) < 0.1


@pytest.mark.parametrize("loop", [Loop.OPEN, Loop.CLOSED])
def test_a_hold_that_decides_nothing_goes_on_once_without_a_gap(tmp_path: Path, loop: Loop) -> None:
    said: list[Progress] = []
    # 300 requests are too few for a promise about 1 in 100; as many again are enough.
    durations = replace(SHORT, hold=2.0, closed=2.0)
    with http_service() as service:
        result = run(
            service.url,
            tmp_path,
            durations=durations,
            loops=frozenset({loop}),
            progress=said,
        )
    stage, found = result.stage("hold") or result.stage("closed hold") or pytest.fail("no hold")
    assert result.result is Result.PASS, result.verdict.reasons
    assert 0 < stage.extended <= 2.0
    assert stage.duration == pytest.approx(2.0 + stage.extended)
    assert result.to_data()["extended_s"] == pytest.approx(stage.extended, abs=0.001)
    assert max(p.extended_s for p in said) == pytest.approx(stage.extended, abs=0.001)
    if loop is Loop.OPEN:
        assert found.scheduled == found.started == round(150 * stage.duration)
    for second in range(int(stage.duration)):
        # Poisson with mean 150: one second in a million has fewer than 95.
        assert found.seconds[second].count > 95


def test_a_slow_service_fails_and_is_not_called_invalid(tmp_path: Path) -> None:
    with http_service(latency=1.2) as service:
        result = run(service.url, tmp_path)
    assert result.result is Result.FAIL, result.verdict.reasons
    assert "p95" in " ".join(result.verdict.reasons)


def test_a_service_that_answers_nothing_in_time_fails_by_time_outs(tmp_path: Path) -> None:
    with http_service(stall_after=250, stall=30.0) as service:
        result = run(service.url, tmp_path, request_timeout=1.0)
    found = result.stage("hold")
    assert found is not None
    assert result.result is Result.FAIL, result.verdict.reasons
    assert found[1].outcomes[Outcome.TIME_OUT] > 100


def test_a_saturated_generator_is_invalid_however_good_the_numbers_look(tmp_path: Path) -> None:
    durations = replace(SHORT, hold=2.5)
    # One Python process has been seen to send 6,000 a second in time; 20,000 is out of its reach.
    slow = Slo(p95=1.0, p99=100.0, error_rate=0.5)
    with http_service() as service:
        result = run(
            service.url,
            tmp_path,
            peak=10_000,
            slo=slow,
            durations=durations,
            workers=1,
            request_timeout=5.0,
        )
    assert result.result is Result.INVALID
    assert result.verdict.reasons


def test_a_worker_that_dies_makes_the_test_invalid_and_ends_it(tmp_path: Path) -> None:
    killed: list[float] = []

    def kill_worker(progress: Progress) -> None:
        if progress.stage == "hold" and not killed:
            for process in generators(tmp_path):
                if "worker" in process.cmdline():
                    process.kill()
                    killed.append(time.monotonic())

    spec = spec_of(50)
    profile = derive(spec.load, LENIENT, replace(SHORT, hold=20.0), loops=OPEN)
    with http_service() as service:
        result = run_load_test(service.url, spec, profile, None, kill_worker, tmp_path / "t")
    assert killed
    assert time.monotonic() - killed[0] < 10
    assert result.result is Result.INVALID
    assert "worker 0 ended" in result.verdict.reasons[0]
    assert not generators(tmp_path)


def test_a_target_that_is_not_there_is_exit_5_before_anything_is_started(tmp_path: Path) -> None:
    with http_service() as service:
        gone = service.url
    with pytest.raises(BackendctlError) as caught:
        run(gone, tmp_path)
    assert caught.value.code == "loadtest.target"
    assert caught.value.exit is Exit.MISSING


def test_the_load_is_not_raised_on_a_service_that_fails_every_preflight_request(
    tmp_path: Path,
) -> None:
    with http_service(error_every=1, openapi=ITEMS) as service:
        with pytest.raises(BackendctlError) as caught:
            run(service.url, tmp_path, openapi="/openapi.json", token="t")
        assert sum(service.seen()["seen"].values()) < 30
    assert caught.value.code == "loadtest.target"
    assert "500" in caught.value.cause


ITEMS = {
    "openapi": "3.1.0",
    "security": [{"bearer": []}],
    "paths": {
        "/items": {
            "get": {"responses": {"200": {}}},
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {"name": {"type": "string", "minLength": 3}},
                            }
                        }
                    },
                },
                "responses": {"201": {}},
            },
        },
        "/items/{item_id}": {
            "parameters": [
                {"name": "item_id", "in": "path", "required": True, "schema": {"type": "string"}}
            ],
            "get": {"responses": {"200": {}}},
            "delete": {"responses": {"204": {}}},
        },
        "/purge": {"post": {"responses": {"200": {}}}},
    },
}


def test_an_openapi_service_is_created_read_and_deleted_without_one_bad_request(
    tmp_path: Path,
) -> None:
    with http_service(openapi=ITEMS) as service:
        result = run(service.url, tmp_path, openapi="/openapi.json", token="a-secret-token")
        seen = service.seen()
    # The service answers 404 to any id it does not know: not one such answer came.
    assert result.errors == 0
    assert result.result is Result.PASS, result.verdict.reasons
    assert {key.split("/")[0] for key in seen["seen"]} == {"GET ", "POST ", "DELETE "}
    assert not any("/purge" in key for key in seen["seen"])
    assert set(seen["authorization"]) == {"Bearer a-secret-token"}
    for path in result.folder.iterdir():
        assert "a-secret-token" not in path.read_text(), path
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_users_of_a_projects_own_locustfile_are_measured_alike(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "from locust import HttpUser, constant, task\n"
        "class Buyer(HttpUser):\n"
        "    wait_time = constant(0.5)\n"
        "    @task\n"
        "    def buy(self):\n"
        "        self.client.get('/mine')\n"
    )
    spec = spec_of(20)
    profile = derive(spec.load, LENIENT, replace(SHORT, closed=4.0), loops=CLOSED)
    with http_service(error_every=5) as service:
        result = run_load_test(
            service.url,
            *(spec, profile, None, lambda _: None, tmp_path / "t"),
            locustfile=own,
            host="shop.example.com",
        )
        seen = service.seen()
    assert seen["seen"]["GET /mine"] > 20
    # Theirs, ours, and what was asked beforehand.
    assert set(seen["hosts"]) == {"shop.example.com"}
    found = result.stage("closed hold")
    assert found is not None
    mine = found[1].operations["GET /mine"]
    assert mine.count > 20
    assert mine.errors / mine.count == pytest.approx(0.2, abs=0.12)


# --- interrupts ---------------------------------------------------------------------------------

_INTERRUPTIBLE = """
import json, sys
from pathlib import Path
from backendctl.errors import BackendctlError
from backendctl.loadtest.runner import run_load_test
from tests.e2e.test_loadtest import LENIENT, OPEN, SHORT, spec_of
from backendctl.loadtest.profile import derive
from dataclasses import replace
spec = spec_of(30)
profile = derive(spec.load, LENIENT, replace(SHORT, hold=60.0), loops=OPEN)
def say(progress):
    print(progress.stage, flush=True)
try:
    run_load_test(sys.argv[1], spec, profile, None, say, Path(sys.argv[2]))
except BackendctlError as error:
    sys.exit(int(error.exit))
"""


def generators(folder: Path) -> list[psutil.Process]:
    """Processes of load tests kept in this folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in part for part in process.info["cmdline"] or ()):
            found.append(process)
    return found


def asked_of(service: RunningService) -> int:
    """How many requests it has seen."""
    return sum(service.seen()["seen"].values())


def _interruptible(url: str, folder: Path) -> "subprocess.Popen[str]":
    """A load test in a process of its own, in its hold."""
    process = subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTIBLE, url, str(folder / "t")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "hold":
            return process
    raise AssertionError("the load test ended before its hold")


def test_an_interrupt_keeps_what_was_measured_and_leaves_no_process(tmp_path: Path) -> None:
    with http_service() as service:
        process = _interruptible(service.url, tmp_path)
        asked = asked_of(service)
        assert eventually(lambda: asked_of(service) > asked + 5, every=0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=15) == Exit.INTERRUPTED
    assert not generators(tmp_path)
    result = load(tmp_path / "t")
    assert result.interrupted
    assert result.requests > 0
    assert result.result is not Result.PASS
    assert json.loads((tmp_path / "t" / "result.json").read_text())["interrupted"] is True


def test_generators_end_by_themselves_when_the_command_is_killed(tmp_path: Path) -> None:
    with http_service() as service:
        process = _interruptible(service.url, tmp_path)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
        assert eventually(lambda: not generators(tmp_path), 10, every=0.1)
